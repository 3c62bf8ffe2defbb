"""The server: sockets and pages on one event loop, the model on a thread of its own."""

import asyncio
import contextlib
import hmac
import itertools
import json
import logging
import mimetypes
import secrets
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
from streaming.realtime.wire import WireError
from streaming.server.connection import STRANGERS, Strangers, limited
from streaming.server.large import LARGE, give_back, in_pieces, long_audio
from streaming.server.listen import Listening, listen
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

UNREAD_S = 10.0
"""Seconds in which a client must make room for the next event, by reading."""

PATIENCE_S = 0.3
"""Seconds without an answer after which none is to be expected, when the server goes."""

UNREAD_FRAMES = 2
"""That wait for us to take them; each may be as long as a message."""

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
        self._strangers = Strangers(STRANGERS, self._cut)
        self.connection = limited(self._strangers, self._cut)
        """The class of connections."""

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
        elif self._returning(request):
            why = None
        elif self._draining:
            why = HTTPStatus.SERVICE_UNAVAILABLE, "draining"
        elif self._too_many_connects():
            why = HTTPStatus.TOO_MANY_REQUESTS, "rate"
        elif not self._has_room():
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
        # a list: all of them are compared. What is no ASCII came as surrogates
        digests = [hmac.compare_digest(_octets(b), token.encode()) for b in brought]
        return any(digests)

    def _too_many_connects(self) -> bool:
        now = time.monotonic()
        self._connects = [t for t in self._connects if t > now - 1]
        if len(self._connects) >= self._config.connects_per_s:
            return True  # and it does not count: some of those who try again get in
        self._connects.append(now)
        return False

    def _has_room(self) -> bool:
        """There is a place; if need be that of somebody who left and had not been heard."""
        if len(self._seats) < self._config.sessions:
            return True
        unused = [s for s in self._seats.values() if s.left_at is not None and not s.given]
        if not unused:
            return False
        oldest = min(unused, key=lambda s: s.left_at or 0.0)
        self._free(oldest, oldest.left_at or 0.0)
        return True

    def _returning(self, request: Request) -> bool:
        return _asked(request, "session_id") in self._seats

    # --- sockets

    async def converse(self, connection: ServerConnection) -> None:
        """One connection, from its first message to its last."""
        assert connection.request is not None
        self._strangers.leave(connection)
        seat = self._take_seat(connection.request)
        if isinstance(seat, str):
            await connection.close(TRY_LATER if seat == BUSY else BROKEN, seat)
            return
        before, seat.left_at, seat.connection = seat.connection, None, connection
        if before is not None:  # half open: its client is here again
            before.transport.abort()
        sent = int(_asked(connection.request, "after") or 0) if seat.resumed else 0
        writing = asyncio.create_task(self._write(connection, seat, sent))
        reading = asyncio.create_task(self._read(connection, seat))
        gone = asyncio.create_task(connection.wait_closed())
        tasks = {writing, reading, gone}
        try:
            left = seat.begun + 60 * self._config.session_minutes - time.monotonic()
            done, _ = await asyncio.wait(
                tasks, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                seat.end("the session is over: it lasted as long as it may")
            if seat.over is not None:  # what is left to say, and why it is over
                await asyncio.wait({writing}, timeout=FAREWELL_S)
        finally:
            connection.transport.abort()  # whoever did not take the farewell in time
            for task in tasks:
                task.cancel()
            for failed in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failed, Exception) and not isinstance(failed, ConnectionClosed):
                    self._worker.remove(seat.name)
                    self._fail(seat, failed)
            if seat.connection is connection:  # nobody has come back in the meantime
                self._leave(seat)

    def _take_seat(self, request: Request) -> Seat | str:
        """A seat: that of a session that is resumed, or a new one; or why there is none."""
        name = _asked(request, "session_id")
        if name is not None:
            seat = self._seats.get(name)
            number = _asked(request, "after") or "0"
            known = len(number) < 10 and number.isdecimal()
            if seat is None or not known or seat.after(int(number)) is None:
                return "this session cannot be resumed"
            seat.resumed = True
            self.metrics.resumed.inc()
            return seat
        if not self._has_room():  # others came while this one shook hands
            return BUSY
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
        log.info("session.begins session=%s", name[:10])
        return seat

    async def _read(self, connection: ServerConnection, seat: Seat) -> None:
        """Take messages; not reading on makes a client wait."""
        async for message in connection:
            if await self._take(connection, seat, message):
                return
            if seat.over is not None:
                return
            delay = seat.allowance.spend(len(message), time.monotonic())
            if delay:
                await asyncio.sleep(delay)

    async def _take(self, connection: ServerConnection, seat: Seat, message: str | bytes) -> bool:
        """Take a message, a long one piece by piece; True: this connection is not the seat's."""
        binary = isinstance(message, bytes) and seat.protocol.config.salmonn.binary_audio
        audio: bytes | None = message if binary else None  # type: ignore[assignment]
        refused: WireError | None = None
        long = len(message) > LARGE
        seat.took_long = seat.took_long or long
        if long and not binary:
            try:
                audio = await asyncio.to_thread(long_audio, message)
            except WireError as error:
                refused = error
        if seat.connection is not connection:
            return True
        if audio is None:
            refusal = None if refused is None else seat.protocol.refuse(refused)
            seat.put(refusal or seat.protocol.receive(message))
            seat.messages += 1
            await self._caught_up(seat)
            return False
        for piece in in_pieces(audio):
            if seat.connection is not connection:
                return True
            seat.hear(piece)
            await self._caught_up(seat)
            await asyncio.sleep(0)  # others first
        seat.messages += not binary
        return False

    async def _caught_up(self, seat: Seat) -> None:
        await seat.caught_up(self._config.backlog_s, self._config.unread_events // 2)

    async def _write(self, connection: ServerConnection, seat: Seat, sent: int) -> None:
        """Write events as they come, those after number `sent` first."""
        missed = seat.last - sent  # while it was gone
        try:
            if seat.resumed:
                received = {"audio_bytes": seat.protocol.bytes_heard, "messages": seat.messages}
                told = {"type": "salmonn.resumed", "event_id": "resumed", **received}
                await connection.send(json.dumps(told))
            while True:
                waiting = seat.after(sent)
                if waiting is None or len(waiting) > self._config.unread_events + missed:
                    raise TimeoutError
                missed = 0
                for line in waiting:
                    async with asyncio.timeout(UNREAD_S):
                        await connection.send(line, text=True)
                    sent += 1
                    seat.wrote(sent)
                if seat.over is not None:
                    await _close(connection, GOING_AWAY, seat.over)
                    return
                seat.news.clear()
                if seat.last == sent:
                    await seat.news.wait()
        except TimeoutError:
            self._cut("unread")
            seat.end("events were left unread")
            await _close(connection, TOO_SLOW, "events were left unread for too long")

    def _cut(self, why: str) -> None:
        """A connection was cut off."""
        self.metrics.cut.labels(why).inc()

    def _leave(self, seat: Seat) -> None:
        """A connection is gone: keep the seat for a while, unless the session is over."""
        seat.left_at, seat.connection = time.monotonic(), None
        over = seat.over is not None or self._draining
        self._loop.call_later(0 if over else self._config.resume_s, self._free, seat, seat.left_at)

    def _free(self, seat: Seat, left_at: float) -> None:
        """Forget a session that nobody came back to since it was left."""
        if seat.left_at == left_at and self._seats.pop(seat.name, None) is not None:
            self._worker.remove(seat.name, give_back if seat.took_long else None)
            self.metrics.sessions.set(len(self._seats))
            log.info("session.ends session=%s", seat.name[:10])

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
        frames = traceback.extract_tb(error.__traceback__)
        # no more than where it was: an error's message, and its lines' values, may hold speech
        where = "<".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
        log.error(
            "session.fails session=%s error=%s at=%s", seat.name[:10], type(error).__name__, where
        )
        self.metrics.errors.inc()
        seat.fail(error)

    async def drain(self, seconds: float) -> None:
        """Take nobody new, let replies come to their end, then end all sessions."""
        self._draining = True
        log.info("server.drains sessions=%d", len(self._seats))
        now = time.monotonic()
        await self._nobody(lambda seat: seat.busy(time.monotonic() - PATIENCE_S), now + seconds)
        for seat in self._seats.values():
            seat.end("the server is going away")
        farewell = time.monotonic() + 2 * FAREWELL_S
        await self._nobody(lambda seat: seat.connection is not None, farewell)
        for seat in self._seats.values():
            if seat.connection is not None:  # its client does not read
                seat.connection.transport.abort()
        self._strangers.dismiss()

    async def _nobody(self, still: Callable[[Seat], bool], until: float) -> None:
        """Wait until there is no such seat any more, but not for ever."""
        while any(map(still, self._seats.values())):
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        """End the model's thread."""
        self._worker.stop()


BUSY = "all sessions are taken; try again later"

REFUSALS = {
    "origin": "This web origin may not connect; see server.origins.",
    "token": "A token is needed: send it as your API key.",
    "draining": "The server is going away.",
    "rate": "Too many connections at once; try again in a second.",
    "busy": "All sessions are taken; try again later.",
}


async def _close(connection: ServerConnection, code: int, why: str) -> None:
    """Say goodbye; the library would wait for ever for who does not read."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await connection.close(code, why)


def _octets(header: str) -> bytes:
    """A header as it came."""
    return header.encode("utf-8", "surrogateescape")


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
async def running(
    assistant: Assistant, config: ServerConfig, listening: Listening | None = None
) -> AsyncIterator[tuple[App, Server]]:
    """The server, serving.

    Args:
        assistant: what it serves.
        config: who may connect, and how much of everything there may be.
        listening: its sockets; None: those `config` says.

    Yields:
        The application, and the server of the first address; its `sockets` tell the port.

    Raises:
        ConfigError: it cannot listen as `config` says.
    """
    if listening is None:
        listening = listen(config)
    app = App(assistant, config)
    try:
        async with contextlib.AsyncExitStack() as servers:
            servers.enter_context(listening)
            begun = [
                await servers.enter_async_context(
                    serve(
                        app.converse,
                        sock=sock,
                        process_request=app.answer,
                        select_subprotocol=_subprotocol,
                        max_size=round(config.message_mb * 2**20),
                        max_queue=UNREAD_FRAMES,
                        compression=None,  # a small message must not become a large one
                        create_connection=app.connection,
                        ssl=listening.tls,
                        server_header="salmonn-live",
                    )
                )
                for sock in listening.sockets
            ]
            yield app, begun[0]
    finally:
        app.stop()
