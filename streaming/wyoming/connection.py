"""One connection: messages in, events out, one request at a time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wyoming.event import Eventable
from wyoming.info import Info
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from streaming.audio.wire_audio import InputFormat
from streaming.dialogue.narrator import Narrator
from streaming.dialogue.session import Session
from streaming.server.connection import Strangers
from streaming.server.places import Places
from streaming.server.rate import Allowance
from streaming.server.traffic import UNREAD_S
from streaming.wyoming.answer import about_heard, about_text, answer, before
from streaming.wyoming.framing import Message, WyomingError, frame, read
from streaming.wyoming.info import PROGRAM
from streaming.wyoming.memory import Heard, Talks
from streaming.wyoming.messages import (
    Audio,
    Begin,
    Ids,
    Piece,
    Ping,
    Program,
    Question,
    Synthesize,
    Transcribe,
    fields,
)
from streaming.wyoming.place import Place
from streaming.wyoming.speech import Speech
from streaming.wyoming.transcription import Transcription

STALL_S = 10.0
"""Seconds that a client may send nothing while a stream of its is open."""

LONGEST_S = 600.0
"""Longest stream, in seconds."""

SILENCE_S = {"aggressive": 0.25, "default": 0.7, "relaxed": 1.25}
"""Seconds of silence that end a stream, as Home Assistant has them."""

ENDED_BY_US = (1, 10)
"""First version of the protocol in which a service may say that it ends streams by itself."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the service can do, by the model that it has."""

    info: Info
    new_reader: Callable[[float], Session] | None
    """Makes a session that reads speech, which so many seconds of silence end; None: there is
    nothing to read with."""

    new_answerer: Callable[[], Session]
    """Makes a session that answers a text."""

    new_narrator: Callable[[], Narrator] | None
    """Makes somebody who speaks; None: there is no voice."""

    voice: str | None
    """Whose voice that is."""

    reads_words: bool
    """The LLM reads what was said before."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a service share."""

    offer: Offer
    places: Places
    heard: Heard
    talks: Talks


