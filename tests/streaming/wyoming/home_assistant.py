"""What Home Assistant 2026.11 sends to a Wyoming service, and what it makes of the answers.

As in its `components/wyoming`: `data.py`, `stt.py`, `conversation.py` and `tts.py`. Each request
has a connection of its own. What differs from it is named.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled, NotHandled
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


class ServiceError(Exception):
    """An `error` event came; Home Assistant logs it, or shows it."""


@dataclass
class Result:
    """What came back."""

    text: str = ""
    events: list[Event] = field(default_factory=list)
    """All of them, in order."""

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.events]


def client(port: int) -> AsyncTcpClient:
    return AsyncTcpClient("127.0.0.1", port)


async def describe(port: int) -> Info:
    """`load_wyoming_info`: a second is all it has in older versions, five in newer ones."""
    async with client(port) as service, asyncio.timeout(1):
        await service.write_event(Describe().event())
        while True:
            event = await service.read_event()
            assert event is not None, "connection closed unexpectedly"
            if Info.is_type(event.type):
                return Info.from_event(event)


async def hear(
    port: int, audio: Iterable[bytes], context: dict[str, Any] | None = None, pause_s: float = 0.0
) -> Result:
    """`async_process_audio_stream`: uploads and reads at once; the first `transcript` is the end.

    Args:
        port: of the service.
        audio: pieces of the stream.
        context: of the `transcribe`, which Home Assistant leaves out.
        pause_s: seconds between two pieces.
    """
    async with client(port) as service:
        await service.write_event(Transcribe(language="en", context=context).event())
        await service.write_event(AudioStart(**FORMAT).event())
        uploading = asyncio.create_task(_upload(service, audio, pause_s))
        receiving = asyncio.create_task(_transcript(service))
        try:
            await asyncio.wait({uploading, receiving}, return_when=asyncio.FIRST_COMPLETED)
            return await receiving
        finally:
            uploading.cancel()
            receiving.cancel()
            await asyncio.gather(uploading, receiving, return_exceptions=True)


async def _upload(service: AsyncTcpClient, audio: Iterable[bytes], pause_s: float) -> None:
    for piece in audio:
        await service.write_event(AudioChunk(**FORMAT, audio=piece).event())
        await asyncio.sleep(pause_s)
    await service.write_event(AudioStop().event())


async def _transcript(service: AsyncTcpClient) -> Result:
    result = Result()
    while True:
        event = await service.read_event()
        if event is None:
            raise ServiceError("connection lost")
        result.events.append(event)
        if Error.is_type(event.type):
            raise ServiceError(Error.from_event(event).text)
        if Transcript.is_type(event.type):
            result.text = Transcript.from_event(event).text
            return result


async def ask(port: int, text: str, **context: str) -> Result:
    """`WyomingConversationEntity`: the first of a few events is the end.

    Args:
        port: of the service.
        text: what was said, or typed.
        context: `conversation_id` always, `device_id` and `satellite_id` where there are some.
    """
    async with client(port) as service:
        question = Transcript(text, context={"conversation_id": "01", **context}, language="en")
        await service.write_event(question.event())
        result = Result()
        while True:
            event = await service.read_event()
            if event is None:
                raise ServiceError("Connection lost")
            result.events.append(event)
            if Error.is_type(event.type):
                raise ServiceError(Error.from_event(event).text)
            if Handled.is_type(event.type):
                result.text = Handled.from_event(event).text or ""
                return result
            if NotHandled.is_type(event.type):
                result.text = NotHandled.from_event(event).text or ""
                return result


@dataclass
class Sound:
    """What was spoken."""

    rate: int = 0
    pcm: bytes = b""
    kinds: list[str] = field(default_factory=list)


async def say(port: int, text: str, voice: str | None = None) -> Sound:
    """`async_get_tts_audio`."""
    async with client(port) as service:
        wanted = SynthesizeVoice(name=voice) if voice is not None else None
        await service.write_event(Synthesize(text=text, voice=wanted).event())
        return await _sound(service, AudioStop)


async def say_pieces(port: int, pieces: AsyncIterator[str]) -> Sound:
    """`async_stream_tts_audio`: writes and reads at once, and sends all of the text once more."""
    async with client(port) as service:
        writing = asyncio.create_task(_write(service, pieces))
        try:
            return await _sound(service, SynthesizeStopped)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _write(service: AsyncTcpClient, pieces: AsyncIterator[str]) -> None:
    await service.write_event(SynthesizeStart().event())
    message = ""
    async for piece in pieces:
        message += piece
        await service.write_event(SynthesizeChunk(text=piece).event())
    await service.write_event(Synthesize(text=message).event())
    await service.write_event(SynthesizeStop().event())


async def _sound(service: AsyncTcpClient, end: type[AudioStop] | type[SynthesizeStopped]) -> Sound:
    sound = Sound()
    while (event := await service.read_event()) is not None:
        sound.kinds.append(event.type)
        if Error.is_type(event.type):
            raise ServiceError(Error.from_event(event).text)
        if AudioStart.is_type(event.type):
            sound.rate = AudioStart.from_event(event).rate
        if AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (sound.rate, 2, 1)
            sound.pcm += chunk.audio
        if end.is_type(event.type):
            return sound
    raise ServiceError("connection lost")
