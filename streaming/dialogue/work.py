"""What the steps of a session do, and how soon they must be done."""

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
    """A client's wish."""

    ENCODE = "encode"
    """The open block, at a pause."""

    PREFILL = "prefill"
    """Final windows, as they come."""

    ASK = "ask"
    """The windows of the open block and the prompt's end."""

    DECODE = "decode"
    VOICE = "voice"
    """A clause of the reply, spoken."""

    CAPTION = "caption"
    TIDY = "tidy"
    """What a closed turn left to do, when there is time."""


class Urgency(IntEnum):
    """How long a session's next step can wait; the least waits least."""

    LISTEN = 0
    """Audio is there: what is not heard in time makes everything late."""

    FIRST = 1
    """The user is done, and no text was given out yet."""

    VOICE = 2
    """A clause of the reply waits to be spoken."""

    SPEAK = 3
    """More of a reply that is being given out."""

    AHEAD = 4
    """Secret tokens, captions that keep no audio waiting, and what a closed turn left to do."""
