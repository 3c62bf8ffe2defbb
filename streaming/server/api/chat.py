"""`POST /v1/chat/completions`: one turn of a chat, answered by a session of its own."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from assistant.voice.voice import NONE
from streaming.dialogue.session import Session
from streaming.realtime.protocol import Realtime
from streaming.realtime.wire import TOOLS
from streaming.server.api.answering import Answering
from streaming.server.api.form import Fields, json_fields, wrong
from streaming.server.api.line import Line
from streaming.server.api.messages import Chat, Messages, call, choice_of, tools_of
from streaming.server.api.reading import Reading
from streaming.server.api.sound import Decoding, format_of
from streaming.server.api.speech import check_voice
from streaming.server.exchange import EVENTS, Answer, server_sent
from streaming.server.http import Reply, Request

Json = dict[str, Any]

STRUCTURE = 64 * 2**10
"""Most brackets and commas of a request: a long one is long because of its recordings."""

MOST_TOKENS = 4096
"""Limit of an answer's tokens that a session takes; the model's own is lower."""


class StreamOptions(Fields):
    """What comes beside a streamed answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Ignored: nothing is obfuscated."""


class Spoken(Fields):
    """How an answer is spoken."""

    format: str
    voice: Any = None


class TextFormat(Fields):
    """The form of an answer: text."""

    type: Literal["text"]


class Wanted(Fields):
    """A request. What would change the answer, and is not honoured here, is an error."""

    messages: Messages
    model: str = ""
    """Ignored: the server has one."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    modalities: Annotated[list[Literal["text", "audio"]], Field(max_length=2)] | None = None
    audio: Spoken | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: Annotated[list[Json], Field(max_length=TOOLS, fail_fast=True)] | None = None
    tool_choice: Any = None

    n: Literal[1] | None = None
    stop: Any = None
    """Not offered, nor is `logit_bias`."""

    logprobs: Literal[False] | None = None
    response_format: TextFormat | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: Any = None

    parallel_tool_calls: bool | None = None
    """Ignored, as what follows is: it changes nothing, or only how the answer is made."""

    metadata: Any = None
    prompt_cache_key: Any = None
    reasoning_effort: Any = None
    safety_identifier: Any = None
    seed: Any = None
    service_tier: Any = None
    store: Any = None
    user: Any = None
    verbosity: Any = None

    @property
    def is_spoken(self) -> bool:
        """The answer is spoken."""
        return self.modalities is not None and "audio" in self.modalities


@dataclass(frozen=True, slots=True)
class Answerer:
    """The model, as chats need it."""

    name: str
    """Of the model."""

    new_session: Callable[[], Session]
    """Makes a session, on the model's thread."""

    new_protocol: Callable[[str, Callable[[str], str], int], Realtime]
    """Makes the protocol of a session from its id, a maker of ids, and the session's end in seconds
    since 1970."""

    new_reader: Callable[[], Session] | None
    """Makes a session that writes down what is said; None: there is nothing to read with."""

    voice: str
    """Who speaks; "none": nobody."""

    reads_words: bool
    """The model reads what was said before."""


class Chats:
    """Answers chats."""

    def __init__(self, line: Line, decoding: Decoding, answerer: Answerer) -> None:
        """Args:
        line: gives sessions.
        decoding: reads recordings.
        answerer: the model.
        """
        self._line, self._decoding, self._answerer = line, decoding, answerer

    async def do(self, request: Request, body: bytes, answer: Answer) -> None:
        """Answer a request.

        Raises:
            RefusedError: it is wrong, or cannot be answered.
        """
        if sum(map(body.count, (b",", b"[", b"{"))) > STRUCTURE:
            raise wrong("The body has too many parts.", code="invalid_json")
        wanted = json_fields(Wanted, request, body)
        chat = Chat(wanted.messages)
        chat.check(reads_words=self._answerer.reads_words)
        self._check(wanted)
        transcribe = None if self._answerer.new_reader is None else self._transcript
        puts = await chat.puts(self._decoding.pcm16, transcribe)
        async with self._line.place(self._answerer.new_session) as place:
            answering = Answering(place, self._protocol())
            answering.configure(_settings(wanted, chat.instructions))
            for put in puts:
                await answering.put(put)
            limit = wanted.max_completion_tokens or wanted.max_tokens
            answering.ask(None if limit is None else min(limit, MOST_TOKENS))
            given = Given(self._answerer.name, wanted.is_spoken)
            if wanted.stream:
                options = wanted.stream_options or StreamOptions()
                await _stream(answering.events(), given, answer, usage=bool(options.include_usage))
                return
            async for event in answering.events():
                given.take(event)
        if wanted.audio is not None:
            await given.encode(wanted.audio.format)
        await answer.whole(given.whole())

    def _check(self, wanted: Wanted) -> None:
        for name in ("stop", "logit_bias"):
            if getattr(wanted, name):
                raise wrong(f"{name}: not offered here", name)
        if not wanted.is_spoken:
            return
        if self._answerer.voice == NONE:
            raise wrong("modalities: there is no voice here", "modalities")
        if wanted.audio is None:
            raise wrong("audio: missing; its format says how the answer is told", "audio")
        check_voice(wanted.audio.voice, self._answerer.voice)
        if wanted.stream and wanted.audio.format != "pcm16":
            raise wrong("audio.format: a stream is of pcm16", "audio.format")
        if wanted.audio.format != "pcm16":
            format_of(wanted.audio.format, "audio.format")

    def _protocol(self) -> Realtime:
        def new_id(kind: str) -> str:
            return f"{kind}_{secrets.token_hex(8)}"

        return self._answerer.new_protocol(new_id("sess"), new_id, 0)

    async def _transcript(self, pcm: bytes) -> str:
        assert self._answerer.new_reader is not None, "there is nothing to read with"
        async with self._line.place(self._answerer.new_reader) as place:
            reading = Reading(place, pcm)
            async for _ in reading.pieces():
                pass
        return reading.text


