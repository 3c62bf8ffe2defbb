"""The service at its sockets: who is let in, and what is said to whom something went wrong with."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wyoming.error import Error

from streaming.config import ServerConfig
from streaming.server.connection import LINGER_S, STRANGERS, Strangers
from streaming.server.listen import Listening
from streaming.server.log import Log, log, where
from streaming.server.places import Places
from streaming.server.rate import Comers
from streaming.wyoming.connection import Connection, Offer, Shared
from streaming.wyoming.framing import HEADER_BYTES, WyomingError, frame
from streaming.wyoming.memory import Heard, Talks


class Service:
    """All connections of one service."""

    def __init__(self, offer: Offer, config: ServerConfig, places: Places, lines: Log) -> None:
        """Args:
        offer: what the service can do.
        config: the limits of what clients may use.
        places: for sessions, which it shares with whatever else is served.
        lines: the log.
        """
        heard = Heard(places, asyncio.get_running_loop().call_later)
        self._shared = Shared(offer, places, heard, Talks())
        self._lines = lines
        self._comers = Comers(config.connects_per_s)
        self._strangers = Strangers(STRANGERS, lambda why: lines.line("wyoming.cut", why=why))
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection is there: serve it, from its first message to its last."""
        task = asyncio.create_task(self._converse(reader, writer))
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._shared, self._strangers, reader, writer)
        self._strangers.enter(connection, writer.transport)
        try:
            if self._comers.are_too_many(time.monotonic()):
                raise WyomingError("rate", "too many connections at once; try again in a second")
            await connection.serve()
        except WyomingError as error:
            self._lines.line("wyoming.refused", code=error.code)
            await self._refuse(error, reader, writer)
        except OSError:
            pass  # the client is gone
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this connection's alone
            log.error("wyoming.fails %s", where(error))
            await self._refuse(WyomingError("failed", "an error of the server"), reader, writer)
        finally:
            self._strangers.leave(connection)
            writer.close()

    async def _refuse(
        self, error: WyomingError, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Tell a client what was wrong. What it still sends is read for a moment: to close at once
        would take the error from it."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LINGER_S):
                writer.write(frame(Error(str(error), error.code)))
                writer.write_eof()
                while await reader.read(HEADER_BYTES):
                    pass
        writer.transport.abort()

    async def stop(self) -> None:
        """Cut off all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def running(service: Service, listening: Listening) -> AsyncIterator[int]:
    """Runs a service at its sockets.

    Yields:
        The port.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(listening)
        for sock in listening.sockets:
            server = await asyncio.start_server(service.enter, sock=sock, limit=HEADER_BYTES)
            stack.callback(server.close)
        stack.push_async_callback(service.stop)
        yield listening.sockets[0].getsockname()[1]
