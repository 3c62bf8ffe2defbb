"""Servers that clients are tested against: their addresses, and scripts they follow."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from clients.realtime import SETTINGS, Json, Session

SHORT: Json = {
    **SETTINGS,
    "audio": {
        "input": {
            **SETTINGS["audio"]["input"],
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 160},
        }
    },
}


def url(host: str) -> str:
    return f"ws://{host}/v1/realtime"


async def answers(talk: Session, count: int) -> list[str]:
    found = [""]
    async for event in talk:
        if event["type"] == "response.output_text.delta":
            found[-1] += event["delta"]
        elif event["type"] == "response.done":
            if len(found) == count:
                return found
            found.append("")
    raise AssertionError("events ended")


Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def scripted(*talks: Talk) -> AsyncIterator[str]:
    """The address of a server that does as these say, one for each connection."""
    left = list(talks)

    async def handle(connection: ServerConnection) -> None:
        await left.pop(0)(connection)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        assert not left, "the client did not connect as often as it should"


async def begin(connection: ServerConnection, name: str = "sess_1") -> None:
    await say(connection, type="session.created", event_id="event_1", session={"id": name})


async def say(connection: ServerConnection, **event: Any) -> None:
    await connection.send(json.dumps(event))


async def stay(connection: ServerConnection) -> None:
    """Until the client leaves."""
    async for _ in connection:
        pass
