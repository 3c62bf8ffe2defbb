"""`POST /v1/audio/speech`: a text comes, and goes spoken, clause by clause."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from assistant.voice.voice import SAMPLE_BYTES
from streaming.controls import Commit, Played, Write
from streaming.dialogue.narrator import Narrator
from streaming.events import ReplyAudio, ReplyEnded
from streaming.realtime.session_config import VOICES
from streaming.server.api.form import Fields, json_fields, wrong
from streaming.server.api.line import Line
from streaming.server.api.sound import Encoder, format_of
from streaming.server.exchange import EVENTS, Answer, server_sent
from streaming.server.http import RefusedError, Request
from streaming.server.place import Place

LONGEST_TEXT = 16 * 2**10
"""Most characters of a text, which takes a quarter of an hour to say."""


class Wanted(Fields):
    """What is to be spoken, and how."""

    input: Annotated[str, Field(max_length=LONGEST_TEXT)]
    model: str = ""
    """Ignored: the server has one voice."""

    voice: Any = None
    """The one there is, or one of OpenAI's names, which all mean it."""

    response_format: str = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: str | None = None
    """Ignored: the voice has one manner."""


class Speaking:
    """Speaks texts."""

    def __init__(
        self, line: Line, new_narrator: Callable[[float], Narrator] | None, voice: str
    ) -> None:
        """Args:
        line: gives sessions.
        new_narrator: makes somebody who speaks, so many times as fast as usual; None: there is no
            voice.
        voice: whose voice that is.
        """
        self._line, self._new_narrator, self._voice = line, new_narrator, voice

    async def do(self, request: Request, body: bytes, answer: Answer) -> None:
        """Answer a request.

        Raises:
            RefusedError: it is wrong, or cannot be answered.
        """
        new_narrator = self._new_narrator
        if new_narrator is None:
            why = "There is no voice here: voice.name is none."
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)
        wanted = json_fields(Wanted, request, body)
        check_voice(wanted.voice, self._voice)
        format_ = format_of(wanted.response_format)
        if not wanted.input.strip():
            raise wrong("input: there is nothing to say", "input")
        is_events = wanted.stream_format == "sse"
        kind = EVENTS if is_events else format_.kind
        async with self._line.place(partial(new_narrator, wanted.speed)) as place:
            async for piece in encoded(_spoken(place, wanted.input), format_.encoder()):
                await answer.begin(kind)
                await answer.write(_event(piece) if is_events else piece)
        await answer.begin(kind)  # if nothing of it was sayable
        if is_events:
            await answer.write(server_sent({"type": "speech.audio.done"}))
        await answer.end()


def _event(piece: bytes) -> bytes:
    audio = base64.b64encode(piece).decode()
    return server_sent({"type": "speech.audio.delta", "audio": audio})


def check_voice(asked: Any, voice: str) -> None:
    """Raises RefusedError if another voice is asked for than the one there is.

    Args:
        asked: a name, an object with an `id`, or None: any.
        voice: the one there is.
    """
    name = asked.get("id") if isinstance(asked, dict) else asked
    if name not in (None, voice, *VOICES):
        why = f"voice: there is only {voice}, which all of OpenAI's names mean, too"
        raise wrong(why, "voice")


async def _spoken(place: Place, text: str) -> AsyncIterator[bytes]:
    """A text, spoken: PCM16 at `VOICE_RATE`, a clause at a time. No more than some seconds are made
    that nobody has taken."""
    place.give(Write(text), Commit())
    told = 0
    while not isinstance(event := await place.next(), ReplyEnded):
        if isinstance(event, ReplyAudio):
            yield event.pcm
            told += len(event.pcm) // SAMPLE_BYTES
            place.give(Played(0, told))


async def encoded(pcm: AsyncIterator[bytes], encoder: Encoder) -> AsyncIterator[bytes]:
    """Speech as the pieces of a file, none of them empty; made on another thread."""
    async for piece in pcm:
        if part := await asyncio.to_thread(encoder.push, piece):
            yield part
    if rest := await asyncio.to_thread(encoder.flush):
        yield rest
