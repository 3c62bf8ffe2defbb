"""Recordings made from other recordings: sounds alone, roughened speech, joined utterances.

What is heard is written out in order in `Row.text`: words as they are, sounds in parentheses.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import soxr

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab import manifest
from lab.corpora.disguise import disguise
from lab.corpora.questions import sentence
from lab.corpora.rough import Surroundings, make_rooms, roughen
from lab.corpora.sounds import Sound, phrase, sounds_of
from lab.corpora.synth import NOTHING_SAID, WHAT, read_noises
from lab.manifest import Row

KIND = "Is this speech, music or a sound?"

DEV_S = 8
"""Seconds of a held-out sound."""


def heard(label: str) -> str:
    """A sound as it is written in a transcript: "(dog barking)"."""
    return f"({label})"


def fade(samples: Samples, ms: float = 10.0) -> Samples:
    """The recording with its ends faded, so that a cut does not click."""
    n = min(int(ms * SAMPLE_RATE / 1000), len(samples) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    return np.concatenate([samples[:n] * ramp, samples[n : len(samples) - n],
                           samples[len(samples) - n :] * ramp[::-1]])  # fmt: skip


def loudest(samples: Samples, n: int, rng: np.random.Generator) -> Samples:
    """About `n` samples of a recording around where it is loud; all of it when it is shorter."""
    if len(samples) <= n:
        return samples
    hop = SAMPLE_RATE // 10
    power = np.array([np.mean(samples[i : i + hop] ** 2) for i in range(0, len(samples), hop)])
    centre = int(rng.choice(len(power), p=(power + 1e-12) / (power + 1e-12).sum())) * hop
    start = int(np.clip(centre - rng.uniform(0.2, 0.8) * n, 0, len(samples) - n))
    return samples[start : start + n]


def sound_rows(label: str, licence: str, recording: str, split: str) -> list[Row]:
    """What is said about a recording of one sound: a sentence, its name, no speech, its kind."""
    kind = "Music." if label.split()[-1] == "music" else "A sound."
    what = phrase(label)
    row = Row(
        "", answer=f"I hear {what}.", text=heard(label), task="audiocaption", key=label,
        licence=licence, speaker=recording, split=split, sources=(recording,),
    )  # fmt: skip
    return [
        row,
        replace(row, task="QA", instruction=WHAT, answer=sentence(what) + "."),
        replace(row, task="asr", answer=NOTHING_SAID, key=NOTHING_SAID),
        replace(row, task="QA", instruction=KIND, answer=kind, key=kind[:-1].split()[-1]),
    ]


@dataclass(frozen=True)
class SoundMaker:
    """The `Maker` of sounds alone: excerpts at other paces and levels, for training."""

    folder: Path
    """`data/sound`."""

    seed: int

    @cached_property
    def _sounds(self) -> list[Sound]:
        return sounds_of(self.folder, "train")

    @cached_property
    def count(self) -> int:
        """Recordings there are to take from."""
        return len(self._sounds)

    def start(self) -> None:
        """Nothing is needed."""

    def rows(self, index: int) -> list[Row]:
        """The sound's name."""
        sound = self._sounds[index % self.count]
        return sound_rows(sound.label, sound.licence, sound.recording, "train")

    def make(self, index: int) -> Samples:
        """An excerpt of 1 to 6 s."""
        rng = np.random.default_rng([self.seed, index])
        samples = load(self._sounds[index % self.count].path)
        samples = fade(loudest(samples, int(rng.uniform(1.0, 6.0) * SAMPLE_RATE), rng))
        samples = soxr.resample(samples, SAMPLE_RATE * rng.uniform(0.9, 1.12), SAMPLE_RATE)
        samples = np.pad(samples, tuple((rng.uniform(0, 0.5, 2) * SAMPLE_RATE).astype(int)))
        peak = max(float(np.abs(samples).max()), 1e-9)
        return np.asarray(samples / peak * 10 ** (rng.uniform(-26, -1) / 20), np.float32)


