"""The server: sockets and pages on one event loop, the model on a thread of its own."""

import asyncio
import contextlib
import itertools
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.typing import Subprotocol

from assistant.rates import SAMPLE_RATE
from streaming.config import ServerConfig
from streaming.server.admission import Admission
from streaming.server.assistant import Assistant
from streaming.server.connection import (
    HANDSHAKE_S,
    STRANGERS,
    WRONG_TOKEN_S,
    Connection,
    Strangers,
    connections_of,
)
from streaming.server.exchange import Exchanges
from streaming.server.http import READ, RefusedError, Reply, Request, refusal
from streaming.server.large import give_back
from streaming.server.listen import Listening, listen
from streaming.server.log import Log, library_logger, log, one_line_errors, where
from streaming.server.metrics import Metrics
from streaming.server.pages import KEYED, SOCKET, Pages
from streaming.server.places import BESIDE, Places
from streaming.server.rate import Comers
from streaming.server.seat import Seat
from streaming.server.traffic import FAREWELL_S, Traffic, send_away
from streaming.server.worker import Done

PATIENCE_S = 0.3
"""Seconds without a reply after which the server, when it shuts down, no longer expects one."""

UNREAD_FRAMES = 2
"""Most websocket frames that wait to be read; each may be as long as a message."""

WARNING_S = 60.0
"""Seconds before the end of a session at which its client is warned, but at most a tenth of the
session."""

TRY_LATER, GOING_AWAY, BROKEN = 1013, 1001, 1011
"""Close codes (RFC 6455, section 7.4; 1013 is from IANA's registry)."""


