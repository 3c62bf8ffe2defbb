"""Short recordings for the tagger of `small`: one sound or two, near and far, brief and long, with
noise, speech or nothing beside them, and sounds that it does not know.

A row's `text` names what is heard, `(unknown sound)` for what is not known; its `key` says when,
and which classes are in doubt, since the teacher hears them too:
`dog barking 0.40 2.10;rain 0.00 5.12;?birds singing`, in seconds.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import fftconvolve

from assistant.ear.tagger import UNKNOWN_SOUND
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab import manifest
from lab.classes import sound_classes
from lab.corpora.library import UNKNOWN, Clip, Use, read_library
from lab.corpora.rough import background, gain_for_snr, make_rooms
from lab.corpora.scenes import fade, heard, loudest
from lab.corpora.synth import nobody
from lab.corpora.teacher import read_heard
from lab.manifest import Row, entries

DOUBT = "?"
"""Before a class in a row's key that is in doubt."""

BLOCK_S = 2.56
"""Recordings are one, two or three of the tagger's blocks long."""

KINDS = {"one": 0.5, "two": 0.2, "over": 0.1, "speech": 0.08, "nothing": 0.12}
"""Shares of the kinds of recordings; over: a sound and speech at once."""

TALK = {"beside": 1.0}
"""The same where all have a sound with speech before it, and some after it, too."""

UNKNOWN_SHARE = 0.1
"""Of the sounds."""

WHOLE_S = 2 * BLOCK_S
"""Seconds of a recording that is learned from as it is."""

BRIEF_SHARE = 0.12
BRIEF_S = 0.1, 0.5

GAP_S = 0.25
"""A sound goes on over a quiet stretch no longer than this."""

FLOOR = 10 ** (-30 / 20)
"""Of a recording's peak: what is quieter is not the sound."""

SPEECH = ("speechocean762", "librispeech", "commonvoice_v1", "minds14")


@dataclass(frozen=True, slots=True)
class Sounding:
    """A sound in a recording."""

    clip: Clip
    samples: Samples
    at: int
    """First sample."""


