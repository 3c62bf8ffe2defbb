"""`POST /v1/audio/transcriptions`: a recording comes, and what is said in it goes."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

from streaming.dialogue.session import Session
from streaming.server.api.form import Fields, form, wrong
from streaming.server.api.line import Line
from streaming.server.api.reading import Reading
from streaming.server.api.sound import Decoding
from streaming.server.api.subtitles import srt, vtt
from streaming.server.exchange import EVENTS, Answer, server_sent
from streaming.server.http import RefusedError, Reply, Request

ENGLISH = ("en", "english")
"""What the decoder reads, as clients call it."""

Json = dict[str, Any]


class Wanted(Fields):
    """The texts of the form."""

    model: str = ""
    """Ignored: the server has one."""

    response_format: Literal["json", "text", "verbose_json", "srt", "vtt", "diarized_json"] = "json"
    language: str | None = None
    stream: bool = False
    timestamp_granularities: tuple[Literal["segment", "word"], ...] = ()
    include: tuple[str, ...] = ()
    """Not offered."""

    prompt: str | None = None
    """Ignored: the decoder takes none."""

    temperature: float | None = None
    """Ignored: the likeliest token is always taken."""

    chunking_strategy: str | None = None
    """Ignored: stretches of speech are always found."""


class Transcriptions:
    """Writes down what is said in recordings."""

    def __init__(
        self, line: Line, decoding: Decoding, new_reader: Callable[[], Session] | None
    ) -> None:
        """Args:
        line: gives sessions.
        decoding: reads recordings.
        new_reader: makes a session that writes down what is said; None: there is nothing to read
            with.
        """
        self._line, self._decoding, self._new_reader = line, decoding, new_reader

    async def do(self, request: Request, body: bytes, answer: Answer) -> None:
        """Answer a request.

        Raises:
            RefusedError: it is wrong, or cannot be answered.
        """
        new_reader = self._new_reader
        if new_reader is None:
            why = "This preset has nothing to read speech with."
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)
        brought = form(request, body)
        wanted = brought.fields(Wanted, ("timestamp_granularities", "include"))
        _check(wanted)
        if [*brought.files] != ["file"]:
            raise wrong("file: the form has to have one file, and this name", "file")
        pcm = await self._decoding.pcm16(brought.files["file"], "file")
        async with self._line.place(new_reader) as place:
            reading = Reading(place, pcm)
            if wanted.stream:
                await _stream(reading, answer)
                return
            async for _ in reading.pieces():
                pass
        await answer.whole(_whole(reading, wanted.response_format))


def _check(wanted: Wanted) -> None:
    if wanted.response_format == "diarized_json":
        raise wrong("response_format: speakers are not told apart here", "response_format")
    language = (wanted.language or "en").lower()
    if language not in ENGLISH and not language.startswith("en-"):
        raise wrong("language: only English (en) is read here", "language")
    if "word" in wanted.timestamp_granularities:
        why = "timestamp_granularities: only segments have times here"
        raise wrong(why, "timestamp_granularities")
    if wanted.include:
        raise wrong("include: not offered here", "include")
    if wanted.stream and wanted.response_format not in ("json", "text"):
        raise wrong("response_format: a stream is of json", "response_format")


def _usage(reading: Reading) -> Json:
    return {"type": "duration", "seconds": round(reading.seconds, 3)}


def _whole(reading: Reading, format_: str) -> Reply:
    match format_:
        case "text":
            return _reply(f"{reading.text}\n", "text/plain; charset=utf-8")
        case "srt":
            return _reply(srt(reading.segments), "application/x-subrip; charset=utf-8")
        case "vtt":
            return _reply(vtt(reading.segments), "text/vtt; charset=utf-8")
    told: Json = {"text": reading.text, "usage": _usage(reading)}
    if format_ == "verbose_json":
        about = {"task": "transcribe", "language": "english", "duration": round(reading.seconds, 3)}
        segments = [
            {"id": number, "start": one.start, "end": one.end, "text": one.text}
            for number, one in enumerate(reading.segments)
        ]
        told = {**about, **told, "segments": segments}
    return _reply(json.dumps(told, ensure_ascii=False), "application/json")


def _reply(text: str, kind: str) -> Reply:
    return Reply(HTTPStatus.OK, text.encode(), kind)


async def _stream(reading: Reading, answer: Answer) -> None:
    """Server-sent events: the text as it is read, and then the whole."""
    async for piece in reading.pieces():
        await answer.begin(EVENTS)
        await answer.write(server_sent({"type": "transcript.text.delta", "delta": piece}))
    done = {"type": "transcript.text.done", "text": reading.text, "usage": _usage(reading)}
    await answer.begin(EVENTS)  # if nothing was said
    await answer.write(server_sent(done))
    await answer.end()
