"""Sessions for requests: some at a time; the others wait in line."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from streaming.dialogue.work import Stepped, Unhurried
from streaming.server.exchange import RETRY
from streaming.server.http import RefusedError
from streaming.server.place import Place, SessionFailedError
from streaming.server.places import BESIDE, Places

WAIT_S = 60.0
"""Longest wait in line, in seconds."""

_numbers = itertools.count(1)


class Line:
    """Gives requests their sessions, in the order in which they came. Whatever the sessions of
    people who talk have to do comes first."""

    def __init__(self, places: Places) -> None:
        """`places`: of the server."""
        self._places, self._free = places, asyncio.Semaphore(BESIDE)

    @asynccontextmanager
    async def place(self, make: Callable[[], Stepped]) -> AsyncIterator[Place]:
        """A session, when it is this request's turn; it is forgotten in the end.

        Args:
            make: makes it, on the model's thread.

        Raises:
            RefusedError: it took too long, or the session failed.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            why = "Other requests are being answered; try again later."
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise RefusedError(status, "busy", why, headers=(RETRY,)) from None
        name = f"request_{next(_numbers)}"
        place = Place(self._places, name, partial(_unhurried, make), beside=True)
        try:
            yield place
        except SessionFailedError as error:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise RefusedError(status, "failed", str(error)) from error
        finally:
            place.leave()
            self._free.release()


def _unhurried(make: Callable[[], Stepped]) -> Unhurried:
    return Unhurried(make())
