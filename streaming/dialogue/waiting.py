"""What waits until nobody speaks and no reply is given."""

from collections import deque
from dataclasses import dataclass, field

from assistant.rates import SAMPLE_RATE
from streaming.controls import Ask
from streaming.events import Notified

UNHEARD = SAMPLE_RATE
"""Samples: who speaks sooner after something was begun to be told has not understood it."""


@dataclass(slots=True)
class Waiting:
    """What is answered or told in the next lull, in the order in which it is here."""

    unanswered: list[tuple[int, int, bool]] = field(default_factory=list)
    """What was said under a reply: samples it is about and is spoken from, and whether it is
    answered without being asked for."""

    notices: deque[Notified] = field(default_factory=deque)
    """What has to be told without being asked for."""

    questions: deque[Ask] = field(default_factory=deque)
    """Typed questions."""

    told: Notified | None = None
    """The notice that is told, or was last."""

    def again(self, ref: str | None, since: int, spoken: int) -> None:
        """A reply was interrupted; a notice that someone spoke over at once is told again.

        Args:
            ref: of the reply.
            since: sample at which it began.
            spoken: sample at which the speech began.
        """
        if self.told is not None and self.told.ref == ref and spoken - since < UNHEARD:
            self.notices.appendleft(self.told)

    def dismissed(self) -> None:
        """Somebody wished for quiet: what was told last is not told again."""
        if self.told is not None and self.told in self.notices:
            self.notices.remove(self.told)

    @property
    def is_answered(self) -> bool:
        """Whether something that was said is answered without being asked for."""
        return any(answer for *_, answer in self.unanswered)

    @property
    def is_due(self) -> bool:
        """Whether there is anything for a lull."""
        return bool(self.questions or self.notices) or self.is_answered
