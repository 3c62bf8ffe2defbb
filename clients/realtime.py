"""A session with a salmonn-live server, in Python.

    async with Session("ws://127.0.0.1:8765/v1/realtime") as session:
        await session.audio(pcm)              # 16 kHz, 16-bit little-endian, mono
        async for event in session:           # dicts, as the server sends them
            play(audio_of(event))             # what is spoken of the answer: 24 kHz

The connection may drop: the session comes back to where it was, and what the server did not get,
audio and all else, is sent again in order. A server that has forgotten the session, because it was
started anew, gets another one. docs/protocol.md lists the server's events; the client adds two of
its own, which have no `event_id`:

    {"type": "salmonn.restarted"}    what was heard before is forgotten; settings were sent again
    {"type": "error", "error": {"code": "unreadable_message", ...}}    what came was no event
"""

import asyncio
import base64
import contextlib
import json
import re
import ssl
from asyncio import sleep
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response

from clients.errors import ClientError
from clients.outbox import SAMPLE_RATE, Outbox

Json = dict[str, Any]

FAREWELLS = {1000, 1008, 1009, 1011}
"""Close codes after which coming back is no use (RFC 6455, section 7.4)."""

FORGOTTEN = "this session cannot be resumed"
"""Why a server that does not know the session closes with 1011."""

ASLEEP = "keepalive ping timeout"
"""Why `websockets` closes with 1011 where this machine did not answer, as one that slept."""

FOR_NOW = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of HTTP that may be another one in a while (RFC 9110, 6585 and 8470)."""

FIRST_TRIES = 6
"""To reach a server that was not reached before; the last one is 8 s after the first."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 8.0
"""Between two tries to connect: the first wait, and the longest."""

LONGEST_EVENT = 16 * 2**20
"""Bytes of an event that is taken."""

LONGEST_REASON = 300
"""Characters of a server's words that are told."""

SETTINGS: Json = {
    "type": "realtime",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": SAMPLE_RATE},
            "transcription": {"model": "whisper"},
            "turn_detection": {"type": "semantic_vad"},
        }
    },
    "salmonn": {
        "binary_audio": True,
        "sound_events": True,
        "latency": True,
        "notices": True,
        "wake": True,
    },
}
"""What a session asks for, unless told otherwise: everything there is."""


TEXT: Json = {"output_modalities": ["text"]}
"""A setting: answers are text, whether the server has a voice or not."""


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
        tries: int = 10,
    ) -> None:
        """Args:
        url: of the server's socket; http and https count as ws and wss.
        token: what the server asks for as an API key.
        settings: of `session.update`; None: `SETTINGS`. Audio is sent as binary messages, so
            they should ask for that.
        tries: to come back, each after twice the wait and at most `LONGEST_WAIT_S`, before the
            session counts as lost; at most `FIRST_TRIES` of them before it has begun.

        Raises:
            ClientError: `url` is no address of a socket, or the token cannot be sent.
        """
        self._url, self._token, self._tries = address(url), token, tries
        if token is not None and not re.fullmatch(r"[\x20-\x7e\xa0-\xff]*", token):
            raise ClientError("the token has characters that cannot be sent")
        self._socket: ClientConnection | None = None
        self._name: str | None = None
        self._begun = False  # the server has begun a session
        self._tried = 0  # to connect since the server welcomed us
        self._last = 0  # number of the last event
        self._settings = SETTINGS if settings is None else settings
        self._outbox = Outbox(self._update())
        self._ready = asyncio.Event()
        self._events: asyncio.Queue[Json | SessionLostError] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect, and wait until the session has begun.

        Raises:
            SessionLostError: the server cannot be reached, or refuses.
        """
        await self._connect()
        self._reading = asyncio.create_task(self._read())
        try:
            await self._ready.wait()
        except asyncio.CancelledError:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the session."""
        await self._end()

    async def audio(self, pcm: bytes) -> None:
        """Send audio, in pieces of any size; without a connection the last half minute is kept."""
        self._outbox.put(pcm)
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
        if kind == "session.update" and isinstance(fields.get("session"), dict):
            self._settings = _merged(self._settings, fields["session"])
        self._outbox.put(json.dumps({"type": kind, **fields}))
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
                self._events.put_nowait(event)  # for whoever asks again
                raise event
            yield event

    async def _end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._socket is not None:
            await self._socket.close()
        self._lose(SessionLostError("the session was ended"))

    async def _read(self) -> None:
        """Take events, and come back when the connection drops, whoever reads them or not."""
        try:
            while True:
                code, reason = await self._read_socket()
                self._ready.clear()
                if code == 1011 and reason == FORGOTTEN and self._name is not None:
                    self._name, self._last, self._tried = None, 0, 0  # another one is begun
                elif code in FAREWELLS and reason != ASLEEP:
                    raise SessionLostError(reason or "the server ended the session")
                elif self._tried >= self._most_tries():
                    raise SessionLostError(reason or "the server ends every connection")
                await self._connect()
        except SessionLostError as lost:
            self._lose(lost)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            failure = SessionLostError(f"reading events failed: {type(error).__name__}")
            failure.__cause__ = error
            self._lose(failure)

    def _lose(self, lost: SessionLostError) -> None:
        self._ready.set()  # nobody must wait for what will not come
        self._events.put_nowait(lost)

    async def _read_socket(self) -> tuple[int | None, str]:
        """Take events of one connection; how it was closed."""
        assert self._socket is not None, "use `async with`"
        try:
            async for message in self._socket:
                event = _event(message)
                await self._take(event)
                self._events.put_nowait(event)
        except ConnectionClosed:
            pass  # the code tells
        return self._socket.close_code, self._socket.close_reason or ""

    async def _take(self, event: Json) -> None:
        if number := re.fullmatch(r"event_([0-9]{1,18})", str(event.get("event_id"))):
            self._last = int(number[1])
        match event:
            case {"type": "session.created"}:
                session = event.get("session")
                name = session.get("id") if isinstance(session, dict) else None
                self._name = name if isinstance(name, str) else None  # without, there is no return
                if self._begun:
                    self._outbox.restart(self._update())
                    self._events.put_nowait({"type": "salmonn.restarted"})
                await self._go_on()
            case {"type": "salmonn.resumed"}:
                match event:
                    case {"audio_bytes": int(audio_bytes), "messages": int(messages)}:
                        self._outbox.resume(audio_bytes, messages)
                    case _:
                        raise SessionLostError("the server does not say what it has heard")
                await self._go_on()

    async def _go_on(self) -> None:
        """The server welcomed us: send what it does not have."""
        self._begun, self._tried = True, 0
        await self._catch_up()
        self._ready.set()

    async def _catch_up(self) -> None:
        """Send what was not sent."""
        while (piece := self._outbox.take()) is not None:
            if not await self._try_to_send(piece):
                return

    def _update(self) -> str:
        return json.dumps({"type": "session.update", "session": self._settings})

    def _most_tries(self) -> int:
        return self._tries if self._begun else min(self._tries, FIRST_TRIES)

    async def _connect(self) -> None:
        scheme, place, path, query, _ = urlsplit(self._url)
        asked = dict(parse_qsl(query))
        if self._name is not None:
            asked |= {"session_id": self._name, "after": str(self._last)}
        url = urlunsplit((scheme, place, path, urlencode(asked), ""))
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        while True:
            if self._tried:
                await sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (self._tried - 1)))
            self._tried += 1
            try:
                self._socket = await connect(
                    url, additional_headers=headers, compression=None, max_size=LONGEST_EVENT
                )
                return
            except InvalidStatus as error:
                failure: Exception = error
                told = _words(error.response)
                is_final = error.response.status_code not in FOR_NOW
            except ssl.SSLCertVerificationError as error:
                failure, told, is_final = error, str(error), True
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                failure, told, is_final = error, str(error) or type(error).__name__, False
            if is_final or self._tried >= self._most_tries():
                raise SessionLostError(f"{self._shown_url()}: {told}") from failure

    def _shown_url(self) -> str:
        """The address without what may be secret in it."""
        scheme, place, path, _, _ = urlsplit(self._url)
        return urlunsplit((scheme, place.rpartition("@")[2], path, "", ""))

    async def _try_to_send(self, message: str | bytes) -> bool:
        """Whether it was sent; what was not is sent again when the session comes back."""
        socket = self._socket
        assert socket is not None, "use `async with`"
        try:
            await socket.send(message)
        except ConnectionClosed:
            if socket is self._socket:  # otherwise there is a new connection already
                self._ready.clear()
                self._outbox.untake()
            return False
        return True


