"""Decodes the audio that clients send: PCM16 at five rates, mu-law and A-law, to frames at 16
kHz."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.resampler import Resampler

Encoding = Literal["pcm16", "mulaw", "alaw"]

RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
"""Sample rates of PCM16 that are supported, in Hz; multiples of `CUTS_PER_SECOND`."""


@dataclass(frozen=True, slots=True)
class InputFormat:
    """Format of input bytes; one channel."""

    encoding: Encoding = "pcm16"
    """pcm16: signed 16-bit little-endian. mulaw, alaw: ITU-T G.711, one byte per sample."""

    rate: int = SAMPLE_RATE
    """Hz."""

    def __post_init__(self) -> None:
        """Raises ValueError if the encoding is not one of `Encoding`, or the rate not in
        `RATES`."""
        if self.encoding not in get_args(Encoding):
            known = ", ".join(get_args(Encoding))
            raise ValueError(f"encoding: {self.encoding!r} is not one of {known}")
        if self.rate not in RATES:
            raise ValueError(f"rate: {self.rate} Hz is not one of {', '.join(map(str, RATES))}")

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.encoding == "pcm16" else 1


class InputDecoder:
    """Turns bytes of any format, cut anywhere, into frames of 20 ms at 16 kHz: a Stage[bytes,
    Frame].

    Frame times count samples at 16 kHz. Resampling keeps the length of the stream to the sample;
    the last frame is filled up with silence.
    """

    def __init__(self, format_: InputFormat) -> None:
        self._format = format_
        self.reset()

    def reset(self) -> None:
        """Drop pending bytes and samples, and count samples from 0 again."""
        self._bytes = bytearray()
        self._samples = np.zeros(0, np.int16)
        self._at = 0
        self._resampler = Resampler(self._format.rate, SAMPLE_RATE)

    def push(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes."""
        self._bytes += chunk
        piece = self._resampler.piece * self._format.sample_bytes
        made = []
        while len(self._bytes) >= piece:
            made.append(self._resampler.push(self._take(piece)))
        return self._cut(made)

    def flush(self) -> list[Frame]:
        """The pending frames; an incomplete frame is filled with silence, half a sample is
        dropped."""
        size = self._format.sample_bytes
        rest = self._take(len(self._bytes) // size * size)
        frames = self._cut([self._resampler.push(rest, last=True)])
        if missing := -len(self._samples) % FRAME_SAMPLES:
            frames += self._cut([np.zeros(missing, np.int16)])
        self.reset()
        return frames

    def settle(self) -> list[Frame]:
        """The pending frames, like `flush`, but half a sample is kept for the bytes that follow."""
        half = self._half()
        frames = self.flush()
        self._bytes += half
        return frames

    def drop(self) -> None:
        """Drop what is pending, but keep half a sample for the bytes that follow."""
        half = self._half()
        self.reset()
        self._bytes += half

    def _half(self) -> bytes:
        size = self._format.sample_bytes
        return bytes(self._bytes[len(self._bytes) // size * size :])

    def _take(self, count: int) -> NDArray[np.int16]:
        raw = bytes(self._bytes[:count])
        del self._bytes[:count]
        match self._format.encoding:
            case "pcm16":
                return np.frombuffer(raw, "<i2").astype(np.int16)
            case "mulaw":
                return MULAW[np.frombuffer(raw, np.uint8)]
            case "alaw":
                return ALAW[np.frombuffer(raw, np.uint8)]

    def _cut(self, made: list[NDArray[np.int16]]) -> list[Frame]:
        self._samples = np.concatenate([self._samples, *made])
        whole = len(self._samples) // FRAME_SAMPLES
        frames = []
        for i in range(whole):
            samples = self._samples[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES]
            frames.append(Frame(self._at, samples.astype("<i2").tobytes()))
            self._at += FRAME_SAMPLES
        self._samples = self._samples[whole * FRAME_SAMPLES :]
        return frames


def _mulaw_table() -> NDArray[np.int16]:
    """ITU-T G.711, section 3: 14-bit mu-law, scaled to 16 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa.astype(np.int32) << 3) + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    """ITU-T G.711, section 3: 13-bit A-law, scaled to 16 bits."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    small = (mantissa << 4) + 8
    large = ((mantissa << 4) + 264) << np.maximum(exponent.astype(np.int32) - 1, 0)
    magnitude = np.where(exponent == 0, small, large)
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


MULAW, ALAW = _mulaw_table(), _alaw_table()
"""The value of every code."""