class App:
    """The application: its sessions, who may have one, and logs and metrics about them."""

    def __init__(
        self, assistant: Assistant, config: ServerConfig, tls: ssl.SSLContext | None = None
    ) -> None:
        self._assistant, self._config = assistant, config
        self._loop = asyncio.get_running_loop()
        self.places = Places(config.sessions, BESIDE, assistant.host)
        self.places.lend(self._spare)
        self._worker = self.places.worker
        self._seats: dict[str, Seat] = {}
        self._comers = Comers(config.connects_per_s)
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.metrics = Metrics()
        self.metrics.add(self._worker.figures)
        self.lines = Log()
        self.tls = tls
        self.strangers = Strangers(STRANGERS, self.cut)
        self._admission = Admission(config, transcribes=assistant.new_reader is not None)
        self._traffic = Traffic(config, self._background, self.cut)
        self._pages = Pages(assistant.name, self.metrics.text)
        works, whose = assistant.works(self.places), (self._admission, self._comers, self.lines)
        self.exchanges = Exchanges(works, *whose, self.refused, self.cut)

    # --- HTTP

    def respond(self, request: Request) -> Reply:
        """The answer to a request that opens no socket, which takes no session's place.

        Raises:
            RefusedError: the same request for a socket would be refused, too.
        """
        self._admission.check(request)
        if request.path == SOCKET and request.method in READ:
            self._admission.check_session(request)
            if not self._returning(request):
                self._check_place(free=False)
            why = f"{SOCKET} is a websocket."
            raise RefusedError(HTTPStatus.UPGRADE_REQUIRED, "upgrade", why)
        if (told := self.exchanges.preflight(request)) is not None:
            return told
        if request.path.startswith(KEYED):
            self._admission.check_token(request)
        return self._pages.answer(request, ready=not self._draining and self._worker.is_ready)

    async def answer(self, connection: ServerConnection, _: Handshake) -> Response | None:
        """The answer to a handshake that is refused; None lets a websocket through."""
        try:
            self._admit(cast(Connection, connection).head)
        except RefusedError as error:
            self.refused(error)
            if error.status is HTTPStatus.UNAUTHORIZED:
                await asyncio.sleep(WRONG_TOKEN_S)
            reply = refusal(error)
            headers = Headers(reply.all_headers())
            return Response(reply.status.value, reply.status.phrase, headers, reply.body)
        return None

    def _admit(self, request: Request) -> None:
        self._admission.check(request)
        if request.path != SOCKET:
            why = f"There is no socket at this address, only at {SOCKET}."
            raise RefusedError(HTTPStatus.NOT_FOUND, "not_found", why)
        self._admission.check_session(request)
        if self._returning(request):
            return
        if self._draining or not self._comers.are_too_many(time.monotonic()):
            self._check_place(free=True)
        else:
            why = "Too many connections at once; try again in a second."
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "rate", why)

    def _check_place(self, *, free: bool) -> None:
        """Raises RefusedError if there is no place for one more session.

        Args:
            free: if necessary, end a session whose client left and had not been heard.
        """
        if self._draining:
            why = "The server is going away."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "draining", why)
        if not self.places.has_room(free=free):
            why = "All sessions are taken; try again later."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", why)

    def refused(self, error: RefusedError) -> None:
        """Count and log a request that was refused."""
        self.metrics.refused.labels(error.why).inc()
        self.lines.line(f"connection.refused why={error.why}", status=error.status.value)

    def cut(self, why: str) -> None:
        """Count and log a connection that was cut off."""
        self.metrics.cut.labels(why).inc()
        self.lines.line("connection.cut", why=why)

    def _spare(self, free: bool) -> bool:
        """Whether there is a session whose client left and had not been heard; with `free`, the
        oldest of them ends."""
        unused = [s for s in self._seats.values() if s.left_at is not None and not s.given]
        if not unused:
            return False
        if free:
            oldest = min(unused, key=lambda s: s.left_at or 0.0)
            self._free(oldest, oldest.left_at or 0.0)
        return True

    def _returning(self, request: Request) -> bool:
        return request.query.get("session_id") in self._seats

    # --- sockets

    async def converse(self, connection: ServerConnection) -> None:
        """Serve one connection, from its first message to its last."""
        self.strangers.leave(connection)
        request = cast(Connection, connection).head
        seat = self._take_seat(request)
        if isinstance(seat, str):
            await connection.close(TRY_LATER if seat == BUSY else BROKEN, seat)
            return
        before, seat.left_at, seat.connection = seat.connection, None, connection
        if before is not None:  # its client is here again: half open, or somebody else's
            self._background(send_away(before))
        sent = int(request.query.get("after") or 0) if seat.resumed else 0
        writing = asyncio.create_task(self._traffic.write(connection, seat, sent))
        reading = asyncio.create_task(self._traffic.read(connection, seat))
        gone = asyncio.create_task(connection.wait_closed())
        over = asyncio.create_task(seat.ended.wait())
        tasks = {writing, reading, gone, over}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if seat.connection is not connection:  # it is being sent away
                await asyncio.wait({gone}, timeout=FAREWELL_S)
            elif seat.over is not None:  # what is left to say, and why it is over
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

    def _background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something to its end, even if nobody waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)
        return task

    def _take_seat(self, request: Request) -> Seat | str:
        """The seat of a session that is resumed, or a new one; a text says why there is none."""
        name = request.query.get("session_id")
        if name is not None:
            seat = self._seats.get(name)
            number = request.query.get("after") or "0"
            known = len(number) < 10 and number.isascii() and number.isdecimal()
            if seat is None or not known or seat.after(int(number)) is None:
                return "this session cannot be resumed"
            seat.resumed = True
            self.metrics.resumed.inc()
            return seat
        if not self.places.has_room(free=True):  # others came while this one shook hands
            return BUSY
        transcribes = request.query.get("intent") == "transcription"
        return self._new_seat(f"sess_{secrets.token_urlsafe(16)}", transcribes)

    def _new_seat(self, name: str, transcribes: bool) -> Seat:
        counts = itertools.count(1)

        def new_id(kind: str) -> str:
            # the n-th event is event_n: a client that comes back says which it had last
            return f"{kind}_{next(counts) if kind == 'event' else secrets.token_hex(8)}"

        lasts = 60 * self._config.session_minutes
        protocol = self._assistant.new_protocol(name, new_id, int(time.time() + lasts))
        make, calls = self._assistant.new_session, self._assistant.new_calls
        if transcribes and self._assistant.new_reader is not None:
            protocol.transcribe()
            make, calls = self._assistant.new_reader, lambda: None
        seat = Seat(name, protocol, self._worker, calls())
        self._seats[name] = seat
        self.metrics.sessions.set(len(self._seats))
        self.places.take(name, make, partial(self._deliver, seat))
        warning = min(WARNING_S, lasts / 10)
        seat.timers = [
            self._loop.call_later(lasts - warning, seat.warn, warning),
            self._loop.call_later(lasts, seat.expire, GOING_AWAY),
        ]
        seat.begin()
        self.lines.line("session.begins", session=name[:10])
        return seat

    def _leave(self, seat: Seat) -> None:
        """Called when a connection is gone: keeps the seat for a while, unless the session is
        over."""
        seat.left_at, seat.connection = time.monotonic(), None
        over = seat.over is not None or self._draining
        self._loop.call_later(0 if over else self._config.resume_s, self._free, seat, seat.left_at)

    def _free(self, seat: Seat, left_at: float) -> None:
        """Forget a session, unless its client came back since `left_at`."""
        if seat.left_at == left_at and self._seats.pop(seat.name, None) is not None:
            for timer in seat.timers:
                timer.cancel()
            seat.end(GOING_AWAY, "nobody came back to the session")  # nothing waits for it any more
            self.places.free(seat.name, give_back if seat.took_long else None)
            self.metrics.sessions.set(len(self._seats))
            self.lines.line("session.ends", session=seat.name[:10])

    # --- the model's thread

    def _deliver(self, seat: Seat, what: Done | Exception) -> None:
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
        log.error("session.fails session=%s %s", seat.name[:10], where(error))
        self.metrics.errors.inc()
        seat.fail(BROKEN, error)

    async def drain(self, seconds: float) -> None:
        """Shut down: take no new sessions, wait `seconds` at most for replies to end, end all
        sessions."""
        self._draining = self.exchanges.draining = True
        log.info("server.drains sessions=%d", len(self._seats))
        until = time.monotonic() + seconds
        await self._nobody(lambda seat: seat.busy(time.monotonic() - PATIENCE_S), until)
        await self.exchanges.drain(until)
        for seat in self._seats.values():
            seat.end(GOING_AWAY, "the server is going away")
        farewell = time.monotonic() + 2 * FAREWELL_S
        await self._nobody(lambda seat: seat.connection is not None, farewell)
        for seat in self._seats.values():
            if seat.connection is not None:  # its client does not read
                seat.connection.transport.abort()
        self.strangers.dismiss()

    async def _nobody(self, still: Callable[[Seat], bool], until: float) -> None:
        """Wait until no seat is `still` so, but not beyond the time `until`."""
        while any(map(still, self._seats.values())):
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        """End the model's thread."""
        self.places.stop()


