"""Where audio comes from: a recording as if it were live, or a microphone."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from clients.errors import ClientError
from clients.realtime import SAMPLE_RATE

PIECE_S = 0.04
"""Seconds of audio in a message."""

TAIL_S = 2.0
"""Silence sent after a recording, so that its last utterance is over."""

WAITING = 750
"""Pieces of a microphone that may wait to be sent, half a minute; then the oldest ones go."""


def read_recording(path: Path) -> bytes:
    """A sound file as 16 kHz PCM16.

    Raises:
        ClientError: it is not there, or no sound file.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ClientError(f"{path}: {error}") from error
    return _pcm16(soxr.resample(samples.mean(1), rate, SAMPLE_RATE))


async def recording(pcm: bytes, speed: float, piece_s: float) -> AsyncIterator[bytes]:
    """A recording in pieces, so many times as fast as real time, and silence after it."""
    pcm += bytes(2 * round(TAIL_S * SAMPLE_RATE))
    size = 2 * max(1, round(piece_s * SAMPLE_RATE))
    begin = time.monotonic()
    for at in range(0, len(pcm), size):
        due = begin + (at + size) / (2 * SAMPLE_RATE * speed)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield pcm[at : at + size]


async def microphone(device: int | str | None) -> AsyncIterator[bytes]:
    """A microphone, for ever, as 16 kHz PCM16 in pieces of `PIECE_S`.

    Args:
        device: number or name; None: the default.

    Raises:
        ClientError: there is no such microphone, or no PortAudio.
    """
    sounddevice = _sounddevice()
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def put(piece: bytes) -> None:
        pieces.put_nowait(piece)
        if pieces.qsize() > WAITING:
            pieces.get_nowait()

    def take(data: Any, frames: int, when: Any, status: Any) -> None:
        loop.call_soon_threadsafe(put, bytes(data))

    try:
        rate = _rate(sounddevice, device)
        stream = sounddevice.RawInputStream(
            samplerate=rate, channels=1, dtype="int16", device=device,
            blocksize=round(PIECE_S * rate), callback=take,
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ClientError(f"the microphone cannot be used: {error}") from error
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="int16")
    with stream:
        while True:
            piece = await pieces.get()
            if rate != SAMPLE_RATE:
                piece = resampler.resample_chunk(np.frombuffer(piece, np.int16)).tobytes()
            yield piece


def _rate(sounddevice: Any, device: int | str | None) -> int:
    """16 kHz where the device can, its own rate otherwise."""
    wanted = {"device": device, "channels": 1, "dtype": "int16"}
    try:
        sounddevice.check_input_settings(samplerate=SAMPLE_RATE, **wanted)
    except sounddevice.PortAudioError:
        return int(sounddevice.query_devices(device, "input")["default_samplerate"])
    return SAMPLE_RATE


def devices() -> str:
    """The microphones there are, one a line, the default one with a star.

    Raises:
        ClientError: there is no PortAudio, or no microphone.
    """
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    lines = [
        f"{'*' if number == default else ' '} {number:3d}  {device['name']}"
        f" ({device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz)"
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]
    if not lines:
        raise ClientError("there is no microphone")
    return "\n".join(lines)


def level(piece: bytes) -> float:
    """Peak of PCM16, 0 to 1."""
    samples = np.frombuffer(piece, "<i2").astype(np.int32)
    return float(np.abs(samples).max(initial=0)) / 32768


def _pcm16(samples: NDArray[np.float32]) -> bytes:
    pcm: NDArray[np.int16] = np.clip(np.rint(32767 * samples), -32768, 32767).astype("<i2")
    return pcm.tobytes()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise ClientError(
            "PortAudio is missing; on Debian and Ubuntu: apt-get install libportaudio2"
        ) from error
    return sounddevice