def audio_of(event: Json) -> bytes:
    """The audio of `response.output_audio.delta`, in the session's output format: 24 kHz PCM16
    unless another one was asked for. Of other events, nothing."""
    match event:
        case {"type": "response.output_audio.delta", "delta": str(encoded)}:
            with contextlib.suppress(ValueError):
                return base64.b64decode(encoded, validate=True)
    return b""


def address(text: str) -> str:
    """The address of a server's socket as it is meant: http is ws, https is wss, and a server
    without a path has its socket where ours has it.

    Raises:
        ClientError: it is none; the message says what one looks like.
    """
    try:
        scheme, place, path, query, _ = urlsplit(text)
        parts = urlsplit(text)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme) if known else ""
    if scheme not in ("ws", "wss"):
        raise ClientError(f"{text!r} is no address of a server: ws://HOST:PORT/v1/realtime is one")
    return urlunsplit((scheme, place, path.rstrip("/") or "/v1/realtime", query, ""))


def _merged(settings: Json, changes: Json) -> Json:
    """Settings after a `session.update`, as a server has them (docs/protocol.md): section by
    section; null and what has another type replaces whole.
    """
    merged = dict(settings)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            same_kind = value.get("type", old.get("type")) == old.get("type")
            merged[key] = _merged(old, value) if same_kind else value
        else:
            merged[key] = value
    return merged


def _event(message: str | bytes) -> Json:
    """An event, or an error of our own about a message that is none. It does not quote the message,
    which may hold speech.
    """
    why = "it is binary"
    if isinstance(message, str):
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            why = "it is not JSON"
        else:
            if isinstance(event, dict) and isinstance(event.get("type"), str):
                return event
            why = "it has no type"
    told = f"a message of the server, {len(message)} long, is no event: {why}"
    error = {"type": "client_error", "code": "unreadable_message", "message": told}
    return {"type": "error", "error": error}


def _words(response: Response) -> str:
    """Why a server refuses, in its own words where it has some, and the status."""
    text = bytes(response.body or b"").decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        text = str(json.loads(text)["error"]["message"])
    words = " ".join(text.split())[:LONGEST_REASON]
    if not words or words.startswith("<"):  # a page of some proxy
        words = response.reason_phrase or "refused"
    return f"{words} (HTTP {response.status_code})"
