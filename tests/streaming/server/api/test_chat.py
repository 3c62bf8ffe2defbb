"""`POST /v1/chat/completions`, asked by OpenAI's own client."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from openai import APIError, APIStatusError

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.sound.recording import load_pcm16
from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.build import make_session, session_spec
from streaming.config import Config
from streaming.config_file import load_config
from streaming.controls import Ask, Commit, Configure, Control, Hold, Recording, Write
from streaming.dialogue.session import Session
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.server.api.build import Makers, works
from streaming.server.api.chat import STRUCTURE, Answerer
from streaming.server.assistant import Assistant
from streaming.server.build import build_assistant
from tests.assistant.prompt.test_words import words_model
from tests.streaming.fakes import CONFIG, TURNS, Echo, drain, session, text
from tests.streaming.server.api.asked import KITCHEN, asking, tiny_assistant
from tests.streaming.server.api.test_transcriptions import encoded
from tests.streaming.server.test_app import fake, run
from tests.streaming.server.test_http import asking as raw
from tests.streaming.server.test_http import http, message

Json = dict[str, Any]
FEW = 8
"""Tokens of an answer: a model of random weights talks on and on."""


@pytest.fixture(scope="module")
def assistant(tiny: Salmonn) -> Assistant:
    return tiny_assistant(tiny)


@pytest.fixture(scope="module")
def words() -> Salmonn:
    return words_model()


def config_of(words: Salmonn) -> Config:
    return replace(load_config(shipped_config(), "tiny"), model=words.config)


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def recording(suffix: str = "flac") -> Json:
    data = KITCHEN.read_bytes() if suffix == "flac" else encoded(suffix)
    heard = {"data": base64.b64encode(data).decode(), "format": suffix}
    return {"type": "input_audio", "input_audio": heard}


def expected(made: Session, *pieces: Control | bytes) -> str:
    """What a session answers that is asked without a server."""
    made.control(Configure(max_new_tokens=FEW))
    for piece in pieces:
        if isinstance(piece, bytes):
            made.receive(piece)
        else:
            made.control(piece)
    return text(drain(made))


async def asked(client: Any, *messages: Json, **wanted: Any) -> Any:
    create = client.chat.completions.create
    return await create(messages=[*messages], model="gpt-4o", max_tokens=FEW, **wanted)


def test_a_question_is_answered_as_by_any_session(tiny: Salmonn, assistant: Assistant) -> None:
    spec = session_spec(tiny, load_config(shipped_config(), "tiny"), "Answer.")
    alone = expected(make_session(tiny, spec), Ask("Hello?"))
    heard = expected(
        make_session(tiny, spec), Recording(), load_pcm16(KITCHEN), Hold(), Commit(or_ring=True)
    )

    @run
    async def test() -> None:
        async with asking(assistant) as (app, _, client):
            told = await asked(client, user("Hello?"))
            assert told.choices[0].message.content == alone
            assert told.choices[0].finish_reason == "length"
            assert told.usage.total_tokens == told.usage.prompt_tokens + FEW + 1
            parts = [{"type": "text", "text": "Hello?"}]
            assert (await asked(client, user(parts))).choices[0].message.content == alone
            about = await asked(client, user([recording()]))
            assert about.choices[0].message.content == heard
            assert about.usage.prompt_tokens_details.audio_tokens > 60
            assert not app.places._beside

    test()


def test_a_stream_is_the_same_piece_by_piece(assistant: Assistant) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            whole = await asked(client, user("Hello?"))
            stream = await asked(
                client, user("Hello?"), stream=True, stream_options={"include_usage": True}
            )
            *chunks, end, usage = [chunk async for chunk in stream]
            deltas = [chunk.choices[0].delta for chunk in chunks]
            assert deltas[0].role == "assistant"
            assert "".join(delta.content for delta in deltas) == whole.choices[0].message.content
            assert end.choices[0].finish_reason == "length"
            assert usage.usage == whole.usage
            assert len({chunk.id for chunk in (*chunks, end, usage)}) == 1

    test()


def test_earlier_turns_and_instructions_are_read_where_words_are(words: Salmonn) -> None:
    config = config_of(words)
    spec = session_spec(words, config, "Hi.")
    turns = [("a", "user", "Who?"), ("b", "assistant", "Ann."), ("c", "user", "And where?")]
    history = expected(
        make_session(words, spec),
        Configure("Be kind.\n\nBe short."),
        *(Write(said, role, ref) for ref, role, said in turns),  # type: ignore[arg-type]
        Commit(or_ring=True),
    )

    @run
    async def test() -> None:
        async with asking(build_assistant(words, config, "Hi.")) as (_, _, client):
            messages: list[Json] = [
                {"role": "system", "content": "Be kind."},
                {"role": "developer", "content": [{"type": "text", "text": "Be short."}]},
                *({"role": role, "content": said} for _, role, said in turns),
            ]
            told = await asked(client, *messages)
            assert told.choices[0].message.content == history
            other = await asked(client, *messages[1:])
            assert other.choices[0].message.content != history

    test()


def test_a_recording_that_was_answered_is_read_as_its_transcript(words: Salmonn) -> None:
    @run
    async def test() -> None:
        async with asking(build_assistant(words, config_of(words), "Hi.")) as (_, _, client):
            said = await client.audio.transcriptions.create(file=KITCHEN, model="x")
            rest = {"role": "assistant", "content": "Yes."}, user("And now?")
            heard = await asked(client, user([recording()]), *rest)
            read = await asked(client, user(said.text), *rest)
            assert heard.choices[0].message.content == read.choices[0].message.content
            assert heard.usage == read.usage

    test()


def test_an_answer_can_be_spoken(assistant: Assistant) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            spoken: Any = {"modalities": ["text", "audio"]}
            answers = {}
            for format_ in ("pcm16", "wav", "mp3", "flac", "opus"):
                audio = {"voice": "alloy", "format": format_}
                told = await asked(client, user("Hello?"), **spoken, audio=audio)
                answers[format_] = told.choices[0].message.audio
                assert told.choices[0].message.content is None
            plain = await asked(client, user("Hello?"))
            assert {one.transcript for one in answers.values()} == {
                plain.choices[0].message.content
            }
            pcm = base64.b64decode(answers["pcm16"].data)
            assert base64.b64decode(answers["wav"].data)[44:] == pcm
            assert len(pcm) > 2_400
            stream = await asked(
                client, user("Hello?"), **spoken, stream=True,
                audio={"voice": "alloy", "format": "pcm16"},
            )  # fmt: skip
            deltas = [c.choices[0].delta.model_dump().get("audio") async for c in stream]
            pieces = [delta for delta in deltas if delta]
            assert b"".join(base64.b64decode(p.get("data") or "") for p in pieces) == pcm
            words = "".join(piece.get("transcript") or "" for piece in pieces)
            assert words == plain.choices[0].message.content

    test()


# --- functions, with a scripted model

SWITCH: Json = {
    "type": "function",
    "function": {"name": "switch", "parameters": {"type": "object", "properties": {}}},
}


class Caller(Echo):
    """Calls a function, and tells what came of it."""

    def ask(self) -> int:
        found = super().ask()
        if self.tools and "on" not in (self.question or ""):
            self.reply = ["Well. ", ToolCall("call_1", "switch", '{"on": true}')]
        elif self.question:
            self.reply = [f"You wrote: {self.question}"]
        return found


def _check(tools: tuple[Tool, ...], choice: ToolChoice) -> None:
    choice.among(tools)


def calling(new_session: Callable[[], Session] | None = None) -> Assistant:
    """A scripted model that reads words, and calls functions."""

    def new_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        about: Any = {"id": name, "model": "fake", "instructions": "Reply."}
        defaults = Settings(TURNS, CONFIG)
        return Realtime(
            initial(defaults, None, **about), defaults, new_id, longest=50, longest_text=9000,
            audio_tokens_per_window=2, can_transcribe=False, can_name_sounds=False,
            reads_words=True, check_tools=_check,
        )  # fmt: skip

    made = new_session or (lambda: session(Caller(), pace=None))
    answerer = Answerer("fake", made, new_protocol, None, "none", reads_words=True)
    return replace(fake(), works=partial(works, Makers(None, answerer)))


@run
async def test_functions_are_called_and_what_came_of_it_is_told() -> None:
    async with asking(calling()) as (_, _, client):
        told = await asked(client, user("Light!"), tools=[SWITCH], tool_choice="auto")
        (call,) = told.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("switch", {"on": True})
        assert told.choices[0].message.content == "Well. "
        assert told.choices[0].finish_reason == "tool_calls"
        stream = await asked(client, user("Light!"), tools=[SWITCH], stream=True)
        chunks = [chunk.choices[0] async for chunk in stream]
        calls = [c for chunk in chunks for c in chunk.delta.tool_calls or []]
        assert [(c.index, c.id, c.function.name) for c in calls] == [(0, "call_1", "switch")]
        assert chunks[-1].finish_reason == "tool_calls"
        history = [user("Light!"), told.choices[0].message.model_dump(exclude_none=True)]
        result = {"role": "tool", "tool_call_id": "call_1", "content": "It is on."}
        done = await asked(client, *history, result, tools=[SWITCH])
        assert done.choices[0].message.content == "You wrote: It is on."
        result["tool_call_id"] = "call_9"
        with pytest.raises(APIStatusError, match="no call") as raised:
            await asked(client, *history, result)
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["param"] == "messages[2].call_id"


# --- errors


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [user("x"), {"role": "assistant", "content": "y"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "y"}, user("x")]}, "messages[0]"),
        ({"messages": [user("x" * 70_000)]}, "messages[0].content[0].text"),
        ({"messages": [user("")]}, "messages[0].content"),
        ({"messages": [user([{"type": "text", "text": " "}])]}, "messages[0].content"),
        ({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text"),
        (
            {"messages": [user([{"type": "image_url", "image_url": {"url": "data:"}}])]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [user([{"type": "input_audio", "input_audio": {"data": "?"}}])]},
            "messages[0].content[0].input_audio.data",
        ),
        (
            {"messages": [user([{"type": "input_audio", "input_audio": {"data": "AAAA"}}])]},
            "messages[0].content[0].input_audio.data",
        ),
        ({"messages": [user([recording()] * 4)]}, "messages[0].content"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "messages.0.role"),
        ({"messages": [user(5)]}, "messages.0.content"),
        ({"n": 2}, "n"),
        ({"stop": ["x"]}, "stop"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [SWITCH]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"modalities": ["audio"]}, "audio"),
        ({"modalities": ["audio"], "audio": {"voice": "x", "format": "wav"}}, "voice"),
        ({"modalities": ["audio"], "audio": {"voice": "ash", "format": "aac"}}, "audio.format"),
        (
            {"modalities": ["audio"], "audio": {"voice": "ash", "format": "mp3"}, "stream": True},
            "audio.format",
        ),
        ({"extra_body": {"mood": "x"}}, "mood"),
    ],
)
def test_what_cannot_be_followed_is_an_error_that_names_the_field(
    assistant: Assistant, wanted: Json, param: str
) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (app, _, client):
            with pytest.raises(APIStatusError) as raised:
                await client.chat.completions.create(
                    **{"messages": [user("Hello?")], "model": "x", **wanted}
                )
            error = raised.value.body
            assert raised.value.status_code == 400
            assert isinstance(error, dict)
            assert error["param"] == param
            assert error["message"].startswith((param, f"unknown parameter: {param}"))
            assert not app.places._beside

    test()


def test_a_chat_that_is_too_long_for_the_model_is_an_error(words: Salmonn) -> None:
    @run
    async def test() -> None:
        async with asking(build_assistant(words, config_of(words), "Hi.")) as (_, _, client):
            for stream in (False, True):
                with pytest.raises(APIStatusError) as raised:
                    await asked(client, user("word " * 3000), stream=stream)
                assert isinstance(raised.value.body, dict)
                assert raised.value.body["code"] == "context_length_exceeded"

    test()


@run
async def test_a_body_of_brackets_is_not_looked_at() -> None:
    body = b'{"messages": [' + b"[" * STRUCTURE
    head = {"Content_Type": "application/json", "Content_Length": str(len(body))}
    async with asking(calling()) as (_, host, _):
        found = await http(host, raw("POST", "/v1/chat/completions", **head) + body)
        assert found[0] == 400
        assert "too many parts" in message(found)


@run
async def test_a_session_that_fails_is_an_error_of_the_server_even_late() -> None:
    class Mad(Caller):
        def token(self) -> str | ToolCall | None:
            if self.made == 1:
                raise RuntimeError("SECRET")
            return super().token()

    broken = calling(lambda: session(Mad(), pace=None))
    async with asking(broken) as (_, _, client):
        with pytest.raises(APIStatusError, match="an error of the server") as raised:
            await asked(client, user("Hello?"))
        assert raised.value.status_code == 500
        stream = await asked(client, user("Hello?"), stream=True)
        with pytest.raises(APIError, match="an error of the server"):
            async for _ in stream:
                pass
