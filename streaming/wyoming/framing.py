"""Frames of the Wyoming protocol: a line of JSON, more JSON and bytes, all of limited length.

The library's own reader has no limits and takes whatever it does not understand for the end of the
connection, so that the client is told nothing. This one says what is wrong.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from wyoming.event import Event, Eventable
from wyoming.version import __version__ as VERSION

from assistant.errors import AssistantError

HEADER_BYTES = 64 * 2**10
"""Longest line that a frame begins with."""

DATA_BYTES = 256 * 2**10
"""Most bytes of JSON after it."""

PAYLOAD_BYTES = 2**20
"""Most bytes of audio in a frame: half a minute at 16 kHz."""

FRAME_S = 10.0
"""Seconds that the rest of a frame may take after its first line."""


class WyomingError(AssistantError):
    """Something that a client is told before its connection is closed."""

    def __init__(self, code: str, text: str) -> None:
        """Args:
        code: for programs.
        text: one sentence for people, without anything that was said.
        """
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a frame."""

    type: str
    data: dict[str, Any]
    data_length: int
    """Bytes of JSON that follow."""

    payload_length: int
    """Bytes of audio after that."""

    version: str
    """Version of the protocol that the client speaks; empty if it does not say."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole frame."""

    type: str
    data: dict[str, Any]
    payload: bytes
    version: str


def header(line: bytes) -> Header:
    """Parse the first line of a frame.

    Raises:
        WyomingError: it is not one, or it announces more bytes than are taken.
    """
    values = _object(line, "header")
    kind = values.get("type")
    if not isinstance(kind, str):
        raise WyomingError("frame", "type: not a text")
    data = values.get("data")
    if not isinstance(data, dict | None):
        raise WyomingError("frame", "data: not an object")
    version = values.get("version")
    return Header(
        kind,
        data or {},
        _length(values, "data_length", DATA_BYTES),
        _length(values, "payload_length", PAYLOAD_BYTES),
        version if isinstance(version, str) else "",
    )


def _length(values: dict[str, Any], key: str, most: int) -> int:
    length = values.get(key)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise WyomingError("frame", f"{key}: not a number of bytes")
    if length > most:
        raise WyomingError("frame", f"{key}: more than {most} bytes")
    return length


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # what it quotes may have been said
        raise WyomingError("frame", f"{where}: not JSON in UTF-8") from error
    if not isinstance(values, dict):
        raise WyomingError("frame", f"{where}: not a JSON object")
    return values


async def read(reader: asyncio.StreamReader, wait_s: float | None = None) -> Message | None:
    """Read a frame; None at the end of the connection.

    Args:
        reader: with a limit of `HEADER_BYTES`.
        wait_s: seconds until its first line has to be there; None: any time.

    Raises:
        WyomingError: it is no frame, too long, or does not come.
    """
    try:
        async with asyncio.timeout(wait_s):
            line = await reader.readuntil(b"\n")
        async with asyncio.timeout(FRAME_S):
            begun = header(line)
            data = await reader.readexactly(begun.data_length)
            payload = await reader.readexactly(begun.payload_length)
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected is None:
            return None
        raise WyomingError("frame", "the connection ended within a frame") from None
    except asyncio.LimitOverrunError:
        raise WyomingError("frame", f"header: more than {HEADER_BYTES} bytes") from None
    except TimeoutError:
        raise WyomingError("stalled", "nothing came for too long") from None
    more = _object(data, "data") if data else {}
    return Message(begun.type, begun.data | more, payload, begun.version)


def frame(said: Eventable) -> bytes:
    """The bytes of an event."""
    event: Event = said.event()
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    begin: dict[str, Any] = {"type": event.type, "version": VERSION}
    if data:
        begin["data_length"] = len(data)
    if event.payload:
        begin["payload_length"] = len(event.payload)
    return json.dumps(begin).encode() + b"\n" + data + (event.payload or b"")
