"""A session on the model's thread, as a connection uses it."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Self

from assistant.errors import AssistantError
from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.controls import Control
from streaming.dialogue.work import Stepped
from streaming.events import Event
from streaming.server.log import log, where
from streaming.server.places import Places
from streaming.server.worker import Done
from streaming.wyoming.framing import WyomingError

ROOM_S = 5.0
"""Seconds that a request waits for a place while all are taken."""

_numbers = itertools.count(1)


class Place:
    """Input goes in, events come out; used on the event loop alone."""

    def __init__(self, places: Places, make: Callable[[], Stepped]) -> None:
        """Args:
        places: of the server, with room for one more.
        make: makes the session, on the model's thread.
        """
        self._places, self.name = places, f"wyoming_{next(_numbers)}"
        self.heard = 0
        """Samples that the session has processed."""

        self._given = self._taken = 0  # pieces of input
        self._events: deque[Event | Exception] = deque()
        self._news, self._moved = asyncio.Event(), asyncio.Event()
        places.take(self.name, make, self._deliver)

    @classmethod
    async def take(cls, places: Places, make: Callable[[], Stepped]) -> Self:
        """Take a place; waits for one if necessary.

        Raises:
            WyomingError: all places are taken.
        """
        if not await places.room(ROOM_S):
            raise WyomingError("busy", "all sessions are taken; try again later")
        return cls(places, make)

    def give(self, *pieces: Frame | Control) -> None:
        """Give the session input."""
        self._given += len(pieces)
        self._places.worker.give(self.name, list(pieces))

    async def caught_up(self, backlog_s: float) -> None:
        """Wait while more than so many seconds of audio are unprocessed."""
        most = backlog_s * SAMPLE_RATE / FRAME_SAMPLES
        while self._given - self._taken > most:
            self._moved.clear()
            await self._moved.wait()

    async def next(self) -> Event:
        """The session's next event.

        Raises:
            WyomingError: the session failed.
        """
        while not self._events:
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        if not isinstance(event, Exception):
            return event
        if isinstance(event, AssistantError):
            raise WyomingError("failed", str(event))
        log.error("wyoming.fails session=%s %s", self.name, where(event))
        raise WyomingError("failed", "an error of the server")

    def leave(self) -> None:
        """Give the place up; the session is forgotten."""
        self._places.free(self.name)

    def _deliver(self, what: Done | Exception) -> None:
        if isinstance(what, Exception):
            self._events.append(what)
            self._taken = self._given  # nobody waits for the rest
        else:
            self.heard, self._taken = what.heard, what.taken
            self._events += what.events
        self._news.set()  # first those who listen, then those who have more to give
        self._moved.set()
