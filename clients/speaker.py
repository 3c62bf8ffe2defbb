"""Where answers sound: 24 kHz PCM16, one piece after another, and how much of it was played."""

import threading
from types import TracebackType
from typing import Any, Self

import numpy as np
import soxr

from clients.errors import ClientError
from clients.sources import sounddevice_or_error

VOICE_RATE = 24_000
"""Samples of an answer in a second."""

DUCKED = 0.35
"""How loud it is while somebody may be interrupting, of 1."""

ECHO_S = 0.25
"""Seconds in which a room still sounds after what was played."""


class Speaker:
    """A loudspeaker, or headphones."""

    def __init__(self, device: int | str | None = None) -> None:
        """`device`: number or name; None: the default.

        Raises:
            ClientError: there is none that can be used, or no PortAudio.
        """
        sounddevice = sounddevice_or_error()
        self._lock = threading.Lock()  # the sound card asks on a thread of its own
        self._waiting = bytearray()
        self._item: str | None = None
        self._given = self._played = 0  # bytes of the item, at the card's rate
        self._quiet_for = ECHO_S  # seconds since something was played
        self._ducks = False
        try:
            self._rate = _rate(sounddevice, device)
            self._stream = sounddevice.RawOutputStream(
                samplerate=self._rate, channels=1, dtype="int16", device=device, callback=self._fill
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise ClientError(f"the loudspeaker cannot be used: {error}") from error
        self._resampler = self._fresh()

    def __enter__(self) -> Self:
        self._stream.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    def play(self, item: str, pcm: bytes) -> None:
        """Play a piece of an answer after all that is there; `item`: its id."""
        if item != self._item:
            self._resampler = self._fresh()
        piece = self._resampled(pcm)
        with self._lock:
            if item != self._item:
                self._item, self._given, self._played = item, 0, -len(self._waiting)
            self._waiting += piece
            self._given += len(piece)

    def stop(self, item: str) -> int | None:
        """Play no more.

        Args:
            item: the answer that ended before its end.

        Returns:
            Milliseconds of it that were played; None: all of it was, or nothing came.
        """
        with self._lock:
            cut, rest = item == self._item and self._played < self._given, self._played
            self._waiting.clear()
            self._played = self._given
            return 1000 * max(0, rest) // (2 * self._rate) if cut else None

    def duck(self, yes: bool) -> None:
        """Be quieter: somebody speaks, who may be interrupting; or no longer."""
        self._ducks = yes

    @property
    def sounds(self) -> bool:
        """Whether a microphone beside it may hear it."""
        return bool(self._waiting) or self._quiet_for < ECHO_S

    def _fill(self, out: Any, frames: int, when: Any, status: Any) -> None:
        wanted = 2 * frames
        with self._lock:
            piece = bytes(self._waiting[:wanted])
            del self._waiting[:wanted]
            self._played += len(piece)
            self._quiet_for = 0.0 if piece else self._quiet_for + frames / self._rate
        if self._ducks:
            samples = np.frombuffer(piece, np.int16)
            piece = (samples * DUCKED).astype(np.int16).tobytes()
        out[:] = piece + bytes(wanted - len(piece))

    def _fresh(self) -> Any:
        if self._rate == VOICE_RATE:
            return None
        return soxr.ResampleStream(VOICE_RATE, self._rate, 1, dtype="int16")

    def _resampled(self, pcm: bytes) -> bytes:
        if self._resampler is None:
            return pcm
        made: Any = self._resampler.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.int16))
        return bytes(made.tobytes())


def _rate(sounddevice: Any, device: int | str | None) -> int:
    """24 kHz where the device can, else its own."""
    own = int(sounddevice.query_devices(device, "output")["default_samplerate"])
    for rate in (VOICE_RATE, own):
        try:
            sounddevice.check_output_settings(
                device=device, channels=1, dtype="int16", samplerate=rate
            )
        except sounddevice.PortAudioError:
            continue
        return rate
    return own  # opening it will tell what is wrong
