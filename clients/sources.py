"""Where audio comes from: a recording as if it were live, or a microphone."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import soxr

from clients.errors import ClientError
from clients.outbox import SAMPLE_RATE

PIECE_S = 0.04
"""Seconds of audio in a message."""

TAIL_S = 2.0
"""Silence sent after a recording, so that its last utterance is over."""

WAITING = 750
"""Pieces of a microphone that may wait to be sent, half a minute; then the oldest ones go."""


async def recording(pcm: bytes, speed: float, piece_s: float) -> AsyncIterator[bytes]:
    """A recording in pieces, so many times as fast as real time, and silence after it.

    Args:
        pcm: 16 kHz PCM16.
        speed: times as fast as real time.
        piece_s: seconds of audio in a piece.
    """
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
    sounddevice = sounddevice_or_error()
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def put(piece: bytes) -> None:
        pieces.put_nowait(piece)
        if pieces.qsize() > WAITING:
            pieces.get_nowait()

    def take(data: Any, frames: int, when: Any, status: Any) -> None:
        loop.call_soon_threadsafe(put, bytes(data))

    try:
        rate, channels = _format(sounddevice, device)
        stream = sounddevice.RawInputStream(
            samplerate=rate, channels=channels, dtype="int16", device=device,
            blocksize=round(PIECE_S * rate), callback=take,
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ClientError(f"the microphone cannot be used: {error}") from error
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="int16")
    with stream:
        while True:
            samples = np.frombuffer(await pieces.get(), np.int16).reshape(-1, channels)
            mono = np.rint(samples.mean(axis=1)).astype(np.int16)
            yield (mono if rate == SAMPLE_RATE else resampler.resample_chunk(mono)).tobytes()


def _format(sounddevice: Any, device: int | str | None) -> tuple[int, int]:
    """Sample rate and channels: 16 kHz and one where the device can, its own otherwise."""
    own = sounddevice.query_devices(device, "input")
    own_rate, own_channels = int(own["default_samplerate"]), int(own["max_input_channels"])
    for channels in (1, own_channels):
        for rate in (SAMPLE_RATE, own_rate):
            try:
                sounddevice.check_input_settings(
                    device=device, channels=channels, dtype="int16", samplerate=rate
                )
            except sounddevice.PortAudioError:
                continue
            return rate, channels
    return own_rate, own_channels  # opening it will tell what is wrong


def devices() -> str:
    """The microphones there are, one a line, the default one with a star.

    Raises:
        ClientError: there is no PortAudio, or no microphone.
    """
    sounddevice = sounddevice_or_error()
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


def sounddevice_or_error() -> Any:
    """The library.

    Raises:
        ClientError: there is no PortAudio for it.
    """
    try:
        import sounddevice
    except OSError as error:
        raise ClientError(
            "PortAudio is missing; on Debian and Ubuntu: apt-get install libportaudio2"
        ) from error
    return sounddevice
