"""Speech as clients want it: from 24 kHz PCM16 to PCM16 at other rates, mu-law and A-law."""

from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from assistant.voice.voice import VOICE_RATE
from streaming.audio.wire_audio import ALAW, CUTS_PER_SECOND, MULAW, InputFormat

PIECE = 2 * VOICE_RATE // CUTS_PER_SECOND
"""Bytes that are resampled at a time, so that rounding never depends on how they came."""


class OutputEncoder:
    """PCM16 at 24 kHz, cut between any two samples, to bytes of a format. What is resampled comes
    out as long as it went in, to the sample."""

    def __init__(self, format_: InputFormat) -> None:
        """`format_`: of the bytes that come out."""
        self._format = format_
        self.reset()

    def reset(self) -> None:
        """Forget what is pending."""
        self._pending = b""
        self._given = self._made = 0  # samples, at either rate
        rate = self._format.rate
        self._resampler = (
            None if rate == VOICE_RATE else soxr.ResampleStream(VOICE_RATE, rate, 1, "float32")
        )

    def push(self, pcm: bytes) -> bytes:
        """What can be told of it, and of what came before it."""
        self._pending += pcm
        whole = len(self._pending) // PIECE * PIECE if self._resampler else len(self._pending)
        taken, self._pending = self._pending[:whole], self._pending[whole:]
        size = PIECE if self._resampler else max(1, whole)
        return b"".join(self._encode(taken[at : at + size]) for at in range(0, whole, size))

    def flush(self) -> bytes:
        """What is pending."""
        rest = self._encode(self._pending, last=True)
        self.reset()
        return rest

    def _encode(self, pcm: bytes, *, last: bool = False) -> bytes:
        samples = self._resample(np.frombuffer(pcm, "<i2").astype(np.int16), last)
        match self._format.encoding:
            case "pcm16":
                return samples.astype("<i2").tobytes()
            case "mulaw":
                return _codes("mulaw")[samples.view(np.uint16)].tobytes()
            case "alaw":
                return _codes("alaw")[samples.view(np.uint16)].tobytes()

    def _resample(self, samples: NDArray[np.int16], last: bool) -> NDArray[np.int16]:
        self._given += len(samples)
        if self._resampler is None:
            return samples
        exact = self._resampler.resample_chunk(samples.astype(np.float32), last=last)
        made: NDArray[np.int16] = np.clip(np.rint(exact), -32768, 32767).astype(np.int16)
        if last:
            wanted = -(-self._given * self._format.rate // VOICE_RATE) - self._made
            made = np.pad(made[:wanted], (0, max(0, wanted - len(made))))
        self._made += len(made)
        return made


@cache
def _codes(law: str) -> NDArray[np.uint8]:
    """The code of every 16-bit sample, as two's complement: the one whose value is nearest."""
    values = (MULAW if law == "mulaw" else ALAW).astype(np.int32)
    order = np.argsort(values, kind="stable")
    middles = (values[order][1:] + values[order][:-1]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    codes: NDArray[np.uint8] = order[np.searchsorted(middles, samples)].astype(np.uint8)
    return codes
