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
        self._before = self._nothing()
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
                self._run, self._before = None, self._nothing()
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
            self.peeked = self._notice(self._onsets.fork(), features, self.heard)
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
            self._before = self._nothing()

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
        before = self._begun - len(self._before) * FEATURE_SAMPLES
        if since < self._begun and until > before:
            self._before = self._nothing()
        latest = {sound.name: sound for sound in self.noticed}
        going_on = [latest[name] for name in self._onsets.on if name in latest]
        dropped = [s for s in self.noticed if s.begin < until and s.end > since]
        self.noticed = [s for s in self.noticed if s not in dropped]
        self._onsets.on -= {s.name for s in dropped if s in going_on}  # or begin anew

    def _tell(self, blocks: list[Tensor]) -> None:
        """Note the sounds of the block that has just been encoded."""
        if self._tagger is None:
            return
        (features,) = blocks
        count = len(self.noticed)
        self.noticed = self._notice(self._onsets, features, self._begun + self._block)
        self.sounds += self.noticed[count:]
        self._before = features[len(features) - self._tagger.before :].clone()

    def _notice(self, onsets: Onsets, features: Tensor, end: int) -> list[Sound]:
        """All that was noticed up to `end`, where the open block's features end; those that begin
        with it come last."""
        assert self._tagger is not None
        joined, before = torch.cat([self._before, features]), len(self._before)
        noticed = self.noticed
        for since, until in self._tagger.spans(before, len(features)):
            span = joined[before + since : before + until]
            told = onsets.push(self._tagger.probabilities(span))
            first = self._begun + since * FEATURE_SAMPLES
            extent = {
                name: (first + begin * FEATURE_SAMPLES, min(end, first + stop * FEATURE_SAMPLES))
                for name, (begin, stop) in self._tagger.extent(span).items()
            }
            noticed = follow(noticed, extent, dict(told), onsets.on)
        return noticed

    def _nothing(self) -> Tensor:
        """No features."""
        return torch.zeros(0, self._ear.feature_width, device=self._ear.device)

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


def follow(
    noticed: list[Sound],
    extent: dict[str, tuple[int, int]],
    told: dict[str, float],
    on: Collection[str],
) -> list[Sound]:
    """Sounds noticed so far, those that go on with their new end, and those that begin after them.

    Args:
        noticed: so far.
        extent: first sample and one past the last of each class in the span just judged.
        told: classes that begin there, with their probability.
        on: classes that are heard there.
    """
    latest = {sound.name: sound for sound in noticed}

    def goes_on(sound: Sound) -> bool:
        # Spans overlap: what begins before the last one of its kind has ended is the same sound.
        anew = sound.name in told and extent[sound.name][0] >= sound.end
        return sound.name in on and sound is latest[sound.name] and not anew

    going_on = {sound.name for sound in noticed if goes_on(sound)}
    follow = [
        replace(sound, end=max(sound.end, extent[sound.name][1])) if goes_on(sound) else sound
        for sound in noticed
    ]
    begun = [Sound(*extent[name], name, p) for name, p in told.items() if name not in going_on]
    return follow + sorted(begun, key=lambda sound: sound.begin)  # if at once, likeliest first
