"""The places for sessions on the model's thread, which all kinds of connection share."""

import asyncio
import contextlib
from collections.abc import Callable, Hashable

from streaming.dialogue.work import Stepped
from streaming.server.worker import Done, Host, NewHost, Worker

BESIDE = 2
"""Requests over HTTP that are worked on at a time. They take no session's place."""

Deliver = Callable[[Done | Exception], None]
"""Called on the event loop with the result of each step of a session, or with the error in it,
after which the session does nothing more."""

Spare = Callable[[bool], bool]
"""Whether there is a session that nobody needs any more; called with True, it ends one."""


class Places:
    """Who has a place on the model's thread; used on the event loop alone."""

    def __init__(self, most: int, beside: int = 0, host: NewHost = Worker) -> None:
        """Args:
        most: sessions at once, of all kinds together.
        beside: how many more there may be that take no place; see `take`.
        host: makes what steps the sessions.
        """
        self._loop = asyncio.get_running_loop()
        self._most = most
        self._worker = host(most + beside, self._from_worker)
        self._taken: dict[str, Deliver] = {}
        self._beside: set[str] = set()
        self._spares: list[Spare] = []
        self._freed = asyncio.Event()

    @property
    def worker(self) -> Host:
        """Steps the sessions."""
        return self._worker

    def lend(self, spare: Spare) -> None:
        """Ask this, too, where all places are taken."""
        self._spares.append(spare)

    def look_again(self) -> None:
        """There may be a place now for those who wait: a session has become spare."""
        self._freed.set()

    def has_room(self, *, free: bool) -> bool:
        """Whether there is a place, or can be one. With `free`, a place is made: a session ends
        that nobody needs."""
        taken = len(self._taken) - len(self._beside)
        return taken < self._most or any(spare(free) for spare in self._spares)

    async def room(self, seconds: float) -> bool:
        """Wait for a place, `seconds` at most, and make one if possible; whether there is one
        now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.has_room(free=True):
                    self._freed.clear()
                    await self._freed.wait()
                return True
        return False

    def take(
        self,
        name: str,
        make: Callable[[], Stepped],
        deliver: Deliver,
        *,
        beside: bool = False,
    ) -> None:
        """Take a place.

        Args:
            name: what the session is known by.
            make: makes the session, on the model's thread.
            deliver: gets what comes of it.
            beside: it is one of those that take no place from the others; whoever takes it makes
                sure that they are not too many.
        """
        self._taken[name] = deliver
        if beside:
            self._beside.add(name)
        self._worker.add(name, make)

    def free(self, name: str, then: Callable[[], None] | None = None) -> None:
        """Forget a session, and call `then` when it is gone, see `Host.remove`."""
        if self._taken.pop(name, None) is not None:
            self._beside.discard(name)
            self._worker.remove(name, then)
            self.look_again()

    def stop(self) -> None:
        """End the model's thread."""
        self._worker.stop()

    def _from_worker(self, name: Hashable, what: Done | Exception) -> None:
        """Called on the worker's thread with each step, or with an error of a session."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._deliver, str(name), what)

    def _deliver(self, name: str, what: Done | Exception) -> None:
        if (deliver := self._taken.get(name)) is not None:
            deliver(what)
