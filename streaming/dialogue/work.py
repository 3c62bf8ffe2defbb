"""Kinds of a session's steps, and how urgent they are."""

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, Literal, Protocol

from streaming.audio.frames import Frame
from streaming.controls import Control
from streaming.events import Event


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
    """The open block, at a pause, which is judged."""

    PREFILL = "prefill"
    """Prefill of windows that became final."""

    DRAFT = "draft"
    """While someone speaks: what was said so far is read, or prefilled."""

    ASK = "ask"
    """The windows of the open block and the prompt's end."""

    DECODE = "decode"
    VOICE = "voice"
    """A clause of the reply, spoken."""

    CAPTION = "caption"
    TIDY = "tidy"
    """Work that a closed turn left, done when there is time."""


class Urgency(IntEnum):
    """Urgency of a session's next step; the lowest value is the most urgent."""

    LISTEN = 0
    """Audio has arrived; processing it late would delay everything."""

    FIRST = 1
    """The turn is over, and no text was given out yet."""

    VOICE = 2
    """A clause of the reply waits to be spoken."""

    SPEAK = 3
    """More of a reply that is being given out."""

    AHEAD = 4
    """Speculative tokens, captions and drafts that delay no audio, and work that a closed turn
    left."""

    LATER = 5
    """Work of `Unhurried`: whatever somebody who talks or listens waits for comes before it."""


Pace = Callable[[int], int]
"""Maps a number of pieces of input (frames and controls) to the tokens that may be given out by
then. A clause that is spoken counts as one."""

Job = tuple[Work, Callable[[], list[Event]]]
"""A step that is to be done: its kind, and what does it and gives what clients are told."""


def silently(step: Callable[[], int | None]) -> list[Event]:
    """Do a step that clients are told nothing of."""
    step()
    return []


class Stepped(Protocol):
    """What the model's thread works on in steps: a `Session`, or a `Narrator`."""

    @property
    def work(self) -> Work:
        """The kind of work of the last step."""

    @property
    def taken(self) -> int:
        """Number of pieces of input processed: frames and controls."""

    @property
    def heard(self) -> int:
        """Number of samples processed."""

    @property
    def released(self) -> int:
        """Tokens given out, clauses spoken, and ends of replies, as far as its input alone does not
        say when they are."""

    def at_pace(self, pace: Pace | None) -> None:
        """Give out so much after each piece of input from here on; None: as fast as it is made."""

    @property
    def urgency(self) -> Urgency | None:
        """How urgent the next step is; None: there is nothing to do."""

    def hear(self, frames: list[Frame]) -> None:
        """Take audio."""

    def control(self, control: Control) -> None:
        """Take a control, in its place between the audio."""

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Do one bounded piece of work."""


class Unhurried:
    """A session that is in no hurry: all of its steps are less urgent than those of others."""

    def __init__(self, session: Stepped) -> None:
        """`session`: what is stepped."""
        self._session = session

    @property
    def work(self) -> Work:
        """The kind of work of the last step."""
        return self._session.work

    @property
    def taken(self) -> int:
        """Number of pieces of input processed: frames and controls."""
        return self._session.taken

    @property
    def heard(self) -> int:
        """Number of samples processed."""
        return self._session.heard

    @property
    def released(self) -> int:
        """What was given out, as `Stepped` has it."""
        return self._session.released

    def at_pace(self, pace: Pace | None) -> None:
        """Go on at another pace."""
        self._session.at_pace(pace)

    @property
    def urgency(self) -> Urgency | None:
        """LATER; None: there is nothing to do."""
        return None if self._session.urgency is None else Urgency.LATER

    def hear(self, frames: list[Frame]) -> None:
        """Take audio."""
        self._session.hear(frames)

    def control(self, control: Control) -> None:
        """Take a control, in its place between the audio."""
        self._session.control(control)

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Do one bounded piece of work."""
        return self._session.step()
