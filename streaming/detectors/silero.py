"""Silero's voice activity detector in ONNX Runtime, with its recurrent state kept here.

The model is a file of the `silero-vad` package. The package itself is not imported, since that
would load torch's audio libraries.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ComponentError
from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import Frame

WINDOW = 512
"""Samples per decision of the model, 32 ms."""

CONTEXT = 64
"""Samples before the window that the model is given, too."""

STATE = (2, 1, 128)

RESTS_AFTER = 16
"""Windows of digital silence, half a second, after which the model is reset, and not run again
until a sample differs from 0."""


@cache
def _model() -> Any:
    import onnxruntime

    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise ComponentError("endpointing.detector: silero needs `pip install silero-vad`")
    path = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad_16k_op15.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a millisecond's work
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class SileroDetector:
    """Decides for each frame whether someone speaks, by the last complete window of 32 ms."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: probability from which a window counts as speech.

        Raises:
            ComponentError: the package is not installed.
        """
        self._model = _model()
        self._threshold = threshold
        self._pending: NDArray[np.float32] = np.zeros(0, np.float32)
        self._silent = 0  # windows of digital silence that came last
        self.probability = 0.0
        """Probability of speech in the last complete window."""

        self._start()

    def _start(self) -> None:
        self._context: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)
        self._state: NDArray[np.float32] = np.zeros(STATE, np.float32)
        self.probability = 0.0

    def __call__(self, frame: Frame) -> bool:
        """Take the next frame; returns whether someone speaks."""
        self._pending = np.concatenate([self._pending, frame.samples()])
        while len(self._pending) >= WINDOW:
            window, self._pending = self._pending[:WINDOW], self._pending[WINDOW:]
            self._silent = 0 if window.any() else self._silent + 1
            if self._silent > RESTS_AFTER:
                self._start()
            else:
                self._listen(window)
        return self.probability >= self._threshold

    def _listen(self, window: NDArray[np.float32]) -> None:
        given = {
            "input": np.concatenate([self._context, window])[None],
            "state": self._state,
            "sr": np.array(SAMPLE_RATE, np.int64),
        }
        output, self._state = self._model.run(None, given)
        self._context = window[-CONTEXT:]
        self.probability = float(output[0, 0])


def silero(threshold: float) -> Callable[[], SileroDetector]:
    """A factory of Silero detectors, each with its own state."""
    return lambda: SileroDetector(threshold)
