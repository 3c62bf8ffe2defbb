"""What a server does for a session beside carrying messages: functions are run, and it is told the
time while no audio comes."""

import asyncio
from collections.abc import Callable

from streaming.controls import Control
from streaming.events import Event, ToolCalled
from streaming.shell import Calls, now

TELLS_S = 1.0
"""Seconds without audio after which a session is told the time."""


class Errands:
    """Those of one session; used on the event loop alone."""

    def __init__(self, calls: Calls | None, give: Callable[[Control], None]) -> None:
        """Args:
        calls: runs functions; None: the session has none of ours, and needs no time.
        give: gives the session a control.
        """
        self._calls, self._give = calls, give
        self._tasks: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self.given = 0
        """Samples that came in."""

    def begin(self) -> None:
        """The session begins: nothing was given to it yet."""
        if self._calls is not None:
            self._give(now())
            self._wait(0)

    def _wait(self, given: int) -> None:
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(TELLS_S, self._look, given)

    def _look(self, given: int) -> None:
        """Tell the time if no audio came since."""
        if self.given == given:
            self._give(now())
        self._wait(self.given)

    def take(self, events: list[Event]) -> None:
        """Run what a session called."""
        for event in events:
            if isinstance(event, ToolCalled) and event.by == "shell" and self._calls is not None:
                task = asyncio.ensure_future(self._run(self._calls, event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, calls: Calls, event: ToolCalled) -> None:
        self._give(await asyncio.to_thread(calls.run, event))

    def end(self) -> None:
        """The session is over."""
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