def _settings(wanted: Wanted, instructions: str) -> Json:
    """The session's settings."""
    heard = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}
    session: Json = {
        "type": "realtime",
        "output_modalities": ["audio" if wanted.is_spoken else "text"],
        "audio": {"input": {**heard, "transcription": None}},
        "salmonn": {"temperature": wanted.temperature, "top_p": wanted.top_p},
    }
    if instructions:
        session["instructions"] = instructions
    if wanted.tools is not None:
        session["tools"] = tools_of(wanted.tools)
    if wanted.tool_choice is not None:
        session["tool_choice"] = choice_of(wanted.tool_choice)
    return session


class Given:
    """An answer, as far as it was given."""

    def __init__(self, model: str, is_spoken: bool) -> None:
        """Args:
        model: its name.
        is_spoken: the answer is spoken.
        """
        self._model, self._is_spoken = model, is_spoken
        self._name, self._audio_name = (
            f"{kind}{secrets.token_hex(12)}" for kind in ("chatcmpl-", "audio_")
        )
        self._created = int(time.time())
        self._text, self._audio = "", bytearray()
        self._calls: list[Json] = []
        self._finish = "stop"
        self._usage: Json = {}

    def take(self, event: Json) -> Json | None:
        """What a server event adds to the answer; None: nothing."""
        match event:
            case {"type": "response.output_text.delta", "delta": text}:
                self._text += text
                return {"content": text}
            case {"type": "response.output_audio_transcript.delta", "delta": text}:
                self._text += text
                return {"audio": {"id": self._audio_name, "transcript": text}}
            case {"type": "response.output_audio.delta", "delta": data}:
                self._audio += base64.b64decode(data)
                return {"audio": {"id": self._audio_name, "data": data}}
            case {"type": "response.output_item.done", "item": {"type": "function_call"} as item}:
                self._calls.append(call(item))
                return {"tool_calls": [call(item, len(self._calls) - 1)]}
            case {"type": "response.done", "response": response}:
                self._done(response)
        return None

    def _done(self, response: Json) -> None:
        if self._calls:
            self._finish = "tool_calls"
        elif response["status"] == "incomplete":
            self._finish = "length"
        used = response["usage"]
        details = used["input_token_details"]
        self._usage = {
            "prompt_tokens": used["input_tokens"],
            "completion_tokens": used["output_tokens"],
            "total_tokens": used["total_tokens"],
            "prompt_tokens_details": {
                name: details[name] for name in ("cached_tokens", "audio_tokens")
            },
        }

    async def encode(self, format_: str) -> None:
        """Make a file of what was spoken; pcm16 is what it is."""
        if format_ == "pcm16":
            return
        encoder, pcm = format_of(format_).encoder(), bytes(self._audio)
        self._audio = bytearray(await asyncio.to_thread(encoder.push, pcm))
        self._audio += await asyncio.to_thread(encoder.flush)

    def whole(self) -> Reply:
        """The whole answer."""
        message: Json = {"role": "assistant", "content": self._text, "refusal": None}
        if self._is_spoken:
            about = {"id": self._audio_name, "expires_at": self._created}
            data = base64.b64encode(self._audio).decode()
            message |= {"content": None, "audio": {**about, "data": data, "transcript": self._text}}
        if self._calls:
            message |= {"content": self._text or None, "tool_calls": self._calls}
        choice = {"index": 0, "message": message, "finish_reason": self._finish, "logprobs": None}
        told = self._about("chat.completion") | {"choices": [choice], "usage": self._usage}
        return Reply(HTTPStatus.OK, json.dumps(told).encode(), "application/json")

    def chunk(self, delta: Json, *, last: bool = False) -> Json:
        """A piece of a streamed answer; `last`: with the reason why it is over."""
        finish = self._finish if last else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._about("chat.completion.chunk") | {"choices": [choice]}

    def usage(self) -> Json:
        """The last piece of a streamed answer, which tells what it took."""
        return self._about("chat.completion.chunk") | {"choices": [], "usage": self._usage}

    def _about(self, kind: str) -> Json:
        return {
            "id": self._name, "object": kind, "created": self._created, "model": self._model,
        }  # fmt: skip


async def _stream(
    events: AsyncIterator[Json], given: Given, answer: Answer, *, usage: bool
) -> None:
    """Server-sent events: an answer piece by piece."""
    async for event in events:
        if (delta := given.take(event)) is None:
            continue
        if answer.status is None:
            delta = {"role": "assistant", **delta}
        await answer.begin(EVENTS)
        await answer.write(server_sent(given.chunk(delta)))
    await answer.begin(EVENTS)  # if it is empty
    await answer.write(server_sent(given.chunk({}, last=True)))
    if usage:
        await answer.write(server_sent(given.usage()))
    await answer.write(b"data: [DONE]\n\n")
    await answer.end()
