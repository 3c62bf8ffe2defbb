"""Block-causal encoding ("cached" mode): the front ends, and anchors for endless streams.

Block b of a stream is samples [b n, (b + 1) n) for a fixed n; where blocks lie never depends on how
the samples arrived. A block's features need at most `MARGIN` samples after it (the last spectral
frames straddle its end). `docs/adr/0003-streaming-encoders.md` has the reasons and measurements.
"""

import copy
from collections import deque
from typing import Generic, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from assistant.rates import ANALYSIS, FEATURE_SAMPLES, HOP
from assistant.sound.spectra import log10_mel, normalise_mel


class Forkable(Protocol):
    """A state that can be copied."""

    def fork(self) -> Self:
        """An independent copy."""


State = TypeVar("State", bound=Forkable)


class BlockEncoder(Protocol[State]):
    """An encoder that can attend block by block."""

    def start(self) -> State:
        """The state of a stream that has heard nothing."""

    def attend(self, x: Tensor, state: State, block: int) -> Tensor:
        """Encode whole blocks `x` (n, width), of which the last may be short, and advance
        `state`."""

    def look_ahead(self, x: Tensor, state: State, after: int) -> Tensor:
        """Encode a block together with the `after` features that follow it, the last rows of `x`
        (n, width), and advance `state` by the block alone.

        Returns:
            The block's features, (n - after, width of features).
        """


class Anchored(Generic[State]):
    """Encodes the blocks of an endless stream in order, with bounded memory.

    Position tables and caches end; streams do not. After `horizon` blocks the state starts anew
    with the last `overlap` blocks in it. Pushing blocks one by one or many at once is the same
    computation.
    """

    def __init__(
        self, encoder: BlockEncoder[State], block: int, horizon: int, overlap: int
    ) -> None:
        """Args are in features (`block`) and blocks (`horizon` > `overlap`)."""
        self._encoder = encoder
        self._block, self._horizon, self._overlap = block, horizon, overlap
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._state = self._encoder.start()
        self._held = 0  # blocks in the state
        self._recent: deque[Tensor] = deque(maxlen=self._overlap)

    def fork(self) -> "Anchored[State]":
        """An independent copy."""
        twin = copy.copy(self)
        twin._state, twin._recent = self._state.fork(), self._recent.copy()
        return twin

    def push(self, x: Tensor, after: Tensor | None = None) -> Tensor:
        """Encode the next blocks.

        Args:
            x: shape (n, width); n is a multiple of the block except in the last push of a stream.
            after: what follows `x`, which is then one block, as far as the block is to see it:
                shape (m, width). It is pushed again later.

        Returns:
            Shape (n, width of features).
        """
        blocks = list(x.split(self._block))
        done = []
        while blocks:
            context: list[Tensor] = []
            if self._held == self._horizon:
                self._state = self._encoder.start()
                context = list(self._recent)
                self._held = len(context)
            now, blocks = (
                blocks[: self._horizon - self._held],
                blocks[self._horizon - self._held :],
            )
            if after is not None and len(after):
                if context:
                    self._encoder.attend(torch.cat(context), self._state, self._block)
                new = torch.cat([*now, after])
                done.append(self._encoder.look_ahead(new, self._state, len(after)))
            else:
                new = torch.cat(context + now)
                skip = sum(len(block) for block in context)
                done.append(self._encoder.attend(new, self._state, self._block)[skip:])
            self._held += len(now)
            self._recent.extend(now)
        return torch.cat(done)


class MelBlocks:
    """Whisper's front end for a stream: log-mel of the samples of whole blocks, scaled causally.

    Whisper clips 80 dB below the maximum of its 30 s. Here it is the running maximum, over all
    frames until the end of the block in which a frame is first needed.
    """

    def __init__(self, n_mels: int, block: int) -> None:
        """`block` is in features."""
        self._n_mels = n_mels
        self._frames_per_block = 2 * block
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._maximum = torch.tensor(-torch.inf)
        self._tail: Tensor | None = None  # the last three frames, (n_mels, 3)

    def fork(self) -> "MelBlocks":
        """An independent copy; tensors are never changed in place."""
        return copy.copy(self)

    @property
    def first(self) -> bool:
        """Whether nothing was pushed yet."""
        return self._tail is None

    def push(self, samples: Tensor) -> Tensor:
        """Log-mel frames for `SpeechEncoder.stem`, which makes the next features of them.

        Args:
            samples: for features [f, g): stream samples [320 f - 40, 320 g + 200), or from 0 when
                f is 0.

        Returns:
            Shape (n_mels, 2 (g - f) + 3), or + 1 at the start of the stream.
        """
        if self._tail is None:
            # The reflection that Whisper's STFT pads with.
            before = samples[1 : ANALYSIS // 2 + 1].flip(0)
            log_mel = log10_mel(torch.cat([before, samples]), self._n_mels)
            first, rest = log_mel[:, :1], log_mel[:, 1:]
        else:
            first, rest = samples.new_zeros(self._n_mels, 0), log10_mel(samples, self._n_mels)
        batches = list(rest.split(self._frames_per_block, dim=1))
        batches[0] = torch.cat([first, batches[0]], 1)
        scaled = [] if self._tail is None else [self._tail]
        for batch in batches:
            self._maximum = torch.maximum(self._maximum.to(batch.device), batch.max())
            scaled.append(normalise_mel(batch, self._maximum))
        frames = torch.cat(scaled, 1)
        self._tail = frames[:, -3:].clone()
        return frames


def mel_span(first: int, last: int) -> tuple[int, int]:
    """The stream samples that `MelBlocks.push` needs for features [first, last)."""
    start = first * FEATURE_SAMPLES + HOP - ANALYSIS // 2 if first else 0
    return start, last * FEATURE_SAMPLES + ANALYSIS // 2


def needed(first: int) -> int:
    """The earliest stream sample from which features `first` on are computed."""
    return mel_span(first, first + 1)[0]


def pad_right(samples: Tensor, length: int) -> Tensor:
    """`samples` followed by silence up to `length`."""
    return F.pad(samples, (0, max(0, length - len(samples))))
