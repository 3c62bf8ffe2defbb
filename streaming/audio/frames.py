"""The unit that everything in the core counts in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.rates import FEATURE_SAMPLES

FRAME_SAMPLES = FEATURE_SAMPLES
"""20 ms: what webrtcvad takes, and one encoder feature."""

FRAME_BYTES = 2 * FRAME_SAMPLES
"""Samples are signed 16-bit little-endian, mono."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`FRAME_SAMPLES` consecutive samples."""

    at: int
    """Index of the first sample in the session's input."""

    pcm: bytes
    """`FRAME_BYTES` bytes."""

    def samples(self) -> NDArray[np.float32]:
        """Shape (FRAME_SAMPLES,), in [-1, 1)."""
        return np.frombuffer(self.pcm, "<i2").astype(np.float32) / 32768.0
