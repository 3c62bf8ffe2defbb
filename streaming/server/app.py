"""The server: sockets and pages on one event loop, the model on a thread of its own."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.typing import Subprotocol

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
from streaming.server.ephemeral import Ephemeral
from streaming.server.exchange import Exchanges
from streaming.server.http import READ, RefusedError, Reply, Request, refusal
from streaming.server.listen import Listening, listen
from streaming.server.log import Log, library_logger, one_line_errors
from streaming.server.metrics import Metrics
from streaming.server.pages import KEYED, SOCKET, Pages
from streaming.server.places import BESIDE, Places
from streaming.server.rate import Comers
from streaming.server.rtc.calls import Calls
from streaming.server.seat import Seat
from streaming.server.seats import BROKEN, Seats

UNREAD_FRAMES = 2
"""Most websocket frames that wait to be read; each may be as long as a message."""

TRY_LATER = 1013
"""Close code, from IANA's registry."""


class App:
    """The application: its sessions, who may have one, and logs and metrics about them."""

    def __init__(
        self,
        assistant: Assistant,
        config: ServerConfig,
        hosts: Sequence[str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Args:
        assistant: the model that is served.
        config: who may connect, and the limits of what clients may use.
        hosts: addresses that the server listens at.
        tls: its certificate; None: connections are not encrypted.
        """
        self.places = Places(config.sessions, BESIDE, assistant.host)
        self._comers = Comers(config.connects_per_s)
        self.metrics = Metrics()
        self.metrics.add(self.places.worker.figures)
        self.lines = Log()
        self.tls = tls
        self.strangers = Strangers(STRANGERS, self.cut)
        self.seats = Seats(assistant, config, self.places, self.metrics, self.lines, self.cut)
        ephemeral, transcribes = Ephemeral(), assistant.new_reader is not None
        self._admission = Admission(config, transcribes=transcribes, ephemeral=ephemeral)
        self.calls = Calls(self.seats, self._admission, ephemeral, config.ice, hosts)
        self._pages = Pages(assistant.name, self.metrics.text)
        works = {**assistant.works(self.places), **self.calls.works()}
        whose = self._admission, self._comers, self.lines
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
                self.seats.check_place(free=False)
            why = f"{SOCKET} is a websocket."
            raise RefusedError(HTTPStatus.UPGRADE_REQUIRED, "upgrade", why)
        if (told := self.exchanges.preflight(request)) is not None:
            return told
        if request.path.startswith(KEYED):
            self._admission.check_token(request)
        ready = not self.seats.draining and self.places.worker.is_ready
        return self._pages.answer(request, ready=ready)

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
        if self.seats.draining or not self._comers.are_too_many(time.monotonic()):
            self.seats.check_place(free=True)
        else:
            why = "Too many connections at once; try again in a second."
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "rate", why)

    def refused(self, error: RefusedError) -> None:
        """Count and log a request that was refused."""
        self.metrics.refused.labels(error.why).inc()
        self.lines.line(f"connection.refused why={error.why}", status=error.status.value)

    def cut(self, why: str) -> None:
        """Count and log a connection that was cut off."""
        self.metrics.cut.labels(why).inc()
        self.lines.line("connection.cut", why=why)

    def _returning(self, request: Request) -> bool:
        return self.seats.returning(request.query.get("session_id")) is not None

    # --- sockets

    async def converse(self, connection: ServerConnection) -> None:
        """Serve one connection, from its first message to its last."""
        self.strangers.leave(connection)
        request = cast(Connection, connection).head
        seat = self._take_seat(request)
        if isinstance(seat, str):
            await connection.close(TRY_LATER if seat == BUSY else BROKEN, seat)
            return
        sent = int(request.query.get("after") or 0) if seat.resumed else 0
        await self.seats.attend(seat, connection, sent)

    def _take_seat(self, request: Request) -> Seat | str:
        """The seat of a session that is resumed, or a new one; a text says why there is none."""
        name = request.query.get("session_id")
        if name is not None:
            seat = self.seats.returning(name)
            number = request.query.get("after") or "0"
            known = len(number) < 10 and number.isascii() and number.isdecimal()
            if seat is None or not known or seat.after(int(number)) is None:
                return "this session cannot be resumed"
            seat.resumed = True
            self.metrics.resumed.inc()
            return seat
        if not self.places.has_room(free=True):  # others came while this one shook hands
            return BUSY
        protocol = self.seats.protocol()
        if settings := self._admission.settings(request):
            protocol.prepare(settings)
        if request.query.get("intent") == "transcription":
            protocol.transcribe()
        return self.seats.take(protocol)

    async def drain(self, seconds: float) -> None:
        """Shut down: take no new sessions, wait `seconds` at most for replies to end, end all
        sessions."""
        self.exchanges.draining = True
        until = time.monotonic() + seconds
        await self.seats.drain(until)
        await self.exchanges.drain(until)
        await self.seats.end()
        self.strangers.dismiss()

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
    hosts = [sock.getsockname()[0] for sock in listening.sockets]
    app = App(assistant, config, hosts, listening.tls)
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
            servers.push_async_callback(app.calls.dismiss)
            servers.push_async_callback(app.exchanges.dismiss)
            yield app, begun[0]
    finally:
        app.stop()
