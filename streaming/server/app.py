"""The server: sockets and pages on one event loop, the model on a thread of its own."""

import asyncio
import contextlib
import hmac
import itertools
import json
import logging
import mimetypes
import secrets
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from streaming.config import ServerConfig
from streaming.frames import SAMPLE_RATE
from streaming.realtime.protocol import Realtime
from streaming.server.metrics import Metrics
from streaming.server.seat import Seat
from streaming.server.worker import Done, Worker
from streaming.session import Session

log = logging.getLogger("salmonn-live")
PAGE = Path(__file__).parents[2] / "clients" / "browser"
SOCKET = "/v1/realtime"
KEY_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot send headers: their key comes as a subprotocol."""

FAREWELL_S = 2.0
"""Seconds in which a client must take what it is told at the end."""

TOO_SLOW, TRY_LATER, GOING_AWAY, BROKEN = 1008, 1013, 1001, 1011
"""Close codes (RFC 6455, section 7.4; 1013 of IANA's registry)."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """What the server needs to know of the model."""

    name: str
    new_session: Callable[[], Session]
    """Called on the worker's thread."""

    new_protocol: Callable[[str, Callable[[str], str]], Realtime]
    """From a session's id and a maker of ids."""


class App:
    """Sessions, who may have one, and what is told about them."""

    def __init__(self, assistant: Assistant, config: ServerConfig) -> None:
        self._assistant, self._config = assistant, config
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(config.sessions, self._from_worker)
        self._seats: dict[str, Seat] = {}
        self._connects: list[float] = []
        self._draining = False
        self.metrics = Metrics()

    # --- HTTP

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Pages and refusals; None lets a websocket through."""
        path = urlsplit(request.path).path
        if path == SOCKET:
            return self._refuse(connection, request)
        match path:
            case "/healthz":
                return _respond(HTTPStatus.OK, b"ok\n", "text/plain")
            case "/readyz" if self._draining:
                return _respond(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n", "text/plain")
            case "/readyz":
                return _respond(HTTPStatus.OK, b"ready\n", "text/plain")
            case "/metrics":
                return _respond(HTTPStatus.OK, self.metrics.text(), "text/plain; version=0.0.4")
            case "/v1/models":
                model = {"id": self._assistant.name, "object": "model", "owned_by": "salmonn-live"}
                listed = json.dumps({"object": "list", "data": [model]}).encode()
                return _respond(HTTPStatus.OK, listed, "application/json")
        return _file(path)

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """What is wrong with a request for a session; None where nothing is."""
        why: tuple[HTTPStatus, str] | None = None
        if not self._origin_is_ours(request.headers):
            why = HTTPStatus.FORBIDDEN, "origin"
        elif not self._knows_token(request.headers):
            why = HTTPStatus.UNAUTHORIZED, "token"
        elif self._draining:
            why = HTTPStatus.SERVICE_UNAVAILABLE, "draining"
        elif self._too_many_connects():
            why = HTTPStatus.TOO_MANY_REQUESTS, "rate"
        elif len(self._seats) >= self._config.sessions and not self._returning(request):
            why = HTTPStatus.SERVICE_UNAVAILABLE, "busy"
        if why is None:
            return None
        status, name = why
        self.metrics.refused.labels(name).inc()
        return connection.respond(status, REFUSALS[name] + "\n")

    def _origin_is_ours(self, headers: Headers) -> bool:
        origin = headers.get("Origin")
        if origin is None or origin in self._config.origins:
            return True  # not a browser, or one that is welcome
        return urlsplit(origin).netloc == headers.get("Host")

    def _knows_token(self, headers: Headers) -> bool:
        token = self._config.token
        if token is None:
            return True
        brought = [headers.get("Authorization", "").removeprefix("Bearer ")]
        for protocol in headers.get("Sec-WebSocket-Protocol", "").split(","):
            brought.append(protocol.strip().removeprefix(KEY_PROTOCOL))
        return any([hmac.compare_digest(b.encode(), token.encode()) for b in brought])

    def _too_many_connects(self) -> bool:
        now = time.monotonic()
        self._connects = [t for t in self._connects if t > now - 1]
        self._connects.append(now)
        return len(self._connects) > self._config.connects_per_s

    def _returning(self, request: Request) -> bool:
        return _asked(request, "session_id") in self._seats

    # --- sockets

    async def converse(self, connection: ServerConnection) -> None:
        """One connection, from its first message to its last."""
        assert connection.request is not None
        seat = self._take_seat(connection.request)
        if seat is None:
            await connection.close(BROKEN, "this session cannot be resumed")
            return
        before, seat.left_at, seat.connection = seat.connection, None, connection
        if before is not None:  # half open: its client is here again
            before.transport.abort()
        sent = int(_asked(connection.request, "after") or 0) if seat.resumed else 0
        writing = asyncio.create_task(self._write(connection, seat, sent))
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._read(connection, seat)
            if seat.over is not None:  # what is left to say, and why it is over
                await asyncio.wait({writing}, timeout=FAREWELL_S)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            if seat.connection is connection:  # nobody has come back in the meantime
                self._leave(seat)

    def _take_seat(self, request: Request) -> Seat | None:
        """A seat: that of a session that is resumed, or a new one."""
        name = _asked(request, "session_id")
        if name is not None:
            seat = self._seats.get(name)
            number = _asked(request, "after") or "0"
            if seat is None or not number.isdecimal() or seat.after(int(number)) is None:
                return None
            seat.resumed = True
            self.metrics.resumed.inc()
            return seat
        name = f"sess_{secrets.token_urlsafe(16)}"
        counts = itertools.count(1)

        def new_id(kind: str) -> str:
            # the n-th event is event_n: a client that comes back says which it had last
            return f"{kind}_{next(counts) if kind == 'event' else secrets.token_hex(8)}"

        protocol = self._assistant.new_protocol(name, new_id)
        seat = Seat(name, protocol, self._worker)
        self._seats[name] = seat
        self.metrics.sessions.set(len(self._seats))
        self._worker.add(name, self._assistant.new_session)
        seat.put(protocol.begin())
        log.info("session %s begins", name[:10])
        return seat

    async def _read(self, connection: ServerConnection, seat: Seat) -> None:
        async for message in connection:
            if seat.connection is not connection:
                return
            if isinstance(message, bytes) and seat.protocol.config.salmonn.binary_audio:
                seat.hear(message)
            else:
                seat.put(seat.protocol.receive(message))
            await seat.caught_up(self._config.backlog_s)  # not reading makes the client wait
            if time.monotonic() - seat.begun > 60 * self._config.session_minutes:
                seat.end("the session is over: it lasted as long as it may")
                return

    async def _write(self, connection: ServerConnection, seat: Seat, sent: int) -> None:
        """Write events as they come, those after number `sent` first."""
        with contextlib.suppress(ConnectionClosed):
            if seat.resumed:
                received = {"audio_bytes": seat.protocol.bytes_heard}
                told = {"type": "salmonn.resumed", "event_id": "resumed", **received}
                await connection.send(json.dumps(told))
            while True:
                waiting = seat.after(sent)
                if waiting is None or len(waiting) > self._config.unread_events:
                    seat.end("events were left unread")
                    await connection.close(TOO_SLOW, "events were left unread for too long")
                    return
                for text in waiting:
                    await connection.send(text)
                    sent += 1
                if seat.over is not None:
                    await connection.close(GOING_AWAY, seat.over)
                    return
                seat.news.clear()
                if seat.last == sent:
                    await seat.news.wait()

    def _leave(self, seat: Seat) -> None:
        """A connection is gone: keep the seat for a while, unless the session is over."""
        seat.left_at, seat.connection = time.monotonic(), None
        over = seat.over is not None or self._draining
        self._loop.call_later(0 if over else self._config.resume_s, self._free, seat, seat.left_at)

    def _free(self, seat: Seat, left_at: float) -> None:
        """Forget a session that nobody came back to since it was left."""
        if seat.left_at == left_at and self._seats.pop(seat.name, None) is not None:
            self._worker.remove(seat.name)
            self.metrics.sessions.set(len(self._seats))
            log.info("session %s ends", seat.name[:10])

    # --- the model's thread

    def _from_worker(self, name: Hashable, what: Done | Exception) -> None:
        """On the worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._deliver, name, what)

    def _deliver(self, name: Hashable, what: Done | Exception) -> None:
        seat = self._seats.get(str(name))
        if seat is None:
            return
        if isinstance(what, Exception):
            self._fail(seat, what)
            return
        try:
            samples, latency = seat.done(what)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this session's alone
            self._worker.remove(seat.name)
            self._fail(seat, error)
            return
        self.metrics.step(what, samples, SAMPLE_RATE)
        if latency is not None:
            self.metrics.reply(latency)

    def _fail(self, seat: Seat, error: Exception) -> None:
        where = "".join(traceback.format_tb(error.__traceback__))  # its message may hold speech
        log.error("session %s failed: %s\n%s", seat.name[:10], type(error).__name__, where)
        self.metrics.errors.inc()
        seat.fail(error)

    async def drain(self, seconds: float) -> None:
        """Take nobody new, let replies come to their end, then end all sessions."""
        self._draining = True
        give_up = time.monotonic() + seconds
        while any(s.protocol.answering for s in self._seats.values()):
            if time.monotonic() > give_up:
                break
            await asyncio.sleep(0.02)
        for seat in self._seats.values():
            seat.end("the server is going away")
        await asyncio.sleep(0.1)

    def stop(self) -> None:
        """End the model's thread."""
        self._worker.stop()


