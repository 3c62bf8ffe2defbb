"""Connections: TLS, the head of the request, and limits that the websocket library has not."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from streaming.server.http import Head, RefusedError, Reply, Request, refusal
from streaming.server.log import Log, where

STRANGERS = 256
"""Connections without a session: handshakes that are not over, of TLS too, and pages."""

FRAGMENTS = 1024
"""Of one message."""

UNSENT_BYTES = 4 * 2**20
"""That wait for a client to read them. Events wait elsewhere: these are answers to pings."""

HANDSHAKE_S = 10.0
"""Seconds that a handshake may take."""

LINGER_S = 1.0
"""Seconds in which a client may take an answer before its connection is cut off."""

WRONG_TOKEN_S = 0.5
"""Seconds that whoever brings a wrong token waits for the answer: guessing takes time."""


class Strangers:
    """Connections without a session; where there are too many, the one that came first goes.

    Handshakes take milliseconds, so who is cut off is one that was never going to be over.
    """

    def __init__(self, most: int, cut: Callable[[str], None]) -> None:
        """Args:
        most: connections at once.
        cut: told why a connection was cut off.
        """
        self._most, self._cut = most, cut
        self._here: dict[object, asyncio.BaseTransport] = {}

    def enter(self, connection: object, transport: asyncio.BaseTransport) -> None:
        """Someone came, or has another transport now: that of TLS."""
        self._here[connection] = transport
        if len(self._here) > self._most:
            self._cut("stranger")
            _abort(self._here.pop(next(iter(self._here))))

    def leave(self, connection: object) -> None:
        """They are gone, or have a session now."""
        self._here.pop(connection, None)

    def dismiss(self) -> None:
        """Nobody may wait any longer."""
        for transport in list(self._here.values()):
            _abort(transport)


class Door(Protocol):
    """What a connection asks the server."""

    strangers: Strangers
    lines: Log
    tls: ssl.SSLContext | None
    """None: connections are plain."""

    def respond(self, request: Request) -> Reply:
        """The answer to a request that is for no websocket.

        Raises:
            RefusedError: it is refused.
        """

    def refused(self, error: RefusedError) -> None:
        """A request was refused."""

    def cut(self, why: str) -> None:
        """A connection was cut off."""


class Connection(ServerConnection):
    """A connection that is cut off when it

    * is a stranger, and there are too many;
    * sends a message in too many fragments: the library counts their bytes only;
    * pings without reading the answers: the library has no limit for those.

    Before the library sees a byte, TLS is agreed on and the head of the request is read; what is
    no handshake of a websocket is answered here.
    """

    door: ClassVar[Door]
    head: Request
    """Of the handshake, once the library has it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader: Head | None = Head()  # None: the head was read
        self._answered = False
        self._fragments = 0
        self._securing: asyncio.Task[None] | None = None
        self._early = b""  # what came with the end of the TLS handshake, before it was told
        self._made = False  # there is a transport that can be written to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when it is there: first without TLS, then with it."""
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
        """Called when it is gone."""
        self.door.strangers.leave(self)
        if self._made:
            super().connection_lost(exc)

    def eof_received(self) -> None:
        """Called when the client will send no more."""
        if self._made:
            super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Take bytes: of the request's head, then of the websocket."""
        if not self._made:
            self._early += data
            return
        if self._answered:
            return  # the body of a request that was answered already
        if self._reader is None:
            super().data_received(data)
        else:
            self._read_head(self._reader, data)
        if self.transport.get_write_buffer_size() > UNSENT_BYTES:
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
        """The library's handshake; where it fails, the log has one line without the client's words,
        and the connection is closed without an error."""
        try:
            await super().handshake(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the library raises whatever the client did
            if not self._answered:
                self.door.lines.line("connection.fails", error=type(error).__name__)

    def process_event(self, event: Event) -> None:
        """Count fragments."""
        if isinstance(event, Frame) and event.opcode in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
            self._fragments = 0 if event.fin else self._fragments + 1
            if self._fragments == FRAGMENTS:
                self.door.cut("fragments")
                self.transport.abort()
            if self._fragments >= FRAGMENTS:
                return  # what came in together with it
        super().process_event(event)


def connections_of(door: Door) -> type[Connection]:
    """The class of the connections of one server."""
    return type("Connection", (Connection,), {"door": door})


def _abort(transport: asyncio.BaseTransport) -> None:
    cast(asyncio.Transport, transport).abort()
