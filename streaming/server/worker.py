"""The thread that does the model's work for all sessions."""

import queue
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.core import Metric

from streaming.audio.frames import Frame
from streaming.controls import Control
from streaming.dialogue.scheduler import Scheduler
from streaming.dialogue.work import Stepped, Work
from streaming.events import Event


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a step of a session."""

    work: Work
    begun: float
    """Begin of the step, in seconds of `time.monotonic`."""

    seconds: float
    heard: int
    """Number of samples that the session has processed."""

    taken: int
    """Number of pieces of input that it has processed: frames and controls."""

    released: int
    """What it has given out, see `Stepped.released`."""

    events: list[Event]


Deliver = Callable[[Hashable, Done | Exception], None]
"""Takes a session's name and the result of its step, or the error in it, after which the session is
gone."""


class Host(Protocol):
    """Where sessions are: `Worker`, or something that has many of them."""

    @property
    def is_ready(self) -> bool:
        """Whether sessions are stepped."""

    @property
    def sessions(self) -> Collection[Hashable]:
        """Names of those that there are."""

    def figures(self) -> Iterable[Metric]:
        """Figures for Prometheus about where sessions are."""

    def add(self, name: Hashable, make: Callable[[], Stepped]) -> None:
        """Make a session, and take it; errors are delivered."""

    def give(self, name: Hashable, pieces: list[Frame | Control]) -> None:
        """Give a session input; ignored if the session is gone."""

    def remove(self, name: Hashable, then: Callable[[], None] | None = None) -> None:
        """Forget a session, and call `then` when it is gone, on any thread."""

    def stop(self) -> None:
        """End all of them."""


NewHost = Callable[[int, Deliver], Host]
"""Makes a host for so many sessions at once, which calls the second argument with what comes of
them, on any thread."""

WISHES = 16
"""Most requests that are done between two steps, so that one client's input does not delay the
steps of others."""


class Worker:
    """Steps sessions on a thread of its own, the most urgent first. Sessions are used on it
    alone."""

    def __init__(self, most: int, deliver: Deliver) -> None:
        """Args:
        most: limit of sessions at once.
        deliver: called on the worker's thread.
        """
        self._scheduler: Scheduler[Hashable] = Scheduler(most)
        self._sessions: dict[Hashable, Stepped] = {}
        self._wishes: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._deliver = deliver
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """It is, from the beginning."""
        return True

    @property
    def sessions(self) -> Collection[Hashable]:
        """Names of those that were made."""
        return self._sessions.keys()

    def figures(self) -> Iterable[Metric]:
        """All sessions are in one place: there is nothing to tell."""
        return ()

    def add(self, name: Hashable, make: Callable[[], Stepped]) -> None:
        """Make a session on the worker's thread, and take it; errors are delivered."""

        def wish() -> None:
            session = make()
            self._scheduler.add(name, session)
            self._sessions[name] = session

        self._wishes.put(lambda: self._guard(name, wish))

    def give(self, name: Hashable, pieces: list[Frame | Control]) -> None:
        """Give a session input; ignored if the session is gone."""

        def wish() -> None:
            if (session := self._sessions.get(name)) is None:
                return
            for piece in pieces:
                if isinstance(piece, Frame):
                    session.hear([piece])
                else:
                    session.control(piece)

        self._wishes.put(lambda: self._guard(name, wish))

    def remove(self, name: Hashable, then: Callable[[], None] | None = None) -> None:
        """Forget a session, and call `then` on the worker's thread when it is gone."""

        def wish() -> None:
            self._forget(name)
            if then is not None:
                then()

        self._wishes.put(wish)

    def stop(self) -> None:
        """End the thread, after the step it is in."""
        self._wishes.put(None)
        self._thread.join()

    def _forget(self, name: Hashable) -> None:
        if self._sessions.pop(name, None) is not None:
            self._scheduler.remove(name)

    def _guard(self, name: Hashable, wish: Callable[[], None]) -> None:
        try:
            wish()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this session's alone
            self._forget(name)
            self._deliver(name, error)

    def _run(self) -> None:
        idle = False
        while True:
            for _ in range(WISHES):
                if self._wishes.empty() and not idle:
                    break
                wish = self._wishes.get()
                if wish is None:
                    return
                wish()
                idle = False
            idle = not self._step()

    def _step(self) -> bool:
        """Do the most urgent step; returns False if there was none."""
        chosen = self._scheduler.next()
        if chosen is None:
            return False
        name, session = chosen

        def wish() -> None:
            begun = time.monotonic()
            events = session.step()
            assert isinstance(events, list), "a session with work had none"
            seconds = time.monotonic() - begun
            how_far = session.heard, session.taken, session.released
            self._deliver(name, Done(session.work, begun, seconds, *how_far, events))

        self._guard(name, wish)
        return True
