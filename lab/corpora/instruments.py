"""Instruments and drums for training: phrases drawn at random, played by FluidSynth from a General
MIDI sound font (Debian: fluidsynth, fluid-soundfont-gm, timgm6mb-soundfont).

Evaluation hears another sound font, so other recordings of every instrument.
"""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import mido
import numpy as np
import soundfile

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora.scenes import fade, sound_rows
from lab.manifest import Row

FONTS = {
    "train": ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "FluidR3 GM, MIT"),
    "dev": ("/usr/share/sounds/sf2/TimGM6mb.sf2", "TimGM6mb, GPL-2"),
}

PROGRAMS = {
    "piano music": (0, 1, 3),
    "organ music": (16, 18, 19),
    "guitar music": (24, 25, 27),
    "electric guitar music": (29, 30),
    "violin music": (40, 41),
    "trumpet music": (56,),
    "saxophone music": (64, 65, 66),
    "flute music": (73, 74),
    "xylophone music": (12, 13),
    "drum music": (),
}
"""Class -> General MIDI programs, from 0 (MIDI 1.0, General MIDI level 1)."""

ORCHESTRA = {
    "piano": (0, 1, 2, 3),
    "xylophone": (9, 11, 12, 13),
    "organ": (16, 17, 18, 19),
    "accordion": (21, 23),
    "harmonica": (22,),
    "guitar": (24, 25, 26, 27),
    "electric guitar": (28, 29, 30),
    "bass guitar": (33, 34, 35, 36),
    "violin": (40, 41),
    "cello": (42, 43),
    "harp": (46,),
    "trumpet": (56, 59),
    "trombone": (57, 58, 60),
    "saxophone": (64, 65, 66, 67),
    "clarinet": (68, 71),
    "flute": (73, 74, 75),
    "banjo": (105,),
    "drum": (),
}
"""The same for the tagger of `small`, whose classes are called otherwise."""

PHRASE_S = 7.0
TICKS = 480
"""Per beat."""

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
CHORDS = ("piano music", "organ music", "guitar music", "piano", "organ", "guitar", "accordion")
"""Instruments that often play several notes at once."""

DRUMS = 9
"""MIDI channel of the drums, from 0."""

KICK, SNARE, HAT, TOMS = 36, 38, 42, (41, 45, 48)


@dataclass(frozen=True)
class InstrumentMaker:
    """The `Maker` of instruments."""

    split: str
    seed: int
    programs: dict[str, tuple[int, ...]] = field(default_factory=lambda: PROGRAMS)

    def start(self) -> None:
        """Nothing is needed."""

    def label(self, index: int) -> str:
        """Which one plays."""
        return list(self.programs)[index % len(self.programs)]

    def rows(self, index: int) -> list[Row]:
        """The instrument's name."""
        font, licence = FONTS[self.split]
        rows = sound_rows(self.label(index), licence, f"{Path(font).stem} {index}", self.split)
        return rows if self.split == "train" else rows[1:2]

    def make(self, index: int) -> Samples:
        """A phrase of 1.5 to 6 s.

        Raises:
            FileNotFoundError: FluidSynth is not installed.
            subprocess.CalledProcessError: it found no sound font.
        """
        rng = np.random.default_rng([self.seed, index])
        label = self.label(index)
        programs = self.programs[label]
        track = _melody(programs, label in CHORDS, rng) if programs else _drums(rng)
        samples = play(track, FONTS[self.split][0])
        samples = fade(samples[: int(rng.uniform(1.5, 6.0) * SAMPLE_RATE)], 30.0)
        samples = np.pad(samples, tuple((rng.uniform(0, 0.4, 2) * SAMPLE_RATE).astype(int)))
        peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
        return np.asarray(samples / peak * 10 ** (rng.uniform(-26, -1) / 20), np.float32)


def play(track: mido.MidiTrack, font: str) -> Samples:
    """The track's sound, 16 kHz, one channel."""
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "score.mid"), Path(folder, "sound.wav")
        file = mido.MidiFile(ticks_per_beat=TICKS)
        file.tracks.append(track)
        file.save(score)
        command = ["fluidsynth", "-ni", "-F", str(sound), "-r", str(SAMPLE_RATE), font, str(score)]
        subprocess.run(command, check=True, capture_output=True)
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(samples.mean(1), np.float32)


def _melody(programs: tuple[int, ...], chords: bool, rng: np.random.Generator) -> mido.MidiTrack:
    """Steps and small leaps in a key; some instruments play chords."""
    tempo = mido.bpm2tempo(float(rng.uniform(70, 160)))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
    track.append(mido.Message("program_change", program=programs[rng.integers(len(programs))]))
    scale = MAJOR if rng.random() < 0.6 else MINOR
    root, degree = int(rng.integers(48, 68)), int(rng.integers(0, 7))
    chords = chords and rng.random() < 0.6
    ticks, total = 0, _ticks(tempo)
    while ticks < total:
        length = int(TICKS * rng.choice([0.25, 0.5, 0.5, 1.0, 2.0]))
        degree = int(np.clip(degree + rng.integers(-3, 4), -3, 12))
        degrees = [degree, degree + 2, degree + 4] if chords else [degree]
        notes = [root + 12 * (d // 7) + scale[d % 7] for d in degrees]
        velocity = int(rng.integers(60, 120))
        track += [mido.Message("note_on", note=n, velocity=velocity) for n in notes]
        offs = [mido.Message("note_off", note=n) for n in notes]
        offs[0].time = length
        track += offs
        ticks += length
    return track


def _drums(rng: np.random.Generator) -> mido.MidiTrack:
    """A pattern of eight quavers, repeated."""
    tempo = mido.bpm2tempo(float(rng.uniform(80, 160)))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
    hats, kicks = rng.random(8) < rng.uniform(0.3, 1.0), rng.random(8) < 0.35
    snares, toms = rng.random(8) < 0.3, rng.random(8) < rng.uniform(0.0, 0.4)
    kicks[0] = snares[4] = True
    for beat in range(_ticks(tempo) * 2 // TICKS):
        place = beat % 8
        struck = [n for n, on in ((KICK, kicks), (SNARE, snares), (HAT, hats)) if on[place]]
        struck += [TOMS[beat % len(TOMS)]] if toms[place] else []
        velocity = int(rng.integers(70, 127))
        for note in struck:
            track.append(mido.Message("note_on", channel=DRUMS, note=note, velocity=velocity))
        rest = mido.Message("note_off", channel=DRUMS, note=HAT, time=TICKS // 2)
        track.append(rest)
    return track


def _ticks(tempo: int) -> int:
    return int(mido.second2tick(PHRASE_S, TICKS, tempo))