class ExcerptMaker:
    """The `Maker` of excerpts."""

    def __init__(
        self,
        data: Path,
        extra: list[Clip],
        doubts: Path,
        seed: int,
        kinds: dict[str, float] = KINDS,
    ) -> None:
        """Args:
        data: the folder `data`.
        extra: clips besides those of the library.
        doubts: what `teacher.write_heard` wrote.
        seed: of everything drawn.
        kinds: shares of the kinds of recordings.
        """
        self._kinds = kinds
        self._data, self._extra, self._doubts, self._seed = data, extra, doubts, seed
        self._rooms: list[Samples] = []

    def start(self) -> None:
        """Build the rooms."""
        self._rooms = make_rooms(60)

    @cached_property
    def _by_name(self) -> dict[str, dict[str, list[Clip]]]:
        """Clips to learn from, by class and recording."""
        found: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
        for clip in [*read_library(self._data / "sound"), *self._extra]:
            if clip.use == "train":
                found[clip.name][clip.recording].append(clip)
        return found

    @cached_property
    def _names(self) -> tuple[list[str], list[float]]:
        """Classes, and how often each is drawn: by the root of its recordings."""
        names = sorted(name for name in self._by_name if name != UNKNOWN)
        weights = np.array([len(self._by_name[name]) ** 0.5 for name in names])
        return names, list(weights / weights.sum())

    @cached_property
    def _heard(self) -> dict[str, list[str]]:
        return read_heard(self._doubts)

    @cached_property
    def _speech(self) -> list[Path]:
        folders = [self._data / "speech" / name for name in SPEECH]
        return [f / e["file"] for f in folders for e in entries(f) if e["split"] == "train"]

    def rows(self, index: int) -> list[Row]:
        """What is heard, and when."""
        kind, sounds, _ = self._draw(index)
        text = " ".join(heard(_name(sound.clip)) for sound in sounds)
        if kind in ("over", "speech", "beside"):
            text = f"someone speaks {text}".strip()
        key = self._key(sounds)
        licences = sorted({s.clip.licence for s in sounds})
        return [
            Row(
                "", answer=text, text=text, key=key,
                task="audiocaption", speaker=" ".join(s.clip.recording for s in sounds),
                licence="; ".join(licences),
                sources=tuple(s.clip.recording for s in sounds),
            )
        ]  # fmt: skip

    def _key(self, sounds: list[Sounding]) -> str:
        return _said(sounds, {n for s in sounds for n in self._heard.get(str(s.clip.path), [])})

    def make(self, index: int) -> Samples:
        """Put it together."""
        kind, sounds, n = self._draw(index)
        rng = np.random.default_rng([self._seed, index, 1])
        mixed = np.zeros(n, np.float32)
        for sound in sounds:
            mixed[sound.at : sound.at + len(sound.samples)] += sound.samples
        if self._rooms and rng.random() < 0.35:
            room = self._rooms[int(rng.integers(len(self._rooms)))]
            mixed = fftconvolve(mixed, room)[:n].astype(np.float32)
        if kind == "nothing":
            mixed = np.resize(nobody(int(rng.integers(10**6)), self._seed), n)
        if kind == "beside":
            mixed = self._beside(mixed, sounds[0], rng)
        if kind in ("over", "speech"):
            said = load(self._speech[int(rng.integers(len(self._speech)))])
            said = np.resize(said, n) if rng.random() < 0.5 else np.pad(said, (0, n))[:n]
            gain = gain_for_snr(said, mixed, rng.uniform(-5, 10)) if sounds else 0.0
            mixed = said + mixed * np.float32(gain)
        if kind != "nothing":
            mixed = coloured(mixed, rng)
            if rng.random() < 0.6:
                noise = coloured(background(n, [], rng), rng)
                mixed = mixed + noise * gain_for_snr(mixed, noise, rng.uniform(3, 35))
        peak = max(float(np.abs(mixed).max(initial=0.0)), 1e-9)
        if kind == "nothing" and peak < 1e-3:
            return np.asarray(mixed, np.float32)
        return np.asarray(mixed / peak * 10 ** (rng.uniform(-30, -1) / 20), np.float32)

    def _beside(self, mixed: Samples, sound: Sounding, rng: np.random.Generator) -> Samples:
        """With speech that ends about where the sound begins, and for half of them speech after."""
        said = np.zeros_like(mixed)
        pause, overlap = (int(x * SAMPLE_RATE) for x in (rng.uniform(0, 1.5), rng.uniform(0, 0.2)))
        stops = max(0, sound.at - pause + overlap)
        first = self._line(stops, rng)
        said[stops - len(first) : stops] = first
        goes_on = sound.at + len(sound.samples) + pause
        if rng.random() < 0.5 and goes_on < len(mixed):
            second = self._line(len(mixed) - goes_on, rng)
            said[goes_on : goes_on + len(second)] += second
        level = max(float(np.abs(said).max(initial=0.0)), 1e-9)
        return np.asarray(said / level + mixed * 10 ** (rng.uniform(-20, 6) / 20), np.float32)

    def _line(self, n: int, rng: np.random.Generator) -> Samples:
        """Speech, `n` samples at most."""
        return fade(trimmed(load(self._speech[int(rng.integers(len(self._speech)))]))[:n])

    def _draw(self, index: int) -> tuple[str, list[Sounding], int]:
        rng = np.random.default_rng([self._seed, index, 0])
        kind = str(rng.choice(list(self._kinds), p=list(self._kinds.values())))
        n = round(BLOCK_S * SAMPLE_RATE) * (1 if rng.random() < 0.4 else 2)
        if kind in ("speech", "nothing"):
            return kind, [], n
        if kind == "beside":
            n = round(3 * BLOCK_S * SAMPLE_RATE)
            sound = self._sounding(self._name(rng), n // 2, rng)
            least = min(SAMPLE_RATE, n - len(sound.samples))
            at = int(rng.integers(least, n - len(sound.samples) + 1))
            return kind, [replace(sound, at=at)], n
        names: list[str] = []
        while len(names) < (2 if kind == "two" else 1):
            name = self._name(rng)
            if name not in names:
                names.append(name)
        return kind, [self._sounding(name, n, rng) for name in names], n

    def _name(self, rng: np.random.Generator) -> str:
        if rng.random() < UNKNOWN_SHARE:
            return UNKNOWN
        names, weights = self._names
        return str(rng.choice(names, p=weights))

    def _sounding(self, name: str, n: int, rng: np.random.Generator) -> Sounding:
        recordings = self._by_name[name]
        clips = recordings[sorted(recordings)[rng.integers(len(recordings))]]
        clip = clips[rng.integers(len(clips))]
        samples = trimmed(load(clip.path))
        longest = rng.uniform(*BRIEF_S) if rng.random() < BRIEF_SHARE else rng.uniform(0.6, 5.2)
        samples = loudest(samples, min(n, int(longest * SAMPLE_RATE)), rng)
        if len(samples) > 400:
            samples = soxr.resample(samples, SAMPLE_RATE * rng.uniform(0.88, 1.14), SAMPLE_RATE)
        samples = fade(np.asarray(samples[:n], np.float32), 8.0)
        samples = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-9)
        at = int(rng.integers(n - len(samples) + 1))
        return Sounding(clip, samples * np.float32(rng.uniform(0.35, 1.0)), at)


