"""The frame: the unit of endpointing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.rates import FEATURE_SAMPLES

FRAME_SAMPLES = FEATURE_SAMPLES
"""Samples of a frame: 20 ms, which webrtcvad takes, and which one encoder feature covers."""

FRAME_BYTES = 2 * FRAME_SAMPLES
"""Bytes of a frame, whose samples are signed 16-bit little-endian, mono."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`FRAME_SAMPLES` consecutive samples."""

    at: int
    """Index of the first sample in the session's input."""

    pcm: bytes
    """The samples as `FRAME_BYTES` bytes, signed 16-bit little-endian."""

    def samples(self) -> NDArray[np.float32]:
        """The samples as numbers in [-1, 1), shape (FRAME_SAMPLES,)."""
        return np.frombuffer(self.pcm, "<i2").astype(np.float32) / 32768.0
