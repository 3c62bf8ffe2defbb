"""Hearing all the time: every block that is not silence is encoded, speech or not.

Blocks lie on a grid of stream samples, so what is heard never depends on how samples came. A block
of silence costs a few multiplications; the encoders begin anew after it.
"""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from assistant.audio import FEATURE_SAMPLES
from assistant.ear import Ear, EarStream
from assistant.recording import SAMPLE_RATE
from assistant.tagger import Onsets, SoundTagger


@dataclass(frozen=True, slots=True)
class Window:
    """What was heard in one window of the stream."""

    at: int
    """Its first sample."""

    tokens: Tensor
    """Audio tokens, shape (queries, LLM width)."""

    speech: Tensor
    """Whisper's features, shape (window features, own width); captions are read from them."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that began."""

    begin: int
    """First sample of the block it began in."""

    end: int
    """One past the last sample of it."""

    name: str
    probability: float


class Hearing:
    """One stream's ear with a memory: the windows of the last seconds.

    push(a) + push(b) gives the windows of push(a + b).
    """

    def __init__(
        self,
        ear: Ear,
        keep_s: float = 30.0,
        silence_db: float = -65.0,
        tagger: SoundTagger | None = None,
    ) -> None:
        """Args:
        ear: shared weights.
        keep_s: seconds of windows that are kept.
        silence_db: a block is silent when all 20 ms of it are quieter, in dB under full scale.
        tagger: shared weights; names the sounds in every block.
        """
        self._tagger, self._onsets = tagger, Onsets()
        self._ear = ear
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
        """The last seconds, oldest first; gaps are silence."""

        self.sounds: list[Sound] = []
        """Those that began in the blocks the last push completed."""

    @property
    def most_windows(self) -> int:
        """Windows that are kept at most."""
        return -(-self._keep // self._ear.spans.window) + 1

    @property
    def heard(self) -> int:
        """Stream samples so far."""
        return self._begun + self._held

    @torch.inference_mode()
    def push(self, samples: Tensor) -> list[Window]:
        """Hear more.

        Args:
            samples: shape (n,), 16 kHz, n >= 0.

        Returns:
            Windows that became final.
        """
        self._parts.append(samples)
        self._held += len(samples)
        self.sounds = []
        found: list[Window] = []
        while self._held >= self._block + self._ahead:
            held = self._samples()
            if self._is_silent(held[: self._block]):
                self._run = None
                self._onsets.push({})
            else:
                run, given = self._current()
                ready = held[given - self._begun : self._block + self._ahead]
                found += self._cut(run.push(ready), run.speech)
                self._tell(run.blocks)
                self._run, self._given = run, self._begun + self._block + self._ahead
            self._parts, self._held = [held[self._block :]], self._held - self._block
            self._begun += self._block
        self.windows.extend(found)
        while self.windows and self.windows[0].at < self.heard - self._keep:
            self.windows.popleft()
        return found

    @torch.inference_mode()
    def peek(self) -> list[Window]:
        """The windows of the open block as it is, the last one completed with silence.

        They are provisional: when the block is complete, `push` gives others in their place.
        """
        held = self._samples()
        if self._is_silent(held):
            return []
        run, given = self._current()
        twin = run.fork()
        pushed = twin.push(held[given - self._begun :]), twin.speech
        rest = twin.flush(), twin.speech
        tokens, speech = (torch.cat(parts) for parts in zip(pushed, rest, strict=True))
        return self._cut(tokens, speech)

    def _samples(self) -> Tensor:
        """From the start of the open block on; joined when looked at, not whenever some come."""
        self._parts = [torch.cat([torch.zeros(0), *self._parts])]
        return self._parts[0]

    def name_sounds(self, tagger: SoundTagger | None) -> None:
        """Name the sounds in every block from here on, or no more (None)."""
        if tagger is not self._tagger:
            self._tagger, self._onsets = tagger, Onsets()

    def forget(self, since: int, until: int) -> None:
        """Drop the windows that hold any of the samples [since, until); in the block that is open,
        those samples are silence now. What the encoders keep of them is not touched."""
        begin, end = (max(0, at - self._begun) for at in (since, until))
        if begin < min(end, self._held):
            held = self._samples().clone()
            held[begin:end] = 0
            self._parts = [held]
        length = self._ear.spans.window
        self.windows = deque(
            w for w in self.windows if not (w.at < until and w.at + length > since)
        )

    def _tell(self, blocks: list[Tensor]) -> None:
        """Name the sounds that begin in the open block, which has just been encoded."""
        if self._tagger is None:
            return
        (features,) = blocks
        for name, probability in self._onsets.push(self._tagger.probabilities(features)):
            self.sounds.append(Sound(self._begun, self._begun + self._block, name, probability))

    def _current(self) -> tuple[EarStream, int]:
        """The encoders that hear the open block, and the sample they go on from."""
        if self._run is None:
            return self._ear.stream(), self._begun
        return self._run, self._given

    def _cut(self, tokens: Tensor, speech: Tensor) -> list[Window]:
        aligner = self._ear.aligner.config
        parts = tokens.split(aligner.queries), speech.split(aligner.window_features)
        return [
            Window(self._begun + i * self._ear.spans.window, *both)
            for i, both in enumerate(zip(*parts, strict=True))
        ]

    def _is_silent(self, samples: Tensor) -> bool:
        frames = samples[: len(samples) // FEATURE_SAMPLES * FEATURE_SAMPLES]
        if not len(frames):
            return True
        levels = frames.view(-1, FEATURE_SAMPLES).square().mean(1).sqrt()
        return bool(levels.max() < self._silence)