BUSY = "all sessions are taken; try again later"


def _subprotocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Choose the subprotocol `realtime` if it is offered: browsers otherwise close the socket."""
    return Subprotocol("realtime") if "realtime" in offered else None


@asynccontextmanager
async def running(
    assistant: Assistant, config: ServerConfig, listening: Listening | None = None
) -> AsyncIterator[tuple[App, Server]]:
    """A running server.

    Args:
        assistant: the model that is served.
        config: who may connect, and the limits of what clients may use.
        listening: the server's sockets; None: those that `config` asks for.

    Yields:
        The application, and the server of the first address, whose `sockets` know the port.

    Raises:
        ConfigError: the server cannot listen as `config` asks.
    """
    if listening is None:
        listening = listen(config)
    app = App(assistant, config, listening.tls)
    asyncio.get_running_loop().set_exception_handler(one_line_errors(app.lines))
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
                        create_connection=connections_of(app),  # agrees on TLS, too
                        open_timeout=HANDSHAKE_S,
                        logger=library_logger(),
                        server_header=None,
                    )
                )
                for sock in listening.sockets
            ]
            servers.callback(app.strangers.dismiss)  # the library waits for those it knows of
            servers.push_async_callback(app.exchanges.dismiss)
            yield app, begun[0]
    finally:
        app.stop()
