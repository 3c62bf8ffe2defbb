"""The sounds of one stream: those that a tagger is sure of, and those that it guesses."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assistant.ear.tagger import BEGINS, PERHAPS, Onsets, Tagger
from assistant.rates import FEATURE_SAMPLES


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

    @property
    def is_sure(self) -> bool:
        """Whether the tagger names it; otherwise it guesses."""
        return self.probability >= BEGINS


class Track:
    """Sounds of one kind, sure ones or guesses: those of the last seconds, and which go on."""

    def __init__(self, onsets: Onsets) -> None:
        self.onsets = onsets
        self.sounds: list[Sound] = []
        """In the order in which they began."""

    def fork(self) -> "Track":
        """An independent copy."""
        twin = Track(self.onsets.fork())
        twin.sounds = self.sounds
        return twin

    def push(self, probabilities: dict[str, float], extent: dict[str, tuple[int, int]]) -> None:
        """Take the next span: the probability of each class, and the first sample and one past
        the last of each class in it."""
        told = dict(self.onsets.push(probabilities))
        self.sounds = follow(self.sounds, extent, told, self.onsets.on)

    def forget(self, since: int, until: int) -> None:
        """Drop all that overlap samples [since, until); one that goes on may begin anew."""
        latest = {sound.name: sound for sound in self.sounds}
        going_on = [latest[name] for name in self.onsets.on if name in latest]
        dropped = [s for s in self.sounds if s.begin < until and s.end > since]
        self.sounds = [s for s in self.sounds if s not in dropped]
        self.onsets.on -= {s.name for s in dropped if s in going_on}


class Noticing:
    """Names the sounds of one stream, block by block."""

    def __init__(self, tagger: Tagger | None, nothing: Tensor) -> None:
        """Args:
        tagger: shared weights; None: no sounds are named.
        nothing: no features, (0, width).
        """
        self._tagger, self._nothing = tagger, nothing
        self._before = nothing  # features of the blocks before, as far as spans look back on them
        self._sure, self._guessed = Track(Onsets()), Track(Onsets(PERHAPS, PERHAPS))
        self.began: list[Sound] = []
        """Sounds that began since the last `clear`."""

    @property
    def noticed(self) -> list[Sound]:
        """Sounds of the last seconds, in the order in which they began."""
        return self._sure.sounds

    @property
    def likely(self) -> list[Sound]:
        """The same, and guesses where no class was sure."""
        return self._with_guesses(self._sure, self._guessed)

    def clear(self) -> None:
        """Nothing began yet."""
        self.began = []

    def silence(self) -> None:
        """The next block is silent."""
        self._before = self._nothing
        for track in (self._sure, self._guessed):
            track.onsets.push({})

    def push(self, features: Tensor, begun: int, end: int) -> None:
        """Note the sounds of the next block; see `peek`."""
        if self._tagger is None:
            return
        count = len(self._sure.sounds)
        self._judge(self._tagger, self._sure, self._guessed, features, begun, end)
        self.began += self._sure.sounds[count:]
        self._before = features[len(features) - self._tagger.before :].clone()

    def peek(self, features: Tensor, begun: int, end: int) -> list[Sound]:
        """`likely`, as it would be if a block ended here.

        Args:
            features: of the block, (n, width).
            begun: its first sample.
            end: one past its last.
        """
        if self._tagger is None:
            return self.likely
        sure, guessed = self._sure.fork(), self._guessed.fork()
        self._judge(self._tagger, sure, guessed, features, begun, end)
        return self._with_guesses(sure, guessed)

    def _judge(
        self, tagger: Tagger, sure: Track, guessed: Track, features: Tensor, begun: int, end: int
    ) -> None:
        joined, before = torch.cat([self._before, features]), len(self._before)
        for since, until in tagger.spans(before, len(features)):
            span = joined[before + since : before + until]
            first = begun + since * FEATURE_SAMPLES
            extent = {
                name: (first + start * FEATURE_SAMPLES, min(end, first + stop * FEATURE_SAMPLES))
                for name, (start, stop) in tagger.extent(span).items()
            }
            sure.push(tagger.probabilities(span), extent)
            guessed.push(tagger.guess(span), extent)

    def _with_guesses(self, sure: Track, guessed: Track) -> list[Sound]:
        """Both in the order in which they began, but no guess beside a class that is sure."""
        vague = frozenset() if self._tagger is None else self._tagger.vague
        classes = [sound for sound in sure.sounds if sound.name not in vague]
        alone = [
            guess
            for guess in guessed.sounds
            if not any(s.begin < guess.end and s.end > guess.begin for s in classes)
        ]
        return sorted([*sure.sounds, *alone], key=lambda sound: sound.begin)

    def name_sounds(self, tagger: Tagger | None) -> None:
        """Name the sounds in every block from here on. None: stop naming sounds."""
        if tagger is not self._tagger:
            self._tagger, self._before = tagger, self._nothing
            self._sure.onsets.on = self._guessed.onsets.on = frozenset()

    def forget(self, since: int, until: int, begun: int) -> None:
        """Drop all sounds that overlap samples [since, until); the open block begins at `begun`."""
        before = begun - len(self._before) * FEATURE_SAMPLES
        if since < begun and until > before:
            self._before = self._nothing
        self._sure.forget(since, until)
        self._guessed.forget(since, until)

    def drop(self, until: int) -> None:
        """Forget sounds that ended at sample `until` or before."""
        for track in (self._sure, self._guessed):
            track.sounds = [sound for sound in track.sounds if sound.end > until]


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
