"""The official `openai` client. It checks nothing itself; its own types do, here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from openai.types.websocket_reconnection import ReconnectingEvent, ReconnectingOverrides
from pydantic import TypeAdapter, ValidationError

from tests.conformance.client import DETECTION, TOOL, Json, Record, b64

STRICT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SETTINGS = {
    "type": "realtime",
    "instructions": "Reply.",
    "tools": [TOOL],
    "audio": {
        "input": {
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": DETECTION,
        }
    },
}


class OpenAi:
    """The library."""

    def __init__(self, record: Record) -> None:
        self._record = record

    @asynccontextmanager
    async def open(self, host: str, key: str = "none") -> AsyncIterator["OpenAiConnection"]:
        back: dict[str, object] = {}

        def on_reconnecting(event: ReconnectingEvent) -> ReconnectingOverrides:
            return {"extra_query": back}

        client = AsyncOpenAI(api_key=key, base_url=f"http://{host}/v1")
        async with client.realtime.connect(
            model="gpt-realtime", on_reconnecting=on_reconnecting, initial_delay=0.01
        ) as connection:
            await connection.session.update(session=SETTINGS)  # type: ignore[arg-type]
            yield OpenAiConnection(connection, self._record, back)


class OpenAiConnection:
    """A `connection` of the library."""

    def __init__(self, connection: Any, record: Record, back: dict[str, object]) -> None:
        self._connection, self._record, self._back = connection, record, back

    async def until(self, kind: str) -> Json:
        async for event in self._connection:  # connects again, where it must
            came: Json = event.to_dict(mode="json")
            try:
                STRICT.validate_python(came)
                self._record.parsed.add(came["type"])
            except ValidationError:
                self._record.unknown.add(came["type"])
            if event.type == kind:
                return came
        raise AssertionError(f"closed before {kind}")

    async def error(self) -> str | None:
        event = await self.until("error")
        return str(event["error"]["event_id"])

    async def send(self, kind: str, **fields: Any) -> None:
        resources = {
            "input_audio_buffer": self._connection.input_audio_buffer,
            "output_audio_buffer": self._connection.output_audio_buffer,
            "conversation.item": self._connection.conversation.item,
            "response": self._connection.response,
            "session": self._connection.session,
        }
        resource, _, verb = kind.rpartition(".")
        await getattr(resources[resource], verb)(**fields)

    async def append(self, pcm: bytes) -> None:
        await self._connection.input_audio_buffer.append(audio=b64(pcm))

    async def commit(self) -> None:
        await self._connection.input_audio_buffer.commit()

    async def ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        message = {"type": "message", "role": "user", "content": content}
        await self._connection.conversation.item.create(item=message)
        await self._connection.response.create()

    async def tool_output(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        await self._connection.conversation.item.create(item=item)
        await self._connection.response.create()

    async def respond(self, **wanted: Any) -> None:
        await self._connection.response.create(response=wanted)

    async def cancel(self) -> None:
        await self._connection.response.cancel()

    async def again(self, query: dict[str, str]) -> None:
        self._back.clear()
        self._back.update(query)
