"""The server's log: one line per event, in our own words, and at a limited rate.

Nothing that a client sent is ever logged: no text, no header, no address with its query. Errors are
logged by their type and the lines of code they came through, never with their message.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger("salmonn-live")

BURST = 20
"""Most lines of one kind in a burst."""

PER_S = 1.0
"""Most lines of one kind per second in the long run."""


def where(error: BaseException) -> str:
    """The type of an error and where it was raised, without its message, which may contain
    speech."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "<".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"error={type(error).__name__} at={places}"


class Log:
    """A log with a limited rate, for lines that clients can provoke as often as they like.

    Lines of a kind that comes too often are left out, and the next one says how many: `more=312`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._left: dict[str, tuple[float, float, int]] = {}  # lines, when that was, left out

    def line(self, kind: str, level: int = logging.INFO, **fields: object) -> None:
        """Write a line, unless there were too many of its kind.

        Args:
            kind: such as `connection.refused`; one of a few.
            level: of the logging library.
            fields: written as `name=value`; nothing that a client sent.
        """
        now = self._clock()
        left, at, more = self._left.get(kind, (float(BURST), now, 0))
        left = min(float(BURST), left + PER_S * (now - at))
        if left < 1:
            self._left[kind] = left, now, more + 1
            return
        self._left[kind] = left - 1, now, 0
        told = fields | ({"more": more} if more else {})
        log.log(level, "%s %s", kind, " ".join(f"{name}={value}" for name, value in told.items()))


class _TypeOnly(logging.Filter):
    """Removes messages and tracebacks, which may quote clients, from the websocket library's
    records."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        told = "" if error is None else f" {where(error)}"
        record.msg, record.args = f"connection.fails{told}", ()
        record.exc_info = record.exc_text = None
        return True


def library_logger() -> logging.Logger:
    """The logger for `websockets`: warnings and errors, each as one line in our words."""
    quiet = logging.getLogger("salmonn-live.websockets")
    quiet.setLevel(logging.WARNING)
    if not quiet.filters:
        quiet.addFilter(_TypeOnly())
    return quiet


def one_line_errors(lines: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for errors that nothing on the event loop caught, such as a lack of file
    descriptors.

    asyncio's own handler writes a traceback for each, thousands in a second.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = "error=None" if error is None else where(error)
        lines.line(f"server.errs {told}", logging.ERROR, errno=getattr(error, "errno", None))

    return handle
