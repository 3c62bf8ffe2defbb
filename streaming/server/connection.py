"""Connections with limits that the websocket library does not have."""

import asyncio
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

Cut = Callable[[str], None]
"""Told why a connection was cut off."""

STRANGERS = 256
"""Connections without a session: handshakes that are not over, and pages."""

FRAGMENTS = 1024
"""Of one message."""

UNSENT_BYTES = 4 * 2**20
"""That wait for a client to read them. Events wait elsewhere: these are answers to pings."""


class Strangers:
    """Connections without a session; where there are too many, the one that came first goes.

    Handshakes take milliseconds, so who is cut off is one that was never going to be over.
    """

    def __init__(self, most: int, cut: Cut) -> None:
        self._most, self._cut = most, cut
        self._here: dict[ServerConnection, None] = {}

    def enter(self, connection: ServerConnection) -> None:
        """Someone came."""
        self._here[connection] = None
        if len(self._here) > self._most:
            self._cut("stranger")
            next(iter(self._here)).transport.abort()

    def leave(self, connection: ServerConnection) -> None:
        """They are gone, or have a session now."""
        self._here.pop(connection, None)

    def dismiss(self) -> None:
        """Nobody may wait any longer."""
        for connection in list(self._here):
            connection.transport.abort()


def limited(strangers: Strangers, cut: Cut) -> type[ServerConnection]:
    """A class of connections that are cut off when they

    * are strangers, and too many;
    * send a message in too many fragments: the library counts their bytes only;
    * ping without reading the answers: the library has no limit for those.
    """

    class Connection(ServerConnection):
        fragments = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            strangers.enter(self)

        def connection_lost(self, exc: Exception | None) -> None:
            strangers.leave(self)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.get_write_buffer_size() > UNSENT_BYTES:
                cut("unread")
                self.transport.abort()

        def process_event(self, event: Event) -> None:
            if isinstance(event, Frame) and event.opcode in (
                Opcode.CONT,
                Opcode.TEXT,
                Opcode.BINARY,
            ):
                self.fragments = 0 if event.fin else self.fragments + 1
                if self.fragments == FRAGMENTS:
                    cut("fragments")
                    self.transport.abort()
                if self.fragments >= FRAGMENTS:
                    return  # what came in together with it
            super().process_event(event)

    return Connection
