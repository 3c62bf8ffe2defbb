"""A session on the model's thread, as a connection uses it."""

import itertools
from collections.abc import Callable
from typing import Self

from streaming.dialogue.work import Stepped
from streaming.events import Event
from streaming.server import place
from streaming.server.places import Places
from streaming.wyoming.framing import WyomingError

ROOM_S = 5.0
"""Seconds that a request waits for a place while all are taken."""

_numbers = itertools.count(1)


class Place(place.Place):
    """Input goes in, events come out; used on the event loop alone."""

    def __init__(self, places: Places, make: Callable[[], Stepped]) -> None:
        """Args:
        places: of the server, with room for one more.
        make: makes the session, on the model's thread.
        """
        super().__init__(places, f"wyoming_{next(_numbers)}", make)

    @classmethod
    async def take(cls, places: Places, make: Callable[[], Stepped]) -> Self:
        """Take a place; waits for one if necessary.

        Raises:
            WyomingError: all places are taken.
        """
        if not await places.room(ROOM_S):
            raise WyomingError("busy", "all sessions are taken; try again later")
        return cls(places, make)

    async def next(self) -> Event:
        """The session's next event.

        Raises:
            WyomingError: the session failed.
        """
        try:
            return await super().next()
        except place.SessionFailedError as error:
            raise WyomingError("failed", str(error)) from error
