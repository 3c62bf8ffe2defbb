"""Recordings that come, and speech that goes, in the formats of files."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile

from assistant.errors import AudioError
from assistant.sound.held import Held
from assistant.sound.recording import load_pcm16
from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE
from streaming.server.api.form import wrong

LONGEST_S = 1500
"""Seconds of a recording, at most."""

MOST_VALUES = 2 * 96_000 * LONGEST_S
"""Values of a recording, at most, over all channels: two of them at 96 kHz."""

UNKNOWN = 0xFFFFFFFF
"""The length in a WAV header that is written before the length is known."""


class Decoding:
    """Reads recordings, one at a time, on another thread: the rest of the machine is for whoever
    is talking."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def pcm16(self, data: bytes, param: str, suffix: str = "") -> bytes:
        """Decode a recording of any format that this program reads.

        Args:
            data: the bytes of the file.
            param: the field that it came in.
            suffix: of the file's name, if it is known.

        Returns:
            16 kHz PCM16.

        Raises:
            RefusedError: it cannot be read, or is too long.
        """
        held = Held(data, param + suffix)
        async with self._lock:
            try:
                return await asyncio.to_thread(load_pcm16, held, LONGEST_S, MOST_VALUES)
            except AudioError as error:
                raise wrong(str(error), param, "invalid_audio") from error


class _Tail(io.RawIOBase):
    """A file of which only what was written since `take` is there. What libsndfile would change in
    the part before that stays as it was."""

    def __init__(self) -> None:
        self._held, self._begin, self._at = bytearray(), 0, 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        end = self._begin + len(self._held)
        self._at = offset + (0, self._at, end)[whence]
        return self._at

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        place = self._at - self._begin
        if place >= 0:
            self._held[place : place + len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """What was written since it was taken last."""
        taken, self._held = bytes(self._held), bytearray()
        self._begin += len(taken)
        return taken


class Encoder:
    """Speech as a file, piece by piece."""

    def push(self, pcm: bytes) -> bytes:
        """More speech, PCM16 at `VOICE_RATE`: what can be told of the file."""
        return pcm

    def flush(self) -> bytes:
        """The rest of the file."""
        return b""


class _Wav(Encoder):
    """A header, which does not know the length, and samples."""

    def __init__(self) -> None:
        self._begun = False

    def push(self, pcm: bytes) -> bytes:
        head, self._begun = b"" if self._begun else _wav_head(), True
        return head + pcm

    def flush(self) -> bytes:
        return self.push(b"")


def _wav_head() -> bytes:
    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little")

    form = number(1, 2) + number(1, 2) + number(VOICE_RATE, 4)
    form += number(VOICE_RATE * SAMPLE_BYTES, 4) + number(SAMPLE_BYTES, 2) + number(16, 2)
    head = b"RIFF" + number(UNKNOWN, 4) + b"WAVEfmt " + number(len(form), 4) + form
    return head + b"data" + number(UNKNOWN, 4)


class _Coded(Encoder):
    """What libsndfile writes."""

    def __init__(self, format_: str, subtype: str, *, streamed: bool = True) -> None:
        """Args:
        format_: of the file, as libsndfile calls it.
        subtype: of the samples in it.
        streamed: it can be told before it is complete.
        """
        self._tail, self._streamed, self._is_mp3 = _Tail(), streamed, format_ == "MP3"
        # At a constant rate the length of a file is known by its size, without what was left out.
        rate = {"bitrate_mode": "CONSTANT", "compression_level": 0.5} if self._is_mp3 else {}
        self._file = soundfile.SoundFile(
            self._tail, "w", VOICE_RATE, 1, subtype, format=format_, **rate
        )

    def push(self, pcm: bytes) -> bytes:
        self._file.write(np.frombuffer(pcm, "<i2").astype(np.int16))
        return self._taken() if self._streamed else b""

    def flush(self) -> bytes:
        self._file.close()
        return self._taken()

    def _taken(self) -> bytes:
        taken = self._tail.take()
        if taken and self._is_mp3:
            # The first frame tells the length of the file, as far as it was known then.
            self._is_mp3, second = False, taken.find(taken[:2], 4)
            return taken[second:] if second > 0 else b""
        return taken


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which speech is given."""

    kind: str
    """Its `Content-Type`."""

    encoder: Callable[[], Encoder]
    """Makes an encoder; speech in this format is one file each."""


FORMATS = {
    "wav": Format("audio/wav", _Wav),
    "pcm": Format("audio/pcm", Encoder),
    "mp3": Format("audio/mpeg", lambda: _Coded("MP3", "MPEG_LAYER_III")),
    "opus": Format("audio/ogg", lambda: _Coded("OGG", "OPUS")),
    "flac": Format("audio/flac", lambda: _Coded("FLAC", "PCM_16", streamed=False)),
}
"""Formats of speech, by their names in OpenAI's API."""


def format_of(name: str, param: str = "response_format") -> Format:
    """A format by its name.

    Args:
        name: as a client has it.
        param: the field that it is in.

    Raises:
        RefusedError: it is not one of ours.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise wrong(f"{param}: {name:.20}: not offered here; there are {known}", param)
    return FORMATS[name]
