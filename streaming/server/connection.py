"""Connections: TLS, the head of the request, and limits that the websocket library does not
have."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from streaming.server.exchange import Exchanges, Work
from streaming.server.http import Head, RefusedError, Reply, Request, refusal
from streaming.server.log import Log, where

STRANGERS = 256
"""Most connections without a session: pages, and handshakes that are not over, of TLS or
websockets."""

FRAGMENTS = 1024
"""Most fragments of one message."""

UNSENT_BYTES = 4 * 2**20
"""Most bytes of answers to pings that a client leaves unread. Events are counted elsewhere."""

HANDSHAKE_S = 10.0
"""Longest handshake, in seconds."""

LINGER_S = 1.0
"""Seconds that a client has to read an answer before its connection is closed."""

WRONG_TOKEN_S = 0.5
"""Delay of the answer to a wrong token, in seconds, which slows down guessing."""


class Strangers:
    """Connections without a session. If there are too many, the oldest is cut off.

    Handshakes take milliseconds, so the oldest would probably never have been complete.
    """

    def __init__(self, most: int, cut: Callable[[str], None]) -> None:
        """Args:
        most: limit of connections at once.
        cut: called with the reason when a connection is cut off.
        """
        self._most, self._cut = most, cut
        self._here: dict[object, asyncio.BaseTransport] = {}

    def enter(self, connection: object, transport: asyncio.BaseTransport) -> None:
        """Note a new connection, or the new transport of one after its TLS handshake."""
        self._here[connection] = transport
        if len(self._here) > self._most:
            self._cut("stranger")
            _abort(self._here.pop(next(iter(self._here))))

    def leave(self, connection: object) -> None:
        """Note that a connection is closed, or has a session now."""
        self._here.pop(connection, None)

    def dismiss(self) -> None:
        """Cut off all of them."""
        for transport in list(self._here.values()):
            _abort(transport)


class Door(Protocol):
    """The part of the server that a connection uses."""

    strangers: Strangers
    lines: Log
    exchanges: Exchanges
    tls: ssl.SSLContext | None
    """TLS settings; None: connections are not encrypted."""

    def respond(self, request: Request) -> Reply:
        """The answer to a request for something else than a websocket.

        Raises:
            RefusedError: the request is refused.
        """

    def refused(self, error: RefusedError) -> None:
        """Note that a request was refused."""

    def cut(self, why: str) -> None:
        """Note that a connection was cut off, and why."""


class Connection(ServerConnection):
    """A connection with limits that the websocket library lacks. It is cut off if

    * it has no session, and there are too many such connections;
    * it sends a message in too many fragments, of which the library only counts the bytes;
    * it pings without reading the answers, for which the library has no limit.

    The TLS handshake and the head of the request come before the library; requests that are not for
    a websocket are answered here.
    """

    door: ClassVar[Door]
    head: Request
    """The head of the websocket handshake, once the library has it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader: Head | None = Head()  # None: the head was read
        self._answered = False
        self._fragments = 0
        self._securing: asyncio.Task[None] | None = None
        self._early = b""  # what came with the end of the TLS handshake, before it was told
        self._made = False  # there is a transport that can be written to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the connection is there: first without TLS, then with it."""
        self.door.strangers.enter(self, transport)
        tls = self.door.tls
        if tls is None or transport.get_extra_info("sslcontext") is not None:
            self._made = True
            super().connection_made(transport)
            if self._early:
                self.data_received(self._early)
        else:
            plain = cast(asyncio.Transport, transport)
            self._securing = self.loop.create_task(self._secure(plain, tls))

    async def _secure(self, plain: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            secured = await self.loop.start_tls(
                plain, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as error:  # ssl.SSLError is one, too
            self.door.lines.line("connection.fails", error=type(error).__name__)
            secured = None
        if secured is None or secured.is_closing():
            self.door.strangers.leave(self)
            plain.abort()
        else:
            self.connection_made(secured)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is gone."""
        self.door.strangers.leave(self)
        if self._made:
            super().connection_lost(exc)

    def eof_received(self) -> None:
        """Called when the client will send no more."""
        if self._made:
            super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Take bytes: first of the request's head, then of the websocket."""
        if not self._made:
            self._early += data
            return
        if self._answered:
            return  # the body of a request that was answered already
        if self._reader is None:
            super().data_received(data)
        else:
            self._read_head(self._reader, data)
        if not self._answered and self.transport.get_write_buffer_size() > UNSENT_BYTES:
            self.door.cut("unread")
            self.transport.abort()

    def _read_head(self, reader: Head, data: bytes) -> None:
        try:
            found = reader.push(data)
            if found is None:
                return
            request, rest = found
            if request.wants_socket:
                self.head, self._reader = request, None
                super().data_received(request.serialised() + rest)
                return
            if (work := self.door.exchanges.find(request)) is not None:
                self._hand_over(reader, request, work)
                return
            reply = self.door.respond(request)
        except RefusedError as error:
            self.door.refused(error)
            reply = refusal(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this connection's alone
            self.door.lines.line("connection.fails", logging.ERROR, told=where(error))
            self._answered = True
            self.transport.abort()
            return
        self._answered = True
        wait = WRONG_TOKEN_S if reply.status == 401 else 0.0
        self.loop.call_later(wait, self._send_answer, reader.answer(reply))

    def _hand_over(self, reader: Head, request: Request, work: Work) -> None:
        """The request has a body: what comes from here on is not for the websocket library, which
        is told that the connection is gone."""
        transport, self.transport = self.transport, _Gone()
        self._answered = True
        self.door.strangers.leave(self)
        super().connection_lost(None)
        self.door.exchanges.begin(transport, reader, request, work)

    def _send_answer(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()  # what still comes is read: a reset would lose the answer
            self.loop.call_later(LINGER_S, self.transport.abort)
        else:  # TLS
            self.transport.close()

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """The library's handshake. If it fails, one line without the client's words is logged, and
        the connection is closed without an exception."""
        try:
            await super().handshake(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the library raises whatever the client did
            if not self._answered:
                self.door.lines.line("connection.fails", error=type(error).__name__)

    def process_event(self, event: Event) -> None:
        """Count the fragments of a message, and pass the event on."""
        if isinstance(event, Frame) and event.opcode in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
            self._fragments = 0 if event.fin else self._fragments + 1
            if self._fragments == FRAGMENTS:
                self.door.cut("fragments")
                self.transport.abort()
            if self._fragments >= FRAGMENTS:
                return  # what came in together with it
        super().process_event(event)


def connections_of(door: Door) -> type[Connection]:
    """The class of one server's connections."""
    return type("Connection", (Connection,), {"door": door})


class _Gone(asyncio.Transport):
    """The transport of a connection that was handed over."""

    def is_closing(self) -> bool:
        """It is closed."""
        return True

    def abort(self) -> None:
        """It was closed before."""


def _abort(transport: asyncio.BaseTransport) -> None:
    cast(asyncio.Transport, transport).abort()
