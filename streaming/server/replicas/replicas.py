"""Sessions that are in other processes: who has which, and what becomes of them when one dies."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from assistant.errors import AssistantError
from streaming.audio.frames import Frame
from streaming.controls import Control
from streaming.dialogue.work import Stepped
from streaming.server.log import log
from streaming.server.replicas.kept import Kept
from streaming.server.replicas.link import HEAD, packed, unpacked
from streaming.server.worker import Deliver, Done

ALIVE_S = 30.0
"""Seconds without a sign of life after which a replica is killed; it is asked for it more often."""


DEATHS, MEANWHILE = 3, 500
"""So many replicas may die that have a session, one after the other, with less than so many pieces
of its input in between. Then it is what kills them."""


class ReplicaError(Exception):
    """An error in a replica, which has logged it."""


@dataclass(slots=True)
class _Held:
    """A session, as the server has to know it."""

    make: Callable[[], Stepped]
    kept: Kept = field(default_factory=Kept)
    link: "_Link | None" = None
    """Of the replica that has it; None: none has."""

    lost_at: float | None = None
    """When the replica that had it died; None: it is where it was, or there again."""

    lost_after: int = -MEANWHILE
    """Pieces of input that it had processed when a replica last died that had it."""

    deaths: int = 0
    """Replicas that died having it, one after the other."""

    def lose(self) -> bool:
        """The replica that had it died; whether it is to be made again."""
        self.link, self.lost_at = None, self.lost_at or time.monotonic()
        meanwhile = self.kept.taken - self.lost_after
        self.deaths = self.deaths + 1 if meanwhile < MEANWHILE else 1
        self.lost_after = self.kept.taken
        return self.deaths < DEATHS


@dataclass(slots=True, eq=False)
class _Link:
    """A replica that is there."""

    number: int
    pid: int
    writer: asyncio.StreamWriter
    names: set[Hashable] = field(default_factory=set)
    """Of its sessions."""

    def send(self, *message: object) -> None:
        """Send it a message; one that is gone gets none."""
        if not self.writer.is_closing():
            self.writer.write(packed(*message))


class Replicas:
    """Steps sessions in other processes; used on the event loop alone.

    What a session is given is kept here. When the process dies that has it, another makes it from
    that, and goes on. Processes come by themselves: they connect to a socket.
    """

    def __init__(
        self, listening: socket.socket, warm: Callable[[], Stepped], most: int, deliver: Deliver
    ) -> None:
        """Args:
        listening: where replicas connect.
        warm: makes a session, which every replica does before it has one.
        most: limit of sessions at once; not looked at, since whoever adds them counts them.
        deliver: gets what comes of sessions.
        """
        self._warm, self._deliver = warm, deliver
        self._held: dict[Hashable, _Held] = {}
        self._links: list[_Link] = []
        self._moved, self._moving_s = 0, 0.0
        self._busy_s: dict[int, float] = {}
        self._began: dict[int, int] = {}
        self._stopped = False
        self._serving = asyncio.get_running_loop().create_task(self._serve(listening))

    @property
    def is_ready(self) -> bool:
        """Whether there is any replica."""
        return bool(self._links)

    @property
    def sessions(self) -> Collection[Hashable]:
        """Names of those that were added."""
        return self._held.keys()

    def add(self, name: Hashable, make: Callable[[], Stepped]) -> None:
        """Take a session, which is made in the replica that has the fewest."""
        self._held[name] = _Held(make)
        self._place(name)

    def give(self, name: Hashable, pieces: list[Frame | Control]) -> None:
        """Give a session input; ignored if the session is gone."""
        if (held := self._held.get(name)) is None:
            return
        held.kept.put(pieces)
        if held.link is not None:
            held.link.send("give", name, pieces)

    def remove(self, name: Hashable, then: Callable[[], None] | None = None) -> None:
        """Forget a session, and call `then`."""
        held = self._held.pop(name, None)
        if held is not None and held.link is not None:
            held.link.names.discard(name)
            held.link.send("remove", name)
        if then is not None:
            then()

    def stop(self) -> None:
        """Let all replicas go, which end then."""
        self._stopped = True
        self._serving.cancel()
        for link in self._links:
            link.writer.transport.abort()

    def figures(self) -> Iterator[Metric]:
        """What operators want to know of each replica."""
        per = ["replica"]
        pids = GaugeMetricFamily("salmonn_replica_pid", "Process of a replica", labels=per)
        has = GaugeMetricFamily("salmonn_replica_sessions", "Sessions of a replica", labels=per)
        busy = CounterMetricFamily("salmonn_replica_step_seconds", "Steps", labels=per)
        began = CounterMetricFamily("salmonn_replica_begins", "Times it began", labels=per)
        for link in self._links:
            label = [str(link.number)]
            pids.add_metric(label, link.pid)
            has.add_metric(label, len(link.names))
        for number, times in self._began.items():
            busy.add_metric([str(number)], self._busy_s.get(number, 0.0))
            began.add_metric([str(number)], times)
        yield from (pids, has, busy, began)
        waiting = sum(held.link is None for held in self._held.values())
        yield GaugeMetricFamily("salmonn_sessions_waiting", "No replica has them", waiting)
        moved = "Sessions that went on in another replica when theirs had died"
        yield CounterMetricFamily("salmonn_sessions_moved", moved, self._moved)
        yield CounterMetricFamily("salmonn_moving_seconds", "Until they did", self._moving_s)
        size = sum(held.kept.size for held in self._held.values())
        yield GaugeMetricFamily("salmonn_kept_bytes", "Audio kept for making them again", size)

    def _place(self, name: Hashable) -> None:
        """Have a replica make a session, if there is one; from what was kept, if it had begun."""
        if not self._links:
            return
        held, link = self._held[name], min(self._links, key=lambda link: len(link.names))
        if is_new := held.kept.is_empty:
            held.lost_at = None  # nothing is lost
        held.link = link
        link.names.add(name)
        link.send("add", name, held.make, None if is_new else held.kept)

    async def _serve(self, listening: socket.socket) -> None:
        async with await asyncio.start_unix_server(self._talk, sock=listening) as server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a replica, from when it has its model until it is gone."""
        writer.write(packed("begin", self._warm))
        link = None
        asking = asyncio.get_running_loop().create_task(_ask(writer))
        try:
            while True:
                async with asyncio.timeout(None if link is None else ALIVE_S):  # or it loads
                    what, *about = unpacked(await _message(reader))
                if what == "alive":
                    continue
                if link is not None:
                    self._heard(link, what, *about)
                elif what == "here":
                    link = self._enter(writer, *about)
        except TimeoutError:
            if link is not None:
                log.error("replica.hangs replica=%d pid=%d", link.number, link.pid)
                os.kill(link.pid, signal.SIGKILL)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass  # it is gone, or the server ends
        finally:
            asking.cancel()
            writer.transport.abort()
            if link is not None:
                self._leave(link)

    def _enter(self, writer: asyncio.StreamWriter, number: int, pid: int) -> _Link:
        link = _Link(number, pid, writer)
        self._links.append(link)
        self._began[number] = self._began.get(number, 0) + 1
        log.info("replica.begins replica=%d pid=%d", number, pid)
        for name, held in self._held.items():
            if held.link is None:
                self._place(name)
        return link

    def _leave(self, link: _Link) -> None:
        self._links.remove(link)
        if self._stopped:
            return
        log.warning("replica.ends replica=%d sessions=%d", link.number, len(link.names))
        for name in link.names:
            if self._held[name].lose():
                self._place(name)
            else:
                del self._held[name]
                self._deliver(name, AssistantError(f"{DEATHS} replicas ended with this session"))

    def _heard(self, link: _Link, what: str, name: Hashable, *about: object) -> None:
        held = self._held.get(name)
        if held is None or held.link is not link:
            return  # it was removed in the meantime
        match what, *about:
            case "done", Done() as done:
                self._busy_s[link.number] = self._busy_s.get(link.number, 0.0) + done.seconds
                held.kept.note(done)
                self._deliver(name, done)
            case ("remade",):
                self._moved += 1
                self._moving_s += time.monotonic() - (held.lost_at or time.monotonic())
                held.lost_at = None
            case "failed", told, where:
                link.names.discard(name)
                del self._held[name]
                log.error("replica.fails replica=%d %s", link.number, where)
                self._deliver(name, ReplicaError() if told is None else AssistantError(told))


async def _ask(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(packed("alive"))
        await asyncio.sleep(ALIVE_S / 4)


async def _message(reader: asyncio.StreamReader) -> bytes:
    (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
    return await reader.readexactly(length)
