"""The traffic of one connection: messages in and events out, at the pace of the slower side."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine

from streaming.config import ServerConfig
from streaming.realtime.wire import WireError
from streaming.server.large import LARGE, LongItem, in_pieces, long_audio
from streaming.server.seat import Link, Seat

FAREWELL_S = 2.0
"""Seconds that a client has to read the last events before its connection is closed."""

UNREAD_S = 10.0
"""Seconds that a client has to read events so that there is room for the next one."""

TOO_SLOW = 1008
"""Close code of a client that did not keep up (RFC 6455, section 7.4: a policy)."""

Background = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
"""Runs something to its end, even if nobody waits for it."""


class Traffic:
    """Takes a client's messages, and writes its session's events."""

    def __init__(
        self, config: ServerConfig, background: Background, cut: Callable[[str], None]
    ) -> None:
        """Args:
        config: the limits of what may wait.
        background: runs work that has to be completed.
        cut: called with the reason when a connection is cut off.
        """
        self._config, self._background, self._cut = config, background, cut

    async def read(self, connection: Link, seat: Seat) -> None:
        """Take messages. While the session is behind, nothing is read, so the client has to
        wait."""
        async for message in connection:
            answered = seat.answered_bytes
            if await self._take(connection, seat, message):
                return
            if seat.over is not None:
                return
            cost = len(message) + seat.answered_bytes - answered
            work, seat.work_s = seat.work_s, 0.0
            # and others first: a message that is there already takes no turn of the event loop
            await asyncio.sleep(seat.allowance.spend(cost, time.monotonic(), work))

    async def _take(self, connection: Link, seat: Seat, message: str | bytes) -> bool:
        """Take a message, a long one piece by piece. Returns True if the seat has another
        connection."""
        binary = isinstance(message, bytes) and seat.protocol.config.salmonn.binary_audio
        found: bytes | LongItem | WireError | None = message if binary else None  # type: ignore[assignment]
        long = len(message) > LARGE
        seat.took_long = seat.took_long or long
        if long and not binary:
            try:
                found = await asyncio.to_thread(long_audio, message)
            except WireError as error:
                found = error
        if seat.connection is not connection:
            return True
        if isinstance(found, LongItem):
            seat.messages += 1
            # whole, whatever becomes of the connection: its client counts it as taken
            await asyncio.shield(self._background(self._hear_item(seat, found)))
            return False
        async with seat.taking:
            if isinstance(found, bytes):
                return await self._hear(connection, seat, found, counts=not binary)
            if seat.connection is not connection:
                return True
            begun = time.monotonic()
            refusal = None if found is None else seat.protocol.refuse(found)
            seat.put(refusal or seat.protocol.receive(message))
            seat.messages += 1
            seat.work_s += time.monotonic() - begun
            await self._caught_up(seat)
        return False

    async def _hear(self, connection: Link, seat: Seat, audio: bytes, *, counts: bool) -> bool:
        """Give appended audio to the session. Returns True if the seat has another connection
        now."""
        for piece in in_pieces(audio):
            if seat.connection is not connection:
                return True
            seat.hear(piece)
            await self._caught_up(seat)
            await asyncio.sleep(0)  # others first
        seat.messages += counts
        return False

    async def _hear_item(self, seat: Seat, item: LongItem) -> None:
        async with seat.taking:
            try:
                seat.put(seat.protocol.begin_recording(item.event, len(item.audio)))
            except WireError as error:
                seat.put(seat.protocol.refuse(error, item.event.event_id))
                return
            for piece in in_pieces(item.audio):
                if seat.over is not None:
                    return
                seat.hear(piece)
                await self._caught_up(seat)
                await asyncio.sleep(0)  # others first
            seat.put(seat.protocol.end_recording(item.event))

    async def _caught_up(self, seat: Seat) -> None:
        await seat.caught_up(self._config.backlog_s, self._config.unread_events // 2)

    async def write(self, connection: Link, seat: Seat, sent: int) -> None:
        """Write events as they come, starting with those after number `sent`."""
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
                    if seat.connection is not connection:
                        return
                    sent += 1
                    seat.wrote(sent)
                if seat.over is not None:
                    await close(connection, *seat.over)
                    return
                seat.news.clear()
                if seat.last == sent:
                    await seat.news.wait()
        except TimeoutError:
            self._cut("unread")
            seat.end(TOO_SLOW, "events were left unread for too long")
            await close(connection, TOO_SLOW, "events were left unread for too long")


async def close(connection: Link, code: int, why: str) -> None:
    """Close a connection, with a time limit: the library would wait forever for a client that does
    not read."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await connection.close(code, why)


async def send_away(connection: Link) -> None:
    """Close a connection whose session was taken over by another one."""
    await close(connection, TOO_SLOW, "the session goes on over another connection")
    connection.transport.abort()
