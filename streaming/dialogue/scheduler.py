"""Decides which of many sessions is stepped next. There is no thread in here; a worker calls
`next`."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from assistant.errors import AssistantError
from streaming.dialogue.work import Stepped, Urgency

Name = TypeVar("Name", bound=Hashable)


PATIENCE = {Urgency.FIRST: 16, Urgency.VOICE: 16, Urgency.SPEAK: 16, Urgency.AHEAD: 128}
"""Steps after which work of an urgency, passed over so often in a row, goes first. A frame takes a
millisecond, so a client that sends faster than it speaks leaves others a few dozen tokens a second.
"""


class BusyError(AssistantError):
    """All places for sessions are taken."""


class Scheduler(Generic[Name]):
    """Picks the session with the most urgent step; of equals, the one that has waited longest.

    One step is one bounded piece of work, so no session holds the worker for long. None is passed
    over twice by one of the same urgency, and none for ever: see `PATIENCE`.
    """

    def __init__(self, most: int) -> None:
        """`most`: sessions at once."""
        self._most = most
        self._sessions: dict[Name, Stepped] = {}  # who waited longest comes first
        self._passed: dict[Urgency, int] = {}  # steps of others since work of an urgency waits

    def add(self, name: Name, session: Stepped) -> None:
        """Take a session.

        Raises:
            BusyError: there are as many as there may be.
            ValueError: the name is taken.
        """
        if name in self._sessions:
            raise ValueError(f"there is a session {name!r} already")
        if len(self._sessions) >= self._most:
            raise BusyError(f"{self._most} sessions are all that this server takes at once")
        self._sessions[name] = session

    def remove(self, name: Name) -> None:
        """Forget a session; its state goes with it."""
        del self._sessions[name]

    def next(self) -> tuple[Name, Stepped] | None:
        """The session whose step is the most urgent; None if no session has anything to do."""
        waiting = [
            (urgency, name)
            for name, session in self._sessions.items()
            if (urgency := session.urgency) is not None
        ]
        if not waiting:
            return None
        overdue = [pair for pair in waiting if self._is_overdue(pair[0])]
        urgency, name = min(overdue or waiting, key=lambda pair: pair[0])
        self._passed = {
            other: self._passed.get(other, 0) + 1 for other, _ in waiting if other != urgency
        }
        session = self._sessions.pop(name)
        self._sessions[name] = session
        return name, session

    def _is_overdue(self, urgency: Urgency) -> bool:
        return urgency in PATIENCE and self._passed.get(urgency, 0) >= PATIENCE[urgency]
