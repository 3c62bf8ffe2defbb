"""Single keys of a terminal, as they are pressed."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clients.errors import ClientError


def why_no_keys() -> str | None:
    """Why keys cannot be read here, for the user; None: they can."""
    try:
        import termios  # noqa: F401
    except ImportError:  # Windows
        return "keys cannot be read in this terminal"
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return "keys cannot be read: the input is no terminal"
    return None


@contextmanager
def keys(take: Callable[[str], None]) -> Iterator[None]:
    """Tell `take` what is typed, without waiting for Enter and without showing it.

    Raises:
        ClientError: there is no terminal that can do this.
    """
    if why := why_no_keys():
        raise ClientError(why)
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        typed = os.read(terminal, 1024)
        if not typed:  # the terminal is gone
            loop.remove_reader(terminal)
        for key in typed.decode(errors="ignore"):
            take(key)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
