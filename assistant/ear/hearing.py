"""Continuous listening: every block that is not silent is encoded, whether it is speech or not.

Blocks lie on a grid of stream samples, so results do not depend on how the samples are cut. A
silent block costs a few multiplications, and the encoders start anew after it.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assistant.ear.ear import Ear, EarStream
from assistant.ear.tagger import Onsets, Tagger
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


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that the tagger noticed."""

    begin: int
    """First sample of the block or window, as the tagger can tell, in which the sound began."""

    end: int
    """One past the last sample of the block or window in which it was heard last."""

    name: str
    """Class of the sound."""

    probability: float
    """Probability of the class when the sound began."""


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
        """Windows of the last seconds, oldest first; silent blocks have none."""

        self.sounds: list[Sound] = []
        """Sounds that began in blocks that the last `push` completed."""

        self.noticed: list[Sound] = []
        """Sounds of the last seconds, in the order in which they began."""

        self.peeked: list[Sound] = []
        """Sounds of the last seconds when `peek` was last called, with those of the open block."""

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
        self.noticed = [sound for sound in self.noticed if sound.end > self.heard - self._keep]
        return found

    @torch.inference_mode()
    def peek(self) -> list[Window]:
        """Windows of the open block as far as it has been heard; the last one is completed by
        silence.

        They are provisional: when the block is complete, `push` returns final ones in their place.
        The sounds in them are in `peeked`.
        """
        self.peeked = self.noticed
        held = self._samples()
        if self._is_silent(held):
            return []
        run, given = self._current()
        twin = run.fork()
        pushed = twin.push(held[given - self._begun :]), twin.speech
        blocks = twin.blocks
        rest = twin.flush(), twin.speech
        if self._tagger is not None:
            features = torch.cat(blocks + twin.blocks)
            self.peeked, _ = self._notice(self._onsets.fork(), features, self.heard)
        tokens, speech = (torch.cat(parts) for parts in zip(pushed, rest, strict=True))
        return self._cut(tokens, speech)

    def _samples(self) -> Tensor:
        """Samples from the start of the open block on; joined when needed, not on every push."""
        self._parts = [torch.cat([torch.zeros(0), *self._parts])]
        return self._parts[0]

    def name_sounds(self, tagger: Tagger | None) -> None:
        """Name the sounds in every block from here on. None: stop naming sounds."""
        if tagger is not self._tagger:
            self._tagger, self._onsets = tagger, Onsets()

    def forget(self, since: int, until: int) -> None:
        """Drop all windows and sounds that overlap samples [since, until), and replace these
        samples by silence in the open block. The encoders' left context is not changed.
        """
        begin, end = (max(0, at - self._begun) for at in (since, until))
        if begin < min(end, self._held):
            held = self._samples().clone()
            held[begin:end] = 0
            self._parts = [held]
        length = self._ear.spans.window
        self.windows = deque(
            w for w in self.windows if not (w.at < until and w.at + length > since)
        )
        going_on = self._latest(self._onsets.on).values()
        dropped = [s for s in self.noticed if s.begin < until and s.end > since]
        self.noticed = [s for s in self.noticed if s not in dropped]
        self._onsets.on -= {s.name for s in dropped if s in going_on}  # or begin anew

    def _tell(self, blocks: list[Tensor]) -> None:
        """Note the sounds of the block that has just been encoded."""
        if self._tagger is None:
            return
        (features,) = blocks
        end = self._begun + self._block
        self.noticed, begun = self._notice(self._onsets, features, end)
        self.sounds += begun

    def _notice(
        self, onsets: Onsets, features: Tensor, end: int
    ) -> tuple[list[Sound], list[Sound]]:
        """All that was noticed up to `end`, and what of it began in the open block."""
        assert self._tagger is not None
        before = self._latest(onsets.on)
        told = onsets.push(self._tagger.probabilities(features))
        extent = self._tagger.extent(features)

        def at(feature: int) -> int:
            return min(end, self._begun + feature * FEATURE_SAMPLES)

        begun = [Sound(at(extent[name][0]), at(extent[name][1]), name, p) for name, p in told]
        begun.sort(key=lambda sound: sound.begin)  # of those that begin at once, the likeliest
        went_on = [
            replace(sound, end=at(extent[sound.name][1]))
            if sound.name in onsets.on and sound is before.get(sound.name)
            else sound
            for sound in self.noticed
        ]
        return went_on + begun, begun

    def _latest(self, names: Collection[str]) -> dict[str, Sound]:
        """Of each of these names the sound noticed last."""
        return {sound.name: sound for sound in self.noticed if sound.name in names}

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
