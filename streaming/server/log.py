"""The server's log: one line for an event, made of words of ours, and not too many of them.

Nothing a client sent is ever part of a line: no text, no header, no address with its query. An
error is its type and the lines of code it went through, never its message.
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
"""Lines of one kind that are written at once."""

PER_S = 1.0
"""Lines of one kind that are written per second in the long run."""


def where(error: BaseException) -> str:
    """The type of an error, and where it was raised: no more, for its message may hold speech."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "<".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"error={type(error).__name__} at={places}"


class Log:
    """Lines about what clients may do as often as they like.

    A kind of line that comes too often is left out, and the next line of that kind says how many
    were: `more=312`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._left: dict[str, tuple[float, float, int]] = {}  # lines, when that was, left out

    def line(self, kind: str, level: int = logging.INFO, **fields: object) -> None:
        """Write a line, if there is room for one.

        Args:
            kind: such as `connection.refused`; of which there are few.
            level: of the logging library.
            fields: written as `name=value`; words of ours, nothing that a client sent.
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
    """Takes what quotes clients out of the websocket library's records: messages and tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        told = "" if error is None else f" {where(error)}"
        record.msg, record.args = f"connection.fails{told}", ()
        record.exc_info = record.exc_text = None
        return True


def library_logger() -> logging.Logger:
    """The logger that `websockets` is given: warnings and errors, each one line of ours."""
    quiet = logging.getLogger("salmonn-live.websockets")
    quiet.setLevel(logging.WARNING)
    if not quiet.filters:
        quiet.addFilter(_TypeOnly())
    return quiet


def one_line_errors(lines: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for errors that nothing on the event loop caught, such as no file descriptor left.

    asyncio's own writes a traceback for each, thousands in a second.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = "error=None" if error is None else where(error)
        lines.line(f"server.errs {told}", logging.ERROR, errno=getattr(error, "errno", None))

    return handle
