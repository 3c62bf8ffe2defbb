"""The turn that a conversation hears or answers now."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from assistant.captions.captioner import Captioner
from assistant.ear.hearing import Hearing, Window
from assistant.llm.context import Context
from assistant.prompt.items import Item, Returned, Spoken, System
from assistant.reply import Recited, Reply
from assistant.tools.tool import Tool, ToolChoice

DRAFT_WINDOWS = 2
"""Windows from one reading of what is being said to the next: 0.64 s are a word or two."""


@dataclass(slots=True)
class OpenTurn:
    """A turn that is not over."""

    item: Spoken
    """What is known of it; its windows are those that are final and in the context."""

    most: int
    """Tokens that the reply may have."""

    waiting: list[Window] = field(default_factory=list)
    """Final windows that are not in the context yet."""

    ahead: tuple[Window, ...] | None = None
    """While paused: provisional windows of the block that was open."""

    later: list[Window] = field(default_factory=list)
    """Windows that became final while paused."""

    captioner: Captioner | None = None
    spoken_from: int = 0
    """Windows before this sample are not read."""

    apart: Context | None = None
    """What the LLM has read of it beside functions of our own; None: nothing."""

    reply: Reply | Recited | None = None
    """Once it was asked for."""

    done: tuple[Item, ...] = ()
    """What stands before the reply in its answer: calls of our own functions, and what came of
    them."""

    steps: int = 0
    """Tokens and calls that were given out before the reply."""

    is_notice: bool = False
    """Nobody asked for it: it is about nothing, and answers nothing."""

    uttered: bool = False
    """Somebody spoke in it."""

    alone: bool = False
    """It is asked as if nothing had been said before."""

    silent: bool = False
    """It is about nothing that was heard."""

    tools: tuple[Tool, ...] | None = None
    """Functions that the reply may call; None: the session's."""

    choice: ToolChoice | None = None
    """Whether it calls one; None: as the session has it."""

    system: System | None = None
    """What stands before all turns while this one is open; None: what always does."""

    kept: bool = True
    """The reply becomes a part of the conversation."""

    @property
    def windows(self) -> int:
        """How many are final."""
        return len(self.item.windows) + len(self.waiting) + len(self.later)

    @property
    def whole(self) -> Spoken:
        """With the windows that are provisional."""
        return replace(self.item, windows=(*self.item.windows, *(self.ahead or ())))

    def answer(self, said: int | None) -> list[Item]:
        """What stays of its answer; `said`: tokens and calls that were given out; None: all."""
        assert self.reply is not None, "ask() comes first"
        given = None if said is None else max(0, said - self.steps)
        return [*self.done, *self.reply.items(self.item.turn, given)]

    def go_on(self, results: Sequence[Returned]) -> None:
        """Its reply called functions, and will go on with what came of them."""
        assert self.reply is not None, "ask() comes first"
        self.done = (*self.answer(None), *results)
        self.steps += self.reply.steps

    def hear(self, windows: list[Window]) -> int:
        """Windows became final; how many wait to go into the context."""
        if self.ahead is not None:
            self.later += windows
            return 0
        self.take(windows)
        return len(self.waiting)

    def caption(self, *, last: bool) -> tuple[str, str] | None:
        """Text that came to be settled, and what follows it; None: nothing is read."""
        if self.captioner is None:
            return None
        read = self.captioner.read(self.spoken([*(self.ahead or ())]), last=last)
        return read.settled, read.tentative

    def take(self, windows: list[Window]) -> None:
        """Windows of this turn became final."""
        self.waiting += windows
        if self.captioner is not None:
            self.captioner.hear(self.spoken(windows))

    def settle(self) -> None:
        """The windows that waited go into the context."""
        self.item = replace(self.item, windows=(*self.item.windows, *self.waiting))
        self.waiting = []

    def spoken(self, windows: list[Window]) -> list[Window]:
        """Those of the utterance, not of what was heard before it."""
        return [window for window in windows if window.at >= self.spoken_from]

    def pause(self, hearing: Hearing, *, read: bool) -> int:
        """It may be over; the windows of the block that is open, which are provisional.

        Args:
            hearing: what was heard so far.
            read: whether the LLM is given what was said as text.
        """
        ahead = self.note(hearing, read=read)
        self.ahead = tuple(ahead)
        return len(ahead)

    def note(self, hearing: Hearing, *, read: bool) -> list[Window]:
        """Say in words what was heard so far; see `pause`."""
        ahead, transcript = hearing.peek(), ""
        if self.captioner is not None and read:
            transcript = self.captioner.peek(self.spoken(ahead))
        named = tuple(sound for sound in hearing.peeked if sound.end > self.item.since)
        self.item = replace(self.item, until=hearing.heard, transcript=transcript, sounds=named)
        return ahead

    def resume(self) -> None:
        """It was not over."""
        self.reply, self.ahead = None, None
        self.take(self.later)
        self.later = []


class FirstUtterance:
    """Where what is said in a turn begins, even if it was opened again."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # a turn's beginning, and its utterance's

    def since(self, since: int, spoken_from: int | None) -> int:
        """A turn that is opened again goes on with the utterance that it was opened with, and a
        typed question is about everything.

        Args:
            since: first sample that the turn is about.
            spoken_from: first sample of its utterance.

        Returns:
            First sample that is read.
        """
        if spoken_from is None:
            return since
        if self._last is not None and self._last[0] == since:
            spoken_from = min(spoken_from, self._last[1])
        self._last = since, spoken_from
        return spoken_from

    @property
    def begun(self) -> int:
        """First sample of the utterance that the last turn began with in which somebody spoke."""
        return 0 if self._last is None else self._last[1]
