"""All sessions that are conversations: how they begin, outlive their connections, and end."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES
from streaming.config import ServerConfig
from streaming.realtime.protocol import Realtime
from streaming.server.assistant import Assistant
from streaming.server.http import RefusedError
from streaming.server.large import give_back
from streaming.server.log import Log, log, where
from streaming.server.metrics import Metrics
from streaming.server.places import Places
from streaming.server.playback import Playback
from streaming.server.seat import Link, Seat
from streaming.server.traffic import FAREWELL_S, Traffic, send_away
from streaming.server.worker import Done

PATIENCE_S = 0.3
"""Seconds without a reply after which the server, when it shuts down, no longer expects one."""

WARNING_S = 60.0
"""Seconds before the end of a session at which its client is warned, but at most a tenth of the
session."""

GONE = ConnectionClosed, ConnectionError
"""What is raised where a client has left."""

GOING_AWAY, BROKEN = 1001, 1011
"""Close codes (RFC 6455, section 7.4)."""


class Seats:
    """The sessions of one server, by their names; used on the event loop alone."""

    def __init__(
        self,
        assistant: Assistant,
        config: ServerConfig,
        places: Places,
        metrics: Metrics,
        lines: Log,
        cut: Callable[[str], None],
    ) -> None:
        """Args:
        assistant: makes sessions.
        config: how long they last, and what may wait for them.
        places: on the model's thread.
        metrics: of the server.
        lines: the log.
        cut: called with the reason when a connection is cut off.
        """
        self._assistant, self._config, self._places = assistant, config, places
        self._metrics, self._lines, self.cut = metrics, lines, cut
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._traffic = Traffic(config, self.background, cut)
        self.here: dict[str, Seat] = {}
        """The seats, by the names of their sessions."""

        self.draining = False
        """The server shuts down."""

        places.lend(self._spare)

    def background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something to its end, even if nobody waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)
        return task

    def check_place(self, *, free: bool) -> None:
        """Check that there is a place for one more session.

        Args:
            free: if necessary, end a session whose client left and had not been heard.

        Raises:
            RefusedError: there is none.
        """
        if self.draining:
            why = "The server is going away."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "draining", why)
        if not self._places.has_room(free=free):
            why = "All sessions are taken; try again later."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", why)

    def protocol(self) -> Realtime:
        """The protocol of a session that has not begun, and may never begin."""
        name, counts = f"sess_{secrets.token_urlsafe(16)}", itertools.count(1)

        def new_id(kind: str) -> str:
            # the n-th event is event_n: a client that comes back says which it had last
            return f"{kind}_{next(counts) if kind == 'event' else secrets.token_hex(8)}"

        lasts = 60 * self._config.session_minutes
        return self._assistant.new_protocol(name, new_id, int(time.time() + lasts))

    def take(
        self, protocol: Realtime, playback: Playback | None = None, *, resumable: bool = True
    ) -> Seat:
        """A new seat; there has to be a place for it.

        Args:
            protocol: from `protocol`.
            playback: how its replies are played; None: by the client.
            resumable: the session is kept for a while when its connection drops.
        """
        name = protocol.config.id
        make, calls = self._assistant.new_session, self._assistant.new_calls
        if protocol.config.type == "transcription" and self._assistant.new_reader is not None:
            make, calls = self._assistant.new_reader, lambda: None
        seat = Seat(name, protocol, self._places.worker, calls(), playback, resumable=resumable)
        self.here[name] = seat
        self._metrics.sessions.set(len(self.here))
        self._places.take(name, make, partial(self._deliver, seat))
        lasts = 60 * self._config.session_minutes
        warning = min(WARNING_S, lasts / 10)
        seat.timers = [
            self._loop.call_later(lasts - warning, seat.warn, warning),
            self._loop.call_later(lasts, seat.expire, GOING_AWAY),
        ]
        seat.begin()
        self._lines.line("session.begins", session=name[:10])
        return seat

    def returning(self, name: str | None) -> Seat | None:
        """The seat of a session whose client wants to come back to it; None: it cannot."""
        seat = None if name is None else self.here.get(name)
        return seat if seat is not None and seat.resumable else None

    async def attend(self, seat: Seat, connection: Link, sent: int = 0) -> None:
        """Serve a session over a connection, until one of them is over.

        Args:
            seat: the session's.
            connection: of its client.
            sent: number of the last event that the client has.
        """
        before, seat.left_at, seat.connection = seat.connection, None, connection
        if before is not None:  # its client is here again: half open, or somebody else's
            self.background(send_away(before))
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
                either = asyncio.FIRST_COMPLETED
                await asyncio.wait({writing, gone}, timeout=FAREWELL_S, return_when=either)
        finally:
            connection.transport.abort()  # whoever did not take the farewell in time
            for task in tasks:
                task.cancel()
            for failed in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failed, Exception) and not isinstance(failed, GONE):
                    self._places.worker.remove(seat.name)
                    self._fail(seat, failed)
            if seat.connection is connection:  # nobody has come back in the meantime
                self._leave(seat)

    def may_hear(self, seat: Seat) -> bool:
        """Whether a session can take audio that nobody can be asked to hold back."""
        most = self._config.backlog_s * SAMPLE_RATE / FRAME_SAMPLES
        return seat.over is None and seat.waiting <= most and not seat.taking.locked()

    def _leave(self, seat: Seat) -> None:
        """Called when a connection is gone: keeps the seat for a while, unless the session is
        over."""
        seat.left_at, seat.connection = time.monotonic(), None
        over = seat.over is not None or self.draining or not seat.resumable
        self._loop.call_later(0 if over else self._config.resume_s, self._free, seat, seat.left_at)

    def _free(self, seat: Seat, left_at: float) -> None:
        """Forget a session, unless its client came back since `left_at`."""
        if seat.left_at == left_at and self.here.pop(seat.name, None) is not None:
            for timer in seat.timers:
                timer.cancel()
            seat.end(GOING_AWAY, "nobody came back to the session")  # nothing waits for it any more
            self._places.free(seat.name, give_back if seat.took_long else None)
            self._metrics.sessions.set(len(self.here))
            self._lines.line("session.ends", session=seat.name[:10])

    def _spare(self, free: bool) -> bool:
        """Whether there is a session whose client left and had not been heard; with `free`, the
        oldest of them ends."""
        unused = [s for s in self.here.values() if s.left_at is not None and not s.given]
        if not unused:
            return False
        if free:
            oldest = min(unused, key=lambda s: s.left_at or 0.0)
            self._free(oldest, oldest.left_at or 0.0)
        return True

    # --- the model's thread

    def _deliver(self, seat: Seat, what: Done | Exception) -> None:
        if isinstance(what, Exception):
            self._fail(seat, what)
            return
        try:
            samples, latency = seat.done(what)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this session's alone
            self._places.worker.remove(seat.name)
            self._fail(seat, error)
            return
        self._metrics.step(what, samples, SAMPLE_RATE)
        if latency is not None:
            self._metrics.reply(latency)

    def _fail(self, seat: Seat, error: Exception) -> None:
        log.error("session.fails session=%s %s", seat.name[:10], where(error))
        self._metrics.errors.inc()
        seat.fail(BROKEN, error)

    # --- the end

    async def drain(self, until: float) -> None:
        """Wait for replies to end, but not beyond the time `until` of `time.monotonic`."""
        self.draining = True
        log.info("server.drains sessions=%d", len(self.here))
        await self._nobody(lambda seat: seat.busy(time.monotonic() - PATIENCE_S), until)

    async def end(self) -> None:
        """End all sessions; their clients have the time to read why."""
        for seat in self.here.values():
            seat.end(GOING_AWAY, "the server is going away")
        farewell = time.monotonic() + 2 * FAREWELL_S
        await self._nobody(lambda seat: seat.connection is not None, farewell)
        for seat in self.here.values():
            if seat.connection is not None:  # its client does not read
                seat.connection.transport.abort()

    async def _nobody(self, still: Callable[[Seat], bool], until: float) -> None:
        """Wait until no seat is `still` so, but not beyond the time `until`."""
        while any(map(still, self.here.values())):
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.02)
