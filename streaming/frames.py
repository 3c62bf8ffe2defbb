"""Cutting a PCM byte stream into frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz."""

FRAME_SAMPLES = 320
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


class Framer:
    """Stage[bytes, Frame]. Chunks may have any length, and may split a sample in two."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget pending bytes and start counting samples anew."""
        self._pending = bytearray()
        self._at = 0

    def push(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes."""
        self._pending += chunk
        whole = len(self._pending) // FRAME_BYTES
        frames = [
            Frame(
                self._at + i * FRAME_SAMPLES,
                bytes(self._pending[i * FRAME_BYTES : (i + 1) * FRAME_BYTES]),
            )
            for i in range(whole)
        ]
        del self._pending[: whole * FRAME_BYTES]
        self._at += whole * FRAME_SAMPLES
        return frames

    def flush(self) -> list[Frame]:
        """The last, incomplete frame, filled up with silence, so that no sample is lost."""
        missing = -len(self._pending) % FRAME_BYTES
        frames = self.push(bytes(missing))
        self.reset()
        return frames
