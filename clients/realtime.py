"""A session with a salmonn-live server, in Python.

    async with Session("ws://127.0.0.1:8765/v1/realtime") as session:
        await session.audio(pcm)              # 16 kHz, 16-bit little-endian, mono
        async for event in session:           # dicts, as the server sends them
            ...

The connection may drop: the session comes back to where it was, and what the server did not get,
audio and all else, is sent again in order. docs/protocol.md lists the events.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

Json = dict[str, Any]
SAMPLE_RATE = 16_000
KEPT_BYTES = 30 * 2 * SAMPLE_RATE
"""Audio kept for a server that did not get it: half a minute, and what was sent between it."""

FAREWELLS = {1000, 1008, 1011}
"""Close codes after which coming back is no use (RFC 6455, section 7.4)."""

ASLEEP = "keepalive ping timeout"
"""Why `websockets` closes with 1011 where this machine did not answer, as one that slept."""

SETTINGS: Json = {
    "type": "realtime",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": SAMPLE_RATE},
            "transcription": {"model": "whisper"},
            "turn_detection": {"type": "server_vad"},
        }
    },
    "salmonn": {"binary_audio": True, "sound_events": True, "latency": True},
}
"""What a session asks for, unless told otherwise: everything there is."""


class SessionLostError(ConnectionError):
    """The server cannot be reached, or does not want this session any more."""


class Session:
    """One conversation. Events are read by iterating; everything else may be called meanwhile."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        settings: Json | None = None,
        tries: int = 6,
    ) -> None:
        """Args:
        url: of the server's socket.
        token: what the server asks for as an API key.
        settings: of `session.update`; None: `SETTINGS`. Audio is sent as binary messages, so
            they should ask for that.
        tries: to connect again, each after twice the wait, before the session counts as lost.
        """
        self._url, self._token, self._tries = url, token, tries
        self._socket: ClientConnection | None = None
        self._name: str | None = None
        self._last = 0  # number of the last event
        update = {"type": "session.update", "session": SETTINGS if settings is None else settings}
        self._kept: deque[bytes | str] = deque([json.dumps(update)])  # audio and messages, in order
        self._kept_bytes = 0  # of audio
        self._before = _Sent()  # all that is kept
        self._sent = _Sent()  # over this connection, and before it
        self._ready = asyncio.Event()
        self._events: asyncio.Queue[Json | SessionLostError] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            SessionLostError: the server cannot be reached, or refuses.
        """
        await self._connect()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the session."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._socket is not None:
            await self._socket.close()

    async def audio(self, pcm: bytes) -> None:
        """Send audio, in pieces of any size."""
        self._kept.append(pcm)
        self._kept_bytes += len(pcm)
        while self._kept_bytes - _audio_bytes(self._kept[0]) >= KEPT_BYTES:
            self._kept_bytes -= _audio_bytes(self._kept[0])
            self._before.count(self._kept.popleft())
        if self._ready.is_set():
            await self._catch_up()

    async def ask(self, text: str) -> None:
        """Ask about what was heard."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def send(self, kind: str, **fields: Any) -> None:
        """Send any client event; while there is no connection it is kept for the next one."""
        self._kept.append(json.dumps({"type": kind, **fields}))
        if self._ready.is_set():
            await self._catch_up()

    async def __aiter__(self) -> AsyncIterator[Json]:
        """The server's events, across connections.

        Raises:
            SessionLostError: there will be no more of them.
        """
        while True:
            event = await self._events.get()
            if isinstance(event, SessionLostError):
                raise event
            yield event

    async def _read(self) -> None:
        """Take events, and come back when the connection drops, whoever reads them or not."""
        try:
            while True:
                code, reason = await self._read_socket()
                self._ready.clear()
                if code in FAREWELLS and reason != ASLEEP:
                    raise SessionLostError(reason or "the server ended the session")
                await self._connect()
        except SessionLostError as lost:
            self._ready.set()  # nobody must wait for what will not come
            self._events.put_nowait(lost)

    async def _read_socket(self) -> tuple[int | None, str]:
        """Take events of one connection; how it was closed."""
        assert self._socket is not None, "use `async with`"
        try:
            async for message in self._socket:
                event = json.loads(message)
                await self._take(event)
                self._events.put_nowait(event)
        except ConnectionClosed:
            pass  # the code tells
        return self._socket.close_code, self._socket.close_reason or ""

    async def _take(self, event: Json) -> None:
        number = str(event.get("event_id", "")).removeprefix("event_")
        if number.isdecimal():
            self._last = int(number)
        match event["type"]:
            case "session.created":
                self._name = event["session"]["id"]
                self._sent = _Sent()
                await self._catch_up()
                self._ready.set()
            case "salmonn.resumed":
                self._sent = _Sent(event["audio_bytes"], event["messages"])
                # What is kept no longer, and never arrived, is lost: what follows it comes next.
                self._before.audio_bytes = min(self._before.audio_bytes, self._sent.audio_bytes)
                self._before.messages = min(self._before.messages, self._sent.messages)
                await self._catch_up()
                self._ready.set()

    async def _catch_up(self) -> None:
        """Send what was not sent."""
        while (piece := self._next_piece()) is not None:
            self._sent.count(piece)
            if not await self._try_to_send(piece):
                return

    def _next_piece(self) -> bytes | str | None:
        at = _Sent(self._before.audio_bytes, self._before.messages)
        for piece in self._kept:
            if isinstance(piece, str) and at.messages == self._sent.messages:
                return piece
            if isinstance(piece, bytes) and self._sent.audio_bytes < at.audio_bytes + len(piece):
                return piece[max(0, self._sent.audio_bytes - at.audio_bytes) :]
            at.count(piece)
        return None

    async def _connect(self) -> None:
        scheme, place, path, query, _ = urlsplit(self._url)
        asked = dict(parse_qsl(query))
        if self._name is not None:
            asked |= {"session_id": self._name, "after": str(self._last)}
        url = urlunsplit((scheme, place, path, urlencode(asked), ""))
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        for attempt in range(self._tries):
            try:
                self._socket = await connect(url, additional_headers=headers, compression=None)
                return
            except (OSError, InvalidHandshake, TimeoutError) as error:
                failure = error
            await asyncio.sleep(0.25 * 2**attempt)
        raise SessionLostError(f"{self._url}: {failure}") from failure

    async def _try_to_send(self, message: str | bytes) -> bool:
        """Whether it was sent; audio that was not is sent again when the session comes back."""
        socket = self._socket
        assert socket is not None, "use `async with`"
        try:
            await socket.send(message)
        except ConnectionClosed:
            if socket is self._socket:  # otherwise there is a new connection already
                self._ready.clear()
            return False
        return True


@dataclass(slots=True)
class _Sent:
    """How much was sent: where in the order of audio and messages a connection broke."""

    audio_bytes: int = 0
    messages: int = 0

    def count(self, piece: bytes | str) -> None:
        if isinstance(piece, bytes):
            self.audio_bytes += len(piece)
        else:
            self.messages += 1


def _audio_bytes(piece: bytes | str) -> int:
    return len(piece) if isinstance(piece, bytes) else 0
