"""Functions of our own that a session offers: how they are shown, what calls give, and what they
have to tell by themselves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from assistant.ear.noticing import Sound
from assistant.errors import ToolError
from assistant.prompt.items import Offer, Returned
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.lists import Memory
from assistant.toolbox.own import Moment
from assistant.toolbox.prompt import SYSTEM, TELL, shown
from assistant.toolbox.sentences import noticed, rung, sentence
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.form import Form
from assistant.tools.tool import Tool, ToolCall

SHELL = ("add_to_list", "read_list", "remove_from_list")
"""Functions that keep something beyond the session: whoever runs it calls them."""

LOGGED = 1000
"""Sounds that are remembered, at most."""

FAILED = "That did not work, something went wrong in the tool."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    output: str
    """JSON text for the LLM to read."""

    say: str | None
    """What is said of it; None: the LLM says it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is told without being asked for."""

    kind: str
    """`timer`, `alarm` or `watch`."""

    name: str
    """Of the timer, or of the sound; may be empty."""

    text: str
    """What is said."""


def names() -> tuple[str, ...]:
    """Of all functions of ours."""
    return tuple(tool.name for tool in Toolbox(None, Memory(), ()).tools)


def failed(why: str = FAILED) -> Outcome:
    """What came of a call that failed; `why`: a sentence."""
    return Outcome(json.dumps({"error": why}, ensure_ascii=False), why)


def as_read(results: Sequence[tuple[str, str]], *, told: bool) -> list[Returned]:
    """What came of calls, as the LLM reads it.

    Args:
        results: outputs by the ids of the calls, one at least.
        told: the LLM is asked to say it.
    """
    *others, (call, output) = results
    asked = output + TELL if told else output
    return [Returned(one, one, given) for one, given in [*others, (call, asked)]]


class OwnTools:
    """Those of one session, on its audio clock.

    The clock stands still while no audio comes. So whoever has a clock may tell the local time now
    and then: what was skipped counts as if it had been heard.
    """

    def __init__(
        self, offered: Sequence[str], more: Sequence[Tool], sounds: Sequence[str], form: Form | None
    ) -> None:
        """Args:
        offered: names of those of ours that are offered.
        more: a user's own, which the shell runs.
        sounds: that can be told apart.
        form: how the LLM writes calls; None: it writes none, and none are offered.

        Raises:
            ToolError: a name is none of ours, or two functions have one name.
        """
        self._toolbox = Toolbox(None, Memory(), sounds)
        ours = {tool.name: tool for tool in self._toolbox.tools}
        for place, name in enumerate(offered):
            if name not in ours:
                raise ToolError(f"own[{place}]", f"{name!r:.60}: there are {', '.join(ours)}")
        for tool in more:
            if tool.name in offered:
                raise ToolError("functions", f"{tool.name}: a tool of our own has that name")
        wanted = [tool for name, tool in ours.items() if name in offered] if form else []
        self._shell = {*SHELL, *(tool.name for tool in more)}
        self.tools: tuple[Tool, ...] = (*wanted, *(more if form else ()))
        """Those that may be called."""

        self.users = frozenset(tool.name for tool in more)
        """Names of those of them that are the user's."""

        self.offer: Offer | None = None
        """How they are shown; None: there are none."""

        if form is not None and self.tools:
            examples = shown(form, [tool.name for tool in wanted], more)
            self.offer = Offer(SYSTEM, tuple(examples))
        self._started: datetime | None = None
        self._skipped = 0  # samples
        self._log: dict[tuple[str, int], Sound] = {}
        self._noticed: Sequence[Sound] = ()
        self._told: list[Notice] = []

    def is_shells(self, name: str) -> bool:
        """Whether the shell runs a function."""
        return name in self._shell

    def start(self, local: str, heard: int) -> None:
        """It is this local time.

        Args:
            local: in ISO 8601.
            heard: samples of the stream so far.
        """
        now = datetime.fromisoformat(local).replace(tzinfo=None)
        if self._started is None:
            self._started = now - timedelta(microseconds=heard * 1_000_000 // SAMPLE_RATE)
            self._toolbox.start(self._started)
            return
        at = round((now - self._started).total_seconds() * SAMPLE_RATE)
        self._skipped = max(self._skipped, at - heard)

    def run(self, call: ToolCall, heard: int) -> Outcome:
        """Do what a call asks; an error of the program is a sentence, too.

        Args:
            call: its arguments fit the function's schema.
            heard: samples of the stream so far.
        """
        moment = Moment(heard + self._skipped, [*self._log.values()])
        try:
            output = self._toolbox.call(call, moment)
            return Outcome(output, sentence(call.name, output))
        except Exception:  # noqa: BLE001 - whatever it is, the session goes on
            return failed()

    def hear(self, sounds: Sequence[Sound]) -> None:
        """Take all sounds that were noticed lately; one that goes on has a later end."""
        if sounds == self._noticed:
            return
        self._noticed = [*sounds]
        moved = []
        for sound in sounds:
            known = self._log.get((sound.name, sound.begin))
            by = self._skipped if known is None else known.begin - sound.begin
            moved.append(replace(sound, begin=sound.begin + by, end=sound.end + by))
            self._log[sound.name, sound.begin] = moved[-1]
        for key in [*self._log][:-LOGGED]:
            del self._log[key]
        for found in self._toolbox.hear(moved):
            self._told.append(Notice("watch", found.sound.name, noticed(found)))

    def notices(self, heard: int) -> list[Notice]:
        """What has to be told from now on, each once; `heard`: samples of the stream so far."""
        due = self._toolbox.due(heard + self._skipped)
        told = [Notice(timer.kind, timer.name, rung(timer)) for timer in due] + self._told
        self._told = []
        return told
