"""One turn: what it is about, and how far it has come.

A turn is about a stretch of what was heard and ends with a reply. At its soft endpoint the reply is
begun in secret; speech that goes on takes that back.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from streaming.events import AudioPrefilled


class Phase(Enum):
    """Where a turn stands."""

    OPEN = auto()
    """It is being heard."""

    WAITING = auto()
    """It is over, and its reply not asked for."""

    ENDING = auto()
    """It is over, its reply follows at once."""

    REPLYING = auto()
    """The reply is being given out."""

    CLOSED = auto()
    """It was answered or dropped."""


@dataclass
class Turn:
    """Times are sample indices."""

    since: int
    """It is about what was heard from here on."""

    spoken_from: int | None = None
    """First sample of its first utterance; None: nobody spoke."""

    phase: Phase = Phase.OPEN
    windows: int | None = None
    """Of its audio, once the reply was asked for."""

    paused_at: int = 0
    """Samples heard when it was paused last."""

    said: int = 0
    """Tokens given out."""

    last_caption_given: bool = False
    """The last caption of what was heard so far was."""

    caption_due: bool = False
    """It was not, and the reply has begun."""

    prefilled: list[AudioPrefilled] = field(default_factory=list)
    secret: deque[str | None] = field(default_factory=deque)
    """Tokens made but not given out; None is the reply's end."""

    @property
    def is_open(self) -> bool:
        """Whether it is not closed."""
        return self.phase is not Phase.CLOSED

    @property
    def replying(self) -> bool:
        """Whether its reply is being given out."""
        return self.phase is Phase.REPLYING

    @property
    def waiting(self) -> bool:
        """Whether it is over, and its reply not asked for."""
        return self.phase is Phase.WAITING

    @property
    def ending(self) -> bool:
        """Whether it is over, and its reply not begun."""
        return self.phase is Phase.ENDING

    @property
    def may_go_on(self) -> bool:
        """Whether what is said now belongs to it."""
        return self.phase in (Phase.OPEN, Phase.WAITING)

    @property
    def finished(self) -> bool:
        """Whether the secret reply has come to its end."""
        return bool(self.secret) and self.secret[-1] is None

    def take_back(self) -> None:
        """It goes on: forget the reply that was begun in secret, and the last caption."""
        self.forget_reply()
        self.last_caption_given = False

    def forget_reply(self) -> None:
        """Forget the reply that was begun in secret; the turn is over all the same."""
        self.windows = None
        self.secret.clear()

    def close(self) -> None:
        """It was answered or dropped."""
        self.phase, self.windows = Phase.CLOSED, None
        self.secret.clear()

    def windows_prefilled(self, until: int) -> int:
        """How many were, when so much had been heard."""
        return max((p.windows for p in self.prefilled if p.at <= until), default=0)
