"""What a client has to offer to take the steps, and what it saw."""

import base64
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]
TURN = "...SSSS" + "." * 12
"""Someone speaks, is answered, and listens to the first words."""

TOOL: Json = {
    "type": "function",
    "name": "switch_light",
    "description": "Switch the light.",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}},
}
DETECTION = {"type": "server_vad", "silence_duration_ms": 160, "interrupt_response": True}
STEP_S = 60.0
"""Seconds after which a step is given up."""


@dataclass(slots=True)
class Record:
    """What came of one client's steps."""

    errors: dict[str, str | None] = field(default_factory=dict)
    """By step: what went wrong, or None."""

    sent: set[str] = field(default_factory=set)
    """Types of the events it sent."""

    parsed: set[str] = field(default_factory=set)
    """Of those that came and fitted the client's own schema."""

    unknown: set[str] = field(default_factory=set)
    """Of those that came and did not."""


class Connection(Protocol):
    """A configured connection; every method is the client's own way to do it."""

    async def until(self, kind: str) -> Json:
        """The next event of a type that came, as it came."""

    async def error(self) -> str | None:
        """The `event_id` that the next of the client's own error events names."""

    async def send(self, kind: str, **fields: Any) -> None:
        """Any event."""

    async def append(self, pcm: bytes) -> None: ...
    async def commit(self) -> None: ...
    async def ask(self, text: str) -> None:
        """A typed message, and an answer to it."""

    async def tool_output(self, call_id: str, output: str) -> None:
        """What a function said, and an answer to it."""

    async def respond(self, **wanted: Any) -> None: ...
    async def cancel(self) -> None: ...
    async def again(self, query: dict[str, str]) -> None:
        """The connection was lost: come back, with these parameters in the address."""


class Client(Protocol):
    """A client library."""

    def open(self, host: str, key: str = "none") -> AbstractAsyncContextManager[Connection]:
        """Connect with captions, `DETECTION` and `TOOL`."""


def b64(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()
