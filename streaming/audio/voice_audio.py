"""Speech as clients want it: from 24 kHz PCM16 to PCM16 at other rates, mu-law and A-law."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE
from streaming.audio.resampler import Resampler
from streaming.audio.wire_audio import ALAW, MULAW, InputFormat


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
        self._resampler = Resampler(VOICE_RATE, self._format.rate)

    def push(self, pcm: bytes) -> bytes:
        """What can be told of it, and of what came before it."""
        self._pending += pcm
        if self._format.rate == VOICE_RATE:
            return self.flush()
        size = SAMPLE_BYTES * self._resampler.piece
        whole = len(self._pending) // size * size
        taken, self._pending = self._pending[:whole], self._pending[whole:]
        return b"".join(self._encode(taken[at : at + size]) for at in range(0, whole, size))

    def flush(self) -> bytes:
        """What is pending."""
        rest = self._encode(self._pending, last=True)
        self.reset()
        return rest

    def _encode(self, pcm: bytes, *, last: bool = False) -> bytes:
        given = np.frombuffer(pcm, "<i2").astype(np.int16)
        samples = self._resampler.push(given, last=last)
        match self._format.encoding:
            case "pcm16":
                return samples.astype("<i2").tobytes()
            case "mulaw" | "alaw" as law:
                return _codes(law)[samples.view(np.uint16)].tobytes()


@cache
def _codes(law: str) -> NDArray[np.uint8]:
    """The code of every 16-bit sample, as two's complement: the one whose value is nearest."""
    values = (MULAW if law == "mulaw" else ALAW).astype(np.int32)
    order = np.argsort(values, kind="stable")
    middles = (values[order][1:] + values[order][:-1]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    codes: NDArray[np.uint8] = order[np.searchsorted(middles, samples)].astype(np.uint8)
    return codes
