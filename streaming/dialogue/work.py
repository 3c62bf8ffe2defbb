"""Kinds of a session's steps, and how urgent they are."""

from enum import Enum, IntEnum
from typing import Final


class NeedData(Enum):
    """The type of `NEED_DATA`."""

    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA
"""Returned by `Session.step` when nothing can be done before more bytes arrive."""


class Work(Enum):
    """What a step did; a shell that has a clock can tell where time goes."""

    LISTEN = "listen"
    """A frame, and the block it completed."""

    CONTROL = "control"
    """A control of the client."""

    ENCODE = "encode"
    """The open block, at a pause."""

    PREFILL = "prefill"
    """Prefill of windows that became final."""

    ASK = "ask"
    """The windows of the open block and the prompt's end."""

    DECODE = "decode"
    CAPTION = "caption"
    TIDY = "tidy"
    """Work that a closed turn left, done when there is time."""


class Urgency(IntEnum):
    """Urgency of a session's next step; the lowest value is the most urgent."""

    LISTEN = 0
    """Audio has arrived; processing it late would delay everything."""

    FIRST = 1
    """The turn is over, and no text was given out yet."""

    SPEAK = 2
    """More of a reply that is being given out."""

    AHEAD = 3
    """Secret tokens, captions that keep no audio waiting, and what a closed turn left to do."""
