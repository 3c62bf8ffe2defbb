"""The official `openai` client against this server: every field it declares, checked."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.streaming.server.test_app import TURN, fake, run, serving

openai = pytest.importorskip("openai")
from openai.types.realtime import RealtimeServerEvent  # noqa: E402

STRICT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
"""The client itself checks nothing; its own types do."""

SETTINGS = {
    "type": "realtime",
    "instructions": "Reply.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 160},
        }
    },
}


def mulaw(script: str) -> str:
    """The scripted user at 8 kHz mu-law: loud or silent."""
    loud = {"S": 0x9F, ".": 0xFF}
    return base64.b64encode(b"".join(bytes([loud[mark]]) * 160 for mark in script)).decode()


@asynccontextmanager
async def connected(**changes: Any) -> AsyncIterator[tuple[Any, list[Any]]]:
    """A connection, and a list of all events that came over it, each checked."""
    seen: list[Any] = []
    async with serving(fake(), **changes) as (_, host):
        client = openai.AsyncOpenAI(api_key="none", base_url=f"http://{host}/v1")
        async with client.realtime.connect(model="gpt-realtime") as connection:
            yield connection, seen


async def until(connection: Any, seen: list[Any], kind: str) -> Any:
    async for event in connection:
        STRICT.validate_python(event.model_dump(warnings=False))
        seen.append(event)
        if event.type == kind:
            return event
    raise AssertionError(f"no {kind}")


@run
async def test_a_spoken_turn() -> None:
    async with connected() as (connection, seen):
        created = await until(connection, seen, "session.created")
        assert created.session.type == "realtime"
        await connection.session.update(session=SETTINGS)
        updated = await until(connection, seen, "session.updated")
        assert updated.session.audio.input.turn_detection.interrupt_response is True
        await connection.input_audio_buffer.append(audio=mulaw(TURN))
        done = await until(connection, seen, "response.done")
        assert done.response.status == "completed"
        assert done.response.usage.input_token_details.audio_tokens == 6
        transcribed = "conversation.item.input_audio_transcription.completed"
        if transcribed not in [event.type for event in seen]:
            await until(connection, seen, transcribed)
        (heard,) = [event for event in seen if event.type == transcribed]
        assert heard.transcript.endswith("all")
        texts = [event.delta for event in seen if event.type == "response.output_text.delta"]
        assert "".join(texts) == "I heard 3 windows"


@run
async def test_by_hand() -> None:
    async with connected() as (connection, seen):
        update = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await connection.session.update(session=update)
        silence = base64.b64encode(bytes(48_000)).decode()
        await connection.input_audio_buffer.append(audio=silence)
        await connection.input_audio_buffer.commit()
        await until(connection, seen, "input_audio_buffer.committed")
        await connection.response.create()
        done = await until(connection, seen, "response.done")
        assert done.response.status == "completed"
        await connection.input_audio_buffer.clear()
        await until(connection, seen, "input_audio_buffer.cleared")


@run
async def test_items_errors_and_tools() -> None:
    async with connected() as (connection, seen):
        text = [{"type": "input_text", "text": "What was that?"}]
        message = {"id": "mine", "type": "message", "role": "user", "content": text}
        await connection.conversation.item.create(item=message)
        await until(connection, seen, "conversation.item.done")
        await connection.conversation.item.retrieve(item_id="mine")
        told = await until(connection, seen, "conversation.item.retrieved")
        assert told.item.content[0].text == "What was that?"
        await connection.conversation.item.truncate(
            item_id="mine", content_index=0, audio_end_ms=0, event_id="cut"
        )
        assert (await until(connection, seen, "error")).error.event_id == "cut"
        await connection.conversation.item.delete(item_id="mine")
        await until(connection, seen, "conversation.item.deleted")
        output = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}
        await connection.conversation.item.create(item=output)
        await until(connection, seen, "conversation.item.done")
        await connection.response.create()
        await until(connection, seen, "response.done")
        await connection.response.cancel(event_id="late")
        assert (await until(connection, seen, "error")).error.event_id == "late"


@run
async def test_a_refused_connection_is_an_error_of_the_client() -> None:
    async with serving(fake(), token="right") as (_, host):
        client = openai.AsyncOpenAI(api_key="wrong", base_url=f"http://{host}/v1")
        with pytest.raises(Exception, match="401"):
            async with client.realtime.connect(model="x"):
                pass
        client = openai.AsyncOpenAI(api_key="right", base_url=f"http://{host}/v1")
        async with client.realtime.connect(model="x") as connection:
            assert (await connection.recv()).type == "session.created"
