"""Hearing all the time: every block that is not silence is encoded, speech or not.

Blocks lie on a grid of stream samples, so what is heard never depends on how samples came. A block
of silence costs a few multiplications; the encoders begin anew after it.
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
    """First sample, as exactly as the tagger tells it: of a block or of a window."""

    end: int
    """One past the last sample it was heard at, so far, as exactly."""

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
        tagger: Tagger | None = None,
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

        self.noticed: list[Sound] = []
        """Those of the last seconds, in the order in which they began."""

        self.peeked: list[Sound] = []
        """The same when `peek` was last called, and those of the block that was open then."""

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
        self.noticed = [sound for sound in self.noticed if sound.end > self.heard - self._keep]
        return found

    @torch.inference_mode()
    def peek(self) -> list[Window]:
        """The windows of the open block as it is, the last one completed with silence.

        They are provisional: when the block is complete, `push` gives others in their place. What
        is noticed with them is in `peeked`.
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
        """From the start of the open block on; joined when looked at, not whenever some come."""
        self._parts = [torch.cat([torch.zeros(0), *self._parts])]
        return self._parts[0]

    def name_sounds(self, tagger: Tagger | None) -> None:
        """Name the sounds in every block from here on, or no more (None)."""
        if tagger is not self._tagger:
            self._tagger, self._onsets = tagger, Onsets()

    def forget(self, since: int, until: int) -> None:
        """Drop the windows and sounds that hold any of the samples [since, until); in the block
        that is open, those samples are silence now. What the encoders keep of them is not touched.
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
        """Name the sounds in the open block, which has just been encoded."""
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
        """The encoders that hear the open block, and the sample they go on from."""
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
