"""Continuous listening: every block that is not silent is encoded, whether it is speech or not.

Blocks lie on a grid of stream samples, so results do not depend on how the samples are cut. A
silent block costs a few multiplications, and the encoders start anew after it.
"""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from assistant.ear.ear import Ear, EarStream
from assistant.ear.noticing import Noticing, Sound
from assistant.ear.tagger import Tagger
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Window:
    """Audio tokens and features of one window of the stream."""

    at: int
    """First sample of the window."""

    tokens: Tensor
    """Audio tokens, shape (queries, LLM width)."""

    speech: Tensor
    """Features of Whisper's last layer, shape (window features, own width), for captions."""


class Hearing:
    """The ear of one stream, with a memory of the last seconds.

    push(a) + push(b) gives the windows of push(a + b).
    """

    def __init__(
        self,
        ear: Ear,
        keep_s: float = 30.0,
        silence_db: float = -65.0,
        tagger: Tagger | None = None,
    ) -> None:
        """Args:
        ear: shared weights.
        keep_s: seconds of windows that are kept.
        silence_db: loudness in dBFS; a block is silent if each 20 ms of it are quieter.
        tagger: names the sounds in every block; shared weights.
        """
        self._ear = ear
        nothing = torch.zeros(0, ear.feature_width, device=ear.device)
        self._noticing = Noticing(tagger, nothing)
        self._keep = round(keep_s * SAMPLE_RATE)
        self._silence = 10 ** (silence_db / 20)
        self._block = ear.spans.block
        self._ahead = ear.ahead
        self._parts: list[Tensor] = []  # samples from the start of the open block on
        self._held = 0  # of them
        self._begun = 0  # stream index of that
        self._run: EarStream | None = None  # encoders since the last silence
        self._given = 0  # stream index up to which the run was given samples
        self.windows: deque[Window] = deque()
        """Windows of the last seconds, oldest first; silent blocks have none."""

        self.peeked: list[Sound] = []
        """`likely` when `peek` was last called, with the sounds of the open block."""

    @property
    def sounds(self) -> list[Sound]:
        """Sounds that began in blocks that the last `push` completed."""
        return self._noticing.began

    @property
    def noticed(self) -> list[Sound]:
        """Sounds of the last seconds, in the order in which they began."""
        return self._noticing.noticed

    @property
    def likely(self) -> list[Sound]:
        """The same, and guesses where the tagger was not sure of any class."""
        return self._noticing.likely

    @property
    def most_windows(self) -> int:
        """The largest number of windows that are kept."""
        return -(-self._keep // self._ear.spans.window) + 1

    @property
    def heard(self) -> int:
        """Number of samples heard so far."""
        return self._begun + self._held

    @torch.inference_mode()
    def push(self, samples: Tensor) -> list[Window]:
        """Take the next samples.

        Args:
            samples: shape (n,), 16 kHz, n >= 0.

        Returns:
            Windows that became final.
        """
        self._parts.append(samples)
        self._held += len(samples)
        self._noticing.clear()
        found: list[Window] = []
        while self._held >= self._block + self._ahead:
            held = self._samples()
            if self._is_silent(held[: self._block]):
                self._run = None
                self._noticing.silence()
            else:
                run, given = self._current()
                ready = held[given - self._begun : self._block + self._ahead]
                found += self._cut(run.push(ready), run.speech)
                (features,) = run.blocks
                self._noticing.push(features, self._begun, self._begun + self._block)
                self._run, self._given = run, self._begun + self._block + self._ahead
            self._parts, self._held = [held[self._block :]], self._held - self._block
            self._begun += self._block
        self.windows.extend(found)
        while self.windows and self.windows[0].at < self.heard - self._keep:
            self.windows.popleft()
        self._noticing.drop(self.heard - self._keep)
        return found

    @torch.inference_mode()
    def peek(self) -> list[Window]:
        """Windows of the open block as far as it has been heard; the last one is completed by
        silence.

        They are provisional: when the block is complete, `push` returns final ones in their place.
        The sounds in them are in `peeked`.
        """
        self.peeked = self.likely
        held = self._samples()
        if self._is_silent(held):
            return []
        run, given = self._current()
        twin = run.fork()
        pushed = twin.push(held[given - self._begun :]), twin.speech
        blocks = twin.blocks
        rest = twin.flush(), twin.speech
        features = torch.cat(blocks + twin.blocks)
        self.peeked = self._noticing.peek(features, self._begun, self.heard)
        tokens, speech = (torch.cat(parts) for parts in zip(pushed, rest, strict=True))
        return self._cut(tokens, speech)

    def _samples(self) -> Tensor:
        """Samples from the start of the open block on; joined when needed, not on every push."""
        self._parts = [torch.cat([torch.zeros(0), *self._parts])]
        return self._parts[0]

    def name_sounds(self, tagger: Tagger | None) -> None:
        """Name the sounds in every block from here on. None: stop naming sounds."""
        self._noticing.name_sounds(tagger)

    def forget(self, since: int, until: int) -> None:
        """Drop all windows and sounds that overlap samples [since, until), and replace these
        samples by silence in the open block. The encoders' left context is not changed.
        """
        begin, end = (max(0, at - self._begun) for at in (since, until))
        if begin < min(end, self._held):
            held = self._samples().clone()
            held[begin:end] = 0
            self._parts = [held]
            if self._run is not None:
                self._run.correct(held[: self._given - self._begun])
        length = self._ear.spans.window
        self.windows = deque(
            w for w in self.windows if not (w.at < until and w.at + length > since)
        )
        self._noticing.forget(since, until, self._begun)

    def _current(self) -> tuple[EarStream, int]:
        """The stream that encodes the open block, and the next sample that it needs."""
        if self._run is None:
            return self._ear.stream(), self._begun
        return self._run, self._given

    def _cut(self, tokens: Tensor, speech: Tensor) -> list[Window]:
        aligner = self._ear.aligner
        features = speech.split(aligner.config.window_features)
        each = tokens.split(aligner.per_window) if aligner.per_window else [tokens] * len(features)
        return [
            Window(self._begun + i * self._ear.spans.window, *both)
            for i, both in enumerate(zip(each, features, strict=True))
        ]

    def _is_silent(self, samples: Tensor) -> bool:
        frames = samples[: len(samples) // FEATURE_SAMPLES * FEATURE_SAMPLES]
        if not len(frames):
            return True
        levels = frames.view(-1, FEATURE_SAMPLES).square().mean(1).sqrt()
        return bool(levels.max() < self._silence)