class Connection:
    """What one client asks for, and where it stands."""

    def __init__(
        self,
        shared: Shared,
        strangers: Strangers,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Args:
        shared: the service's.
        strangers: connections without a session.
        reader: what the client sends.
        writer: what it gets.
        """
        self._shared, self._strangers = shared, strangers
        self._reader, self._writer = reader, writer
        self._allowance = Allowance(time.monotonic())
        self._writing = asyncio.Lock()
        self._wish = Transcribe()
        self._stream: Transcription | None = None
        self._format = InputFormat()  # of the stream
        self._left = 0.0  # bytes that it may still have
        self._speech: Speech | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a stream is open, of sound or of text."""
        return self._stream is not None or self._speech is not None

    async def serve(self) -> None:
        """Do what the client asks for, until it leaves.

        Raises:
            WyomingError: something was wrong, which the client is to be told.
            OSError: the client is gone.
        """
        try:
            while (message := await self._next()) is not None:
                self._strangers.leave(self)
                await self._take(message)
                if not self.is_busy:
                    self._strangers.enter(self, self._writer.transport)
                size = len(message.payload)
                await asyncio.sleep(self._allowance.spend(size, time.monotonic()))
            await self._end_stream()
        finally:
            self._stop()

    async def send(self, said: Eventable) -> None:
        """Write an event.

        Raises:
            WyomingError: the client does not read.
        """
        async with self._writing:
            self._writer.write(frame(said))
            try:
                async with asyncio.timeout(UNREAD_S):
                    await self._writer.drain()
            except TimeoutError:
                raise WyomingError("unread", "events were left unread for too long") from None

    async def _next(self) -> Message | None:
        """The next message; None: the client has said all."""
        return await read(self._reader, STALL_S if self.is_busy else None)

    async def _take(self, message: Message) -> None:
        match message.type:
            case "describe":
                await self.send(self._shared.offer.info)
            case "ping":
                await self.send(Pong(fields(Ping, message).text))
            case "select-program":
                if fields(Program, message).name != PROGRAM:
                    raise WyomingError("field", f"select-program: name: only {PROGRAM} is here")
            case "transcribe":
                await self._begin_wish(message)
            case "audio-start":
                await self._begin_stream(message)
            case "audio-chunk":
                await self._hear(message)
            case "audio-stop":
                await self._end_stream()
            case "transcript":
                await self._answer(fields(Question, message))
            case "synthesize" if self._speech is None:
                await self._speak(fields(Synthesize, message))
            case "synthesize-start":
                await self._begin_speech(fields(Begin, message))
            case "synthesize-chunk" if self._speech is not None:
                self._speech.say(fields(Piece, message).text)
            case "synthesize-stop" if self._speech is not None:
                await self._end_speech(self._speech)
            case _:
                pass  # events of others, or of later versions

    # --- speech to text

    async def _begin_wish(self, message: Message) -> None:
        self._drop_stream()
        self._wish = fields(Transcribe, message)

    async def _begin_stream(self, message: Message) -> None:
        self._drop_stream()
        new_reader = self._shared.offer.new_reader
        if new_reader is None:
            raise WyomingError("not_offered", "this preset has nothing to read speech with")
        form = fields(Audio, message).format()
        silence = SILENCE_S.get(self._wish.vad_sensitivity or "", SILENCE_S["default"])
        ends = _number(message.version) >= ENDED_BY_US
        place = await Place.take(self._shared.places, partial(new_reader, silence))
        self._format, self._left = form, LONGEST_S * form.rate * form.sample_bytes
        ids = self._wish.context or Ids()
        keep = partial(self._shared.heard.keep, place, ids)
        self._stream = Transcription(place, form, self.send, keep, ends=ends)

    async def _hear(self, message: Message) -> None:
        stream = self._stream
        if stream is None:
            return  # its text was told already
        if fields(Audio, message).format() != self._format:
            raise WyomingError("audio", "audio-chunk: not the format of its audio-start")
        self._left -= len(message.payload)
        if self._left < 0:
            raise WyomingError("audio", f"a stream may last {LONGEST_S:.0f} s")
        await stream.hear(message.payload)
        if stream.over:
            await self._end_stream()

    async def _end_stream(self) -> None:
        if self._stream is not None:
            await self._stream.finish()
            self._stream = None

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.stop()
            self._stream = None

    # --- conversation

    async def _answer(self, question: Question) -> None:
        shared, ids, now = self._shared, question.context or Ids(), time.monotonic()
        place = shared.heard.claim(question.text, ids)
        asks = about_text(question.text) if place is None else about_heard()
        if place is None:
            place = await Place.take(shared.places, shared.offer.new_answerer)
        said = shared.talks.said(ids.conversation_id, now) if shared.offer.reads_words else []
        try:
            told = await answer(place, [*before(said), asks], self.send)
        finally:
            place.leave()
        if told:
            shared.talks.add(ids.conversation_id, question.text, told, time.monotonic())

    # --- text to speech

    async def _begin_speech(self, wish: Begin) -> None:
        if self._speech is not None:
            self._speech.stop()
            self._speech = None
        new_narrator = self._shared.offer.new_narrator
        if new_narrator is None:
            raise WyomingError("not_offered", "there is no voice here: voice.name is none")
        if wish.text_format not in (None, "text"):
            raise WyomingError("field", "text_format: only text is spoken")
        name = wish.voice.name if wish.voice is not None else None
        if name not in (None, self._shared.offer.voice):
            raise WyomingError("field", f"voice.name: only {self._shared.offer.voice} is here")
        place = await Place.take(self._shared.places, new_narrator)
        self._speech = Speech(place, self.send)

    async def _speak(self, wish: Synthesize) -> None:
        await self._begin_speech(wish)
        assert self._speech is not None
        self._speech.say(wish.text)
        await self._speech.finish()
        self._speech.stop()
        self._speech = None

    async def _end_speech(self, speech: Speech) -> None:
        await speech.finish()
        await self.send(SynthesizeStopped())
        speech.stop()
        self._speech = None

    def _stop(self) -> None:
        self._drop_stream()
        if self._speech is not None:
            self._speech.stop()


def _number(version: str) -> tuple[int, ...]:
    """`1.10.2` -> (1, 10, 2); what is no number ends it."""
    parts = []
    for part in version.split(".")[:3]:
        if not (part.isascii() and part.isdecimal() and len(part) < 6):
            break
        parts.append(int(part))
    return tuple(parts)
