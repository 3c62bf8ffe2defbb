"""Single keys of a terminal, as they are pressed."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clients.errors import ClientError


@contextmanager
def keys(take: Callable[[str], None]) -> Iterator[None]:
    """Tell `take` what is typed, without waiting for Enter and without showing it.

    Raises:
        ClientError: there is no terminal that can do this.
    """
    try:
        import termios
        import tty
    except ImportError as error:  # Windows
        raise ClientError("keys cannot be read in this terminal") from error
    if not sys.stdin.isatty():
        raise ClientError("keys cannot be read: there is no terminal")
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        for key in os.read(terminal, 1024).decode(errors="ignore"):
            take(key)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
