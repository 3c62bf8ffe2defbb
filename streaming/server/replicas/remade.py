"""A session that another process had begun, made again from what was kept of it."""

from collections import deque
from typing import Literal

from assistant.errors import AssistantError
from streaming.audio.frames import Frame
from streaming.controls import Control
from streaming.dialogue.work import NEED_DATA, NeedData, Pace, Stepped, Urgency, Work
from streaming.events import Event
from streaming.server.replicas.kept import Kept, chained


class DivergedError(AssistantError):
    """A session that was made again is not the one that it was."""

    def __init__(self) -> None:
        super().__init__("the replica that had this session is gone, and no other could go on")


class Remade:
    """Repeats what was kept, as fast as it can, at the pace at which it was; then it goes on as
    any session. Events that came of the first one are not given again: they are compared."""

    def __init__(self, session: Stepped, kept: Kept) -> None:
        """Args:
        session: a new one, made as the first was.
        kept: of the first.
        """
        self._session, self._kept = session, kept
        self._pieces = kept.pieces()
        self._later: deque[Frame | Control] = deque()  # came while it was behind
        self._fed = self._came = 0  # pieces, and events
        self._digest = b""
        self._repeats = True
        session.at_pace(kept.pace)
        self._go_on_if_there()

    @property
    def is_behind(self) -> bool:
        """Whether it is not where the first one was."""
        return self._repeats

    @property
    def work(self) -> Work:
        """The kind of work of the last step."""
        return self._session.work

    @property
    def taken(self) -> int:
        """Number of pieces of input processed: frames and controls."""
        return max(self._kept.taken, self._session.taken)

    @property
    def heard(self) -> int:
        """Number of samples processed."""
        return max(self._kept.heard, self._session.heard)

    @property
    def released(self) -> int:
        """What was given out, as `Stepped` has it."""
        return max(self._kept.released, self._session.released)

    def at_pace(self, pace: Pace | None) -> None:
        """It has a pace."""

    @property
    def urgency(self) -> Urgency | None:
        """How urgent the next step is; None: there is nothing to do."""
        urgency = self._session.urgency
        return Urgency.LISTEN if urgency is None and self._repeats else urgency

    def hear(self, frames: list[Frame]) -> None:
        """Take audio."""
        if self._repeats:
            self._later += frames
        else:
            self._session.hear(frames)

    def control(self, control: Control) -> None:
        """Take a control, in its place between the audio."""
        if self._repeats:
            self._later.append(control)
        else:
            self._session.control(control)

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Do one bounded piece of work.

        Raises:
            DivergedError: something else comes of it than what came of the first session.
        """
        repeats = self._repeats
        if repeats and self._session.urgency is None and self._fed < self._kept.taken:
            self._give(next(self._pieces))
            self._fed += 1
        events = self._session.step()
        if repeats:
            self._go_on_if_there()
        if self._repeats and events is NEED_DATA and self._fed == self._kept.taken:
            raise DivergedError  # not all was given out that had been
        return [] if events is NEED_DATA and repeats else self._news(events)

    def _go_on_if_there(self) -> None:
        there, session = self._kept, self._session
        if session.taken < there.taken or session.released < there.released:
            return
        session.at_pace(None)
        self._repeats = False
        for piece in self._pieces:
            self._give(piece)
        for piece in self._later:
            self._give(piece)
        self._later.clear()

    def _give(self, piece: Frame | Control) -> None:
        if isinstance(piece, Frame):
            self._session.hear([piece])
        else:
            self._session.control(piece)

    def _news(
        self, events: list[Event] | Literal[NeedData.NEED_DATA]
    ) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """The events that did not come of the first session."""
        if events is NEED_DATA or not self._came < self._kept.events:
            return events
        known = events[: self._kept.events - self._came]
        for event in known:
            self._digest = chained(self._digest, event)
        self._came += len(known)
        missed = self._came < self._kept.events and self._session.taken > self._kept.taken
        differs = self._came == self._kept.events and self._digest != self._kept.digest
        if missed or differs:
            raise DivergedError
        return events[len(known) :]
