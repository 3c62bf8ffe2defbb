"""Talking to a server in a terminal: from a microphone or a recording, answers as they come."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from clients.realtime import SAMPLE_RATE, SETTINGS, Json, Session, SessionLostError

PIECE_S = 0.04
"""Seconds of audio in a message."""

QUIET_S = 2.0
"""Seconds without an event after which a conversation about a recording is over."""

TAIL_S = 2.0
"""Silence sent after a recording, so that its last utterance is over."""

CAPTIONS_ONLY: Json = {
    **SETTINGS,
    "audio": {
        "input": {
            **SETTINGS["audio"]["input"],
            "turn_detection": {"type": "server_vad", "create_response": False},
        }
    },
}
"""Settings of who wants to read along, and no answers."""


class ClientError(Exception):
    """What the user can do something about."""


class Screen:
    """Events as a person reads them."""

    def __init__(self, console: Console) -> None:
        self._out = console
        self._answering = False
        self._words = ""
        self.last_event = time.monotonic()
        """When the last event came."""

    def show(self, event: Json) -> None:
        """Print what an event brings."""
        out = self._out
        match event:
            case {"type": "conversation.item.input_audio_transcription.delta", "delta": str(words)}:
                self._words += words
            case {"type": "conversation.item.input_audio_transcription.completed"}:
                if not self._answering:
                    self._caption()
            case {"type": "response.created"}:
                self._answering = True
                out.print("[bold]→[/] ", end="")
            case {"type": "response.output_text.delta", "delta": str(text)}:
                out.print(text, end="", style="bold", markup=False, highlight=False)
                out.file.flush()
            case {"type": "response.done", "response": response}:
                self._answering = False
                interrupted = response["status"] == "cancelled"
                out.print(" [yellow](interrupted)[/]" if interrupted else "")
                self._caption()
            case {"type": "salmonn.latency"}:
                waited, compute = event["endpoint_wait_ms"], event["compute_ms"]
                told = f"  {compute:.0f} ms to the first text, after {waited:.0f} ms of silence"
                out.print(told, style="dim", highlight=False)
            case {"type": "salmonn.sound", "name": str(name)}:
                out.print(Text(f"♪ {name}", style="cyan"))
            case {"type": "salmonn.resumed"}:
                out.print("connected again", style="dim")
            case {"type": "error", "error": {"message": str(message)}}:
                out.print(message, style="red", markup=False)
            case _:
                pass

    def _caption(self) -> None:
        if self._words.strip():
            self._out.print(Text(f"  “{self._words.strip()}”", style="italic dim"))
        self._words = ""


def read_recording(path: Path) -> bytes:
    """A sound file as 16 kHz PCM16.

    Raises:
        ClientError: it is not there, or no sound file.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ClientError(f"{path}: {error}") from error
    mono = soxr.resample(samples.mean(1), rate, SAMPLE_RATE)
    pcm: NDArray[np.int16] = np.clip(np.rint(32767 * mono), -32768, 32767).astype("<i2")
    return pcm.tobytes()


async def recording(pcm: bytes, speed: float, piece_s: float) -> AsyncIterator[bytes]:
    """A recording in pieces, so many times as fast as real time, and silence after it."""
    pcm += bytes(2 * round(TAIL_S * SAMPLE_RATE))
    size = 2 * max(1, round(piece_s * SAMPLE_RATE))
    begin = time.monotonic()
    for at in range(0, len(pcm), size):
        due = begin + (at + size) / (2 * SAMPLE_RATE * speed)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield pcm[at : at + size]


async def microphone(
    device: int | str | None, level: Callable[[float], None]
) -> AsyncIterator[bytes]:
    """A microphone, for ever.

    Args:
        device: number or name; None: the default.
        level: told the peak of every piece, 0 to 1.

    Raises:
        ClientError: there is no such microphone, or no PortAudio.
    """
    sounddevice = _sounddevice()
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def take(data: Any, frames: int, when: Any, status: Any) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, bytes(data))

    try:
        stream = sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE, channels=1, dtype="int16", device=device,
            blocksize=round(PIECE_S * SAMPLE_RATE), callback=take,
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ClientError(f"the microphone cannot be used: {error}") from error
    with stream:
        while True:
            piece = await pieces.get()
            peak = np.abs(np.frombuffer(piece, "<i2").astype(np.int32)).max(initial=0)
            level(float(peak) / 32768)
            yield piece


def devices() -> str:
    """The microphones there are, as text.

    Raises:
        ClientError: there is no PortAudio.
    """
    return str(_sounddevice().query_devices())


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise ClientError(
            "PortAudio is missing; on Debian and Ubuntu: apt-get install libportaudio2"
        ) from error
    return sounddevice


async def converse(
    url: str,
    token: str | None,
    settings: Json,
    source: AsyncIterator[bytes],
    console: Console,
) -> Screen:
    """Send audio and show what comes, until the audio ends and the last answer is there.

    Raises:
        ClientError: the server cannot be reached, or ended the session.
    """
    screen = Screen(console)
    try:
        async with Session(url, token=token, settings=settings) as session:
            showing = asyncio.create_task(_show(session, screen))
            sending = asyncio.create_task(_send(session, source))
            await asyncio.wait({showing, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await _quiet(screen, showing)
            for task in (showing, sending):
                if task.done():
                    task.result()
                task.cancel()
    except SessionLostError as error:
        raise ClientError(str(error)) from error
    return screen


async def _show(session: Session, screen: Screen) -> None:
    async for event in session:
        screen.show(event)
        screen.last_event = time.monotonic()


async def _send(session: Session, source: AsyncIterator[bytes]) -> None:
    async for piece in source:
        await session.audio(piece)


async def _quiet(screen: Screen, showing: "asyncio.Task[None]") -> None:
    """Wait until nothing has come for a while."""
    while not showing.done() and (left := screen.last_event + QUIET_S - time.monotonic()) > 0:
        await asyncio.wait({showing}, timeout=left)
