"""microWakeWord's models, which recognise one phrase each, in TensorFlow Lite.

Four models come with the `pymicro-wakeword` package; others are a `.json` file with the `.tflite`
file that it names beside it. One takes 0.2 % of a core
(`bench.wake_word`).
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from assistant.errors import ComponentError
from streaming.audio.frames import FRAME_BYTES, Frame

KEY = "wake_word.model"

THRESHOLDS = {"hey_jarvis": 0.7}
"""In place of a model's own: hey_jarvis' 0.97 missed twice as many calls, and neither was wrong in
hours of speech (`bench.wake_word`). The others need theirs."""

TRIED_FRAMES = 10
"""Frames of silence that a model is tried with; it takes three features at a time, of 10 ms."""


class MicroWakeWord:
    """Hears one phrase, by the mean of the model's last probabilities."""

    def __init__(self, path: Path, threshold: float | None = None) -> None:
        """Args:
        path: of the model's `.json`.
        threshold: mean probability from which on the phrase was said; None: the model's own.
        """
        package = _package()
        self._model = package.MicroWakeWord.from_config(path)
        self._threshold = self._model.probability_cutoff if threshold is None else threshold
        self._features = package.MicroWakeWordFeatures()
        self._given = 0  # features, of which the model takes so many at a time
        self._heard = False

    def __call__(self, frame: Frame) -> bool:
        """Take the next frame; whether the phrase was said just now."""
        for features in self._features.process_streaming(frame.pcm):
            found, self._given = self._model.process_streaming_prob(features), self._given + 1
            if self._given % self._model.stride == 0:  # otherwise it says 0
                self._heard = found >= self._threshold
        return self._heard


@cache
def _package() -> Any:
    try:
        import pymicro_wakeword
    except (ImportError, OSError) as error:
        why = "needs `pip install 'salmonn-live[wake]'`"
        raise ComponentError(f"{KEY}: {why} ({error})") from error
    return pymicro_wakeword


@cache
def _file(name: str) -> Path:
    """A model's `.json`.

    Raises:
        ComponentError: there is none, or the package is not installed.
    """
    shipped = {str(model.value): model for model in _package().Model}
    if name in shipped:
        return Path(_package().__file__).parent / "models" / f"{name}.json"
    path = Path(name).expanduser()
    if not path.is_file():
        known = ", ".join(sorted(shipped))
        raise ComponentError(f"{KEY}: {name!r:.60} is no file; models that are there: {known}")
    return path


def _can_be_loaded(tflite: Path) -> bool:
    """Whether a file is a model of TensorFlow Lite; the package would take any, and crash."""
    package = _package()
    lib = package.MicroWakeWord.from_builtin(package.Model.HEY_JARVIS).lib
    model = lib.TfLiteModelCreateFromFile(str(tflite.resolve()).encode())
    if model:
        lib.TfLiteModelDelete(model)
    return bool(model)


@cache
def phrase(name: str) -> str:
    """What has to be said, such as "Hey Jarvis".

    Args:
        name: of a model, or the path of its `.json`.

    Raises:
        ComponentError: there is no such model, or the package is not installed.
    """
    try:
        about = json.loads(_file(name).read_text(encoding="utf-8"))
        said, tflite = str(about["wake_word"]), _file(name).parent / str(about["model"])
        if not tflite.is_file():
            raise ComponentError(f"{KEY}: {tflite.name} is not beside {_file(name).name}")
        if not _can_be_loaded(tflite):
            raise ComponentError(f"{KEY}: {tflite.name} is no model of TensorFlow Lite")
        detector = MicroWakeWord(_file(name))
        for _ in range(TRIED_FRAMES):
            detector(Frame(0, bytes(FRAME_BYTES)))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ComponentError(f"{KEY}: {name!r:.60} is no model of microWakeWord") from error
    return said


def wake_word(name: str, threshold: float | None = None) -> Callable[[], MicroWakeWord]:
    """A factory of detectors, each with its own state.

    Args:
        name: see `phrase`.
        threshold: mean probability from which on the phrase was said; None: as is best for it.
    """
    phrase(name)
    wanted = THRESHOLDS.get(name) if threshold is None else threshold
    return lambda: MicroWakeWord(_file(name), wanted)
