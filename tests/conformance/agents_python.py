"""The official `openai-agents` client: every event goes through its pydantic models."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from agents import FunctionTool
from agents.realtime import (
    OpenAIRealtimeWebSocketModel,
    RealtimeAgent,
    RealtimeModelListener,
    RealtimeModelSendRawMessage,
    RealtimeRunner,
    RealtimeSession,
)
from agents.realtime.model_events import RealtimeModelEvent
from agents.realtime.model_inputs import RealtimeModelSendInterrupt
from agents.realtime.openai_realtime import get_server_event_type_adapter
from pydantic import ValidationError

from tests.conformance.client import DETECTION, TOOL, Json, Record


async def _switch(context: Any, arguments: str) -> str:
    return "{}"


LIGHT = FunctionTool(
    name=TOOL["name"],
    description=TOOL["description"],
    params_json_schema=dict(TOOL["parameters"]),
    on_invoke_tool=_switch,
    strict_json_schema=False,
)
SETTINGS = {
    "audio": {
        "input": {
            "format": "pcm16",
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": DETECTION,
        }
    }
}


class Agents:
    """The library."""

    def __init__(self, record: Record) -> None:
        self._record = record

    @asynccontextmanager
    async def open(self, host: str, key: str = "none") -> AsyncIterator["AgentsConnection"]:
        async with AsyncExitStack() as stack:
            connection = AgentsConnection(stack, host, key, self._record)
            await connection.again({})
            yield connection


class AgentsConnection(RealtimeModelListener):
    """A `RealtimeSession` of the library, and another one after a drop."""

    def __init__(self, stack: AsyncExitStack, host: str, key: str, record: Record) -> None:
        self._stack, self._host, self._key, self._record = stack, host, key, record
        self._session: RealtimeSession

    async def again(self, query: dict[str, str]) -> None:
        self._came: asyncio.Queue[Json] = asyncio.Queue()
        self._errors: asyncio.Queue[Any] = asyncio.Queue()
        agent = RealtimeAgent(name="nano", instructions="Reply.", tools=[LIGHT])
        model = OpenAIRealtimeWebSocketModel()
        model.add_listener(self)
        url = f"ws://{self._host}/v1/realtime?{urlencode(query)}"
        settings: Any = {"api_key": self._key, "url": url, "initial_model_settings": SETTINGS}
        session = await RealtimeRunner(agent, model=model).run(model_config=settings)
        self._session = await self._stack.enter_async_context(session)

    async def on_event(self, event: RealtimeModelEvent) -> None:
        """What the library makes of what comes."""
        if event.type == "raw_server_event":
            self._came.put_nowait(copy.deepcopy(event.data))  # the library changes it afterwards
            self._last = event.data["type"]
            self._take(event.data)
        elif event.type == "error" and self._last != "error":
            self._reject(self._last)
        elif event.type == "error":
            self._errors.put_nowait(event.error)
        elif event.type == "exception" and "connection closed" not in str(event.context):
            self._reject(self._last)

    def _take(self, event: Json) -> None:
        try:  # the library looks at messages of responses in a way of its own: look here, too
            get_server_event_type_adapter().validate_python(event)
            self._record.parsed.add(event["type"])
        except ValidationError:
            self._reject(event["type"])

    def _reject(self, kind: str) -> None:
        self._record.unknown.add(kind)

    async def until(self, kind: str) -> Json:
        while True:
            event = await self._came.get()
            if event["type"] == kind:
                return event

    async def error(self) -> str | None:
        async for event in self._session:
            if event.type == "error":
                return str(event.error.event_id)
        raise AssertionError("closed before an error")

    async def send(self, kind: str, **fields: Any) -> None:
        message: Any = {"type": kind, "other_data": fields}
        await self._session.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def append(self, pcm: bytes) -> None:
        await self._session.send_audio(pcm)

    async def commit(self) -> None:
        await self._session.send_audio(b"", commit=True)

    async def ask(self, text: str) -> None:
        await self._session.send_message(text)

    async def tool_output(self, call_id: str, output: str) -> None:
        """The library runs the function itself, and asks for an answer."""

    async def respond(self, **wanted: Any) -> None:
        await self.send("response.create", response=wanted)

    async def cancel(self) -> None:
        await self._session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