def held_out_sounds(folder: Path, split: str) -> list[Row]:
    """Rows of the sounds of a split that only evaluation hears, at most `DEV_S` of each, audio
    absolute."""
    return [
        Row(
            str(sound.path.resolve()), answer=sentence(phrase(sound.label)) + ".",
            text=heard(sound.label), task="QA", instruction=WHAT, key=sound.label,
            licence=sound.licence, split=split, sources=(sound.recording,),
            speaker=sound.recording, length=DEV_S * SAMPLE_RATE,
        )
        for sound in sounds_of(folder, split)
    ]  # fmt: skip


class RoughMaker:
    """The `Maker` of roughened copies of recorded speech."""

    def __init__(
        self, source: Path, noises: Path, seed: int, disguised: float = 0.0, live: bool = False
    ) -> None:
        """Args:
        source: a manifest.
        noises: `data/sound`.
        seed: of everything drawn.
        disguised: part of the recordings that are said by another speaker.
        live: see `roughen`.
        """
        self._disguised, self._live = disguised, live
        self._folder, self._rows = source.parent, manifest.read(source)
        self._noises, self._seed = noises, seed
        self._around = Surroundings([], [])
        self.count = len(self._rows)

    def start(self) -> None:
        """Read the background sounds."""
        self._around = Surroundings(make_rooms(), read_noises(self._noises))

    def rows(self, index: int) -> list[Row]:
        """As the source has it."""
        row = self._rows[index % self.count]
        return [replace(row, offset=0, sources=row.origins(self._folder))]

    def make(self, index: int) -> Samples:
        """Another pace and pitch, and other surroundings."""
        rng = np.random.default_rng([self._seed, index])
        samples = _read(self._folder, self._rows[index % self.count])
        samples = soxr.resample(samples, SAMPLE_RATE * rng.uniform(0.87, 1.15), SAMPLE_RATE)
        if self._disguised and rng.random() < self._disguised:
            samples = disguise(samples, rng)
        peak = max(float(np.abs(samples).max()), 1e-9)
        return roughen(np.asarray(samples / peak, np.float32), self._around, rng, self._live)


class JoinMaker:
    """The `Maker` of long recordings: utterances one after the other."""

    def __init__(self, sources: list[Path], seed: int) -> None:
        """`sources` are manifests."""
        rows = [(path.parent, row) for path in sources for row in manifest.read(path)]
        self._rows = [(folder, row) for folder, row in rows if row.task == "asr" and row.text]
        self._seed = seed

    def start(self) -> None:
        """Nothing is needed."""

    def _chosen(self, index: int) -> list[tuple[Path, Row]]:
        rng = np.random.default_rng([self._seed, index, 0])
        return [self._rows[i] for i in rng.integers(len(self._rows), size=rng.integers(2, 7))]

    def rows(self, index: int) -> list[Row]:
        """All texts in order."""
        chosen = self._chosen(index)
        text = " ".join(row.text for _, row in chosen)
        sources = tuple(name for folder, row in chosen for name in row.origins(folder))
        return [Row("", answer=text, text=text, licence="as its parts", sources=sources)]

    def make(self, index: int) -> Samples:
        """Put one after the other, at one level, up to 0.7 s apart."""
        rng = np.random.default_rng([self._seed, index, 1])
        parts = []
        for folder, row in self._chosen(index):
            samples = _read(folder, row)
            parts += [samples / max(float(np.abs(samples).max()), 1e-9) * rng.uniform(0.5, 1.0),
                      np.zeros(int(rng.uniform(0, 0.7) * SAMPLE_RATE))]  # fmt: skip
        level = 10 ** (rng.uniform(-20, -1) / 20)
        return np.asarray(np.concatenate(parts) * level, np.float32)


def _read(folder: Path, row: Row) -> Samples:
    samples = load(folder / row.audio)
    return samples[row.offset : None if row.length is None else row.offset + row.length]
