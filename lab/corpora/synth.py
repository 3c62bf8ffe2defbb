"""Synthetic speech for training: texts read by several engines and voices.

Every utterance is a function of (seed, index) alone, up to the noise that the piper model
draws itself.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab.corpora.questions import facts
from lab.corpora.rough import Surroundings, in_quiet, make_rooms, roughen
from lab.corpora.sounds import NAMES, read_sounds
from lab.corpora.voices import Voice, speak
from lab.manifest import Row

NOISES = 300
"""Background recordings that one process holds."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line to be read aloud."""

    text: str
    """Lower case, letters and apostrophes."""

    answer: str
    """What the model should say to it: the text itself, or a reply."""

    task: str = "asr"
    """`asr`, or `listen` where the answer is a reply."""

    key: str = ""
    """What a right reply holds; empty: the answer itself."""


class Script:
    """Who reads what and where: the `Maker` of a synthetic corpus."""

    def __init__(
        self,
        lines: list[Line],
        voices: tuple[Voice, ...],
        count: int,
        seed: int,
        noises: Path | None,
        split: str,
        disguised: float = 0.0,
        live: bool = False,
    ) -> None:
        """Args:
        lines: read in random order; reused only when there are fewer than `count`.
        voices: drawn by weight.
        count: utterances.
        seed: of everything drawn.
        noises: `data/sound`, and utterances are put into rooms and noise; None: a quiet place.
        split: of all rows.
        disguised: part of the utterances that are said by another speaker.
        live: see `roughen`.
        """
        self._live = live
        rng = np.random.default_rng(seed)
        rounds = -(-count // len(lines))
        self._order = np.concatenate([rng.permutation(len(lines)) for _ in range(rounds)])
        weights = np.array([v.weight for v in voices])
        self._choice = rng.choice(len(voices), size=count, p=weights / weights.sum())
        self._disguised = rng.random(count) < disguised
        self._lines, self._voices, self._seed, self._noises = lines, voices, seed, noises
        self._split = split
        self._around: Surroundings | None = None

    def start(self) -> None:
        """Read the background sounds."""
        if self._noises is not None:
            self._around = Surroundings(make_rooms(), read_noises(self._noises))

    def rows(self, index: int) -> list[Row]:
        """The line read, and the reply to it."""
        line, voice = self._line(index), self._voices[self._choice[index]]
        speaker = f"{voice.engine}/{voice.name}" + (" disguised" if self._disguised[index] else "")
        row = Row(
            "", answer=line.answer, text=line.text, task=line.task, key=line.key,
            speaker=speaker, licence="synthetic", split=self._split, sources=(line.text,),
        )  # fmt: skip
        return [row]

    def _line(self, index: int) -> Line:
        return self._lines[int(self._order[index])]

    def make(self, index: int) -> Samples:
        """Speak it."""
        rng = np.random.default_rng([self._seed, index])
        voice, disguised = self._voices[self._choice[index]], bool(self._disguised[index])
        clean = speak(voice, self._line(index).text, rng, disguised)
        if self._around is None:
            return in_quiet(clean, rng)
        return roughen(clean, self._around, rng, self._live)


def read_noises(folder: Path) -> list[Samples]:
    """Background sounds that training may hear, all but those that sound like a speaker."""
    rng = np.random.default_rng(12)
    voices = {"music"} | {name for name in NAMES.values() if name.startswith("person")}
    chosen = [s for s in read_sounds(folder) if s.split == "train" and s.label not in voices]
    some = rng.permutation(len(chosen))[:NOISES]
    recordings = [load(chosen[i].path) for i in some]
    return [r for r in recordings if len(r) >= SAMPLE_RATE]


WHAT = "What is this sound?"
NOISE_ONLY = "Just noise."
NOTHING_SAID = "There is no speech."
"""The answer to a recording in which nobody speaks."""


def nobody(index: int, seed: int) -> Samples:
    """A recording without speech: silence, hiss, rumble, hum, clicks or clipping, 0.5 to 8 s."""
    rng = np.random.default_rng([seed, index])
    n = int(rng.uniform(0.5, 8.0) * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    hiss = rng.standard_normal(n)
    kinds = (
        lambda: np.zeros(n),
        lambda: hiss,
        lambda: np.cumsum(hiss) - np.linspace(0, hiss.sum(), n),
        lambda: np.sign(np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * time)) + 0.1 * hiss,
        lambda: hiss * (rng.random(n) < 8 / SAMPLE_RATE * rng.uniform(1, 5)) * 20,
        lambda: np.clip(hiss * 50, -1, 1),
        lambda: np.sin(2 * np.pi * rng.uniform(100, 3000) * time),
    )
    samples = kinds[int(rng.integers(len(kinds)))]()
    peak = max(float(np.abs(samples).max()), 1e-9)
    level = 10 ** (rng.uniform(-60, 0) / 20)
    return (samples / peak * level).astype(np.float32) if samples.any() else samples.astype("f4")


@dataclass(frozen=True, slots=True)
class Nobody:
    """The `Maker` of recordings in which nobody speaks."""

    seed: int

    split: str
    """Of all rows."""

    def start(self) -> None:
        """Nothing is needed."""

    def rows(self, index: int) -> list[Row]:
        """No speech in any; some are noise, some are silent."""
        answer = NOISE_ONLY if nobody(index, self.seed).any() else facts()["no_sound"]
        row = Row(
            "", NOTHING_SAID, key=NOTHING_SAID, licence="synthetic", speaker="nobody",
            split=self.split,
        )  # fmt: skip
        return [row, replace(row, task="QA", instruction=WHAT, answer=answer, key=answer)]

    def make(self, index: int) -> Samples:
        """See `nobody`."""
        return nobody(index, self.seed)