REFUSALS = {
    "origin": "This web origin may not connect; see server.origins.",
    "token": "A token is needed: send it as your API key.",
    "draining": "The server is going away.",
    "rate": "Too many connections at once; try again in a second.",
    "busy": "All sessions are taken; try again later.",
}


def _asked(request: Request, name: str) -> str | None:
    """A parameter of the address."""
    return parse_qs(urlsplit(request.path).query).get(name, [None])[0]


def _respond(status: HTTPStatus, body: bytes, kind: str) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)


def _file(path: str) -> Response:
    """A file of the browser page; nothing outside its folder."""
    name = "index.html" if path == "/" else path.removeprefix("/")
    files = {str(f.relative_to(PAGE)): f for f in PAGE.rglob("*") if f.is_file()}
    if name not in files:
        return _respond(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _respond(HTTPStatus.OK, files[name].read_bytes(), kind)


def _subprotocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Browsers close the socket unless `realtime` is chosen; others offer none."""
    return Subprotocol("realtime") if "realtime" in offered else None


@asynccontextmanager
async def running(assistant: Assistant, config: ServerConfig) -> AsyncIterator[tuple[App, Server]]:
    """The server, listening."""
    app = App(assistant, config)
    tls = None
    if config.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(config.certificate, config.key)
    try:
        async with serve(
            app.converse,
            config.host,
            config.port,
            process_request=app.answer,
            select_subprotocol=_subprotocol,
            max_size=round(config.message_mb * 2**20),
            compression=None,  # a small message must not become a large one
            ssl=tls,
            server_header="salmonn-live",
        ) as server:
            yield app, server
    finally:
        app.stop()