def trimmed(samples: Samples) -> Samples:
    """A recording without the quiet before and after it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=0.0))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def coloured(samples: Samples, rng: np.random.Generator) -> Samples:
    """As another microphone hears it: up to 9 dB more or less from octave to octave, and in one of
    three nothing above 3 to 7 kHz."""
    spectrum = np.fft.rfft(samples)
    octaves = np.array([0.0, 60, 125, 250, 500, 1000, 2000, 4000, 8000])
    at = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    steps = rng.normal(0, 3.5, len(octaves)).clip(-9, 9)
    gain = 10 ** (np.interp(at, octaves, steps) / 20)
    if rng.random() < 0.33:
        gain = gain / (1 + (at / rng.uniform(3000, 7000)) ** 8)
    return np.fft.irfft(spectrum * gain, len(samples)).astype(np.float32)


def _name(clip: Clip) -> str:
    return clip.name or UNKNOWN_SOUND


def _spans(sound: Sounding) -> list[tuple[float, float]]:
    """Seconds of the recording in which the sound is loud, with short gaps closed."""
    n = max(1, len(sound.samples) // FEATURE_SAMPLES)
    frames = np.array_split(np.abs(sound.samples), n)
    levels = np.array([float(frame.max(initial=0.0)) for frame in frames])
    loud = np.flatnonzero(levels > FLOOR * levels.max(initial=1e-9))
    spans: list[tuple[float, float]] = []
    step = len(sound.samples) / n / SAMPLE_RATE
    for i in loud:
        begin, end = (sound.at / SAMPLE_RATE + step * k for k in (i, i + 1))
        if spans and begin - spans[-1][1] <= GAP_S:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((begin, end))
    return spans


def _said(sounds: list[Sounding], heard: set[str]) -> str:
    """A row's key: the sounds with their times, and what the teacher hears besides."""
    spans = [f"{_name(s.clip)} {a:.2f} {b:.2f}" for s in sounds for a, b in _spans(s)]
    known = {s.clip.name for s in sounds}
    known |= {c.family for n, c in sound_classes().classes.items() if n in known and c.family}
    return ";".join([*spans, *(f"{DOUBT}{name}" for name in sorted(heard - known))])


def whole_clips(data: Path, doubts: Path) -> list[Row]:
    """The library's recordings to learn from, as they are: their first seconds."""
    heard_by, rows = read_heard(doubts), []
    for clip in read_library(data / "sound"):
        if clip.use == "train":
            samples = load(clip.path)[: round(WHOLE_S * SAMPLE_RATE)]
            key = _said([Sounding(clip, samples, 0)], set(heard_by.get(str(clip.path), [])))
            rows.append(
                Row(
                    str(clip.path.resolve()), answer=heard(_name(clip)), text=heard(_name(clip)),
                    key=key, task="audiocaption", speaker=clip.recording, licence=clip.licence,
                    length=len(samples), sources=(clip.recording,),
                )
            )  # fmt: skip
    return rows


def held_out(data: Path, use: Use) -> list[Row]:
    """Recordings of the library that are for `use`, as they are: name, source and what it is."""
    return [
        Row(
            str(clip.path.resolve()), answer=_name(clip), text=heard(_name(clip)), task="QA",
            instruction="What is this sound?", key=_name(clip), licence=clip.licence, split=use,
            speaker=f"{'source' if clip.held_source else 'recording'} {clip.recording}",
            length=10 * SAMPLE_RATE, sources=(clip.recording,),
        )
        for clip in read_library(data / "sound") if clip.use == use
    ]  # fmt: skip


def played(manifest_path: Path, use: Use) -> list[Clip]:
    """Instruments that a sound font plays (`instruments.InstrumentMaker`), as clips: all that one
    font plays of an instrument counts as one recording."""
    known = sound_classes().classes
    return [
        Clip(
            manifest_path.parent / row.audio, row.key, row.key, "sound font",
            f"{row.speaker.split()[0]} {row.key}", use, True, row.licence,
        )
        for row in manifest.read(manifest_path) if row.task == "QA" and row.key in known
    ]  # fmt: skip
