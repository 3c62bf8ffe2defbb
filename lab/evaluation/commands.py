"""What is said to somebody with tools, and by what rules a call is right. No model judges."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from assistant.toolbox.arithmetic import solved
from assistant.toolbox.durations import seconds
from assistant.toolbox.own import RefusedError
from assistant.toolbox.sounds import Sounds
from assistant.toolbox.times import day, when
from assistant.toolbox.units import amount_of, unit
from lab.classes import sound_classes
from lab.score import spoken

COMMANDS = Path(__file__).with_name("tools.yaml")

NOW = datetime(2026, 11, 28, 14, 30)
"""When all of them are said."""

NONE = "none"
"""The section of what no tool fits."""

UNNAMED = {"", "the", "my", "a", "an", "timer", "alarm", "timers", "alarms", "for", "to", "list",
           "one", "all"}  # fmt: skip
"""Words that name nothing."""

Call = tuple[str, Mapping[str, Any]]
"""A tool's name, and arguments."""


class _Row(BaseModel):
    """A row of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str
    calls: list[dict[str, dict[str, Any]]] = []
    others: list[list[dict[str, dict[str, Any]]]] = Field(default=[], alias="or")


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that is said."""

    section: str
    """Of the file: the tool that is meant, or `none`."""

    say: str
    right: tuple[tuple[Call, ...], ...]
    """Calls that are right, in any order; each of these is."""

    def is_right(self, calls: Sequence[Call]) -> bool:
        """Whether these calls, and no others, do what was asked."""
        return any(self._are(wanted, calls) for wanted in self.right)

    def has_right_tools(self, calls: Sequence[Call]) -> bool:
        """Whether the right tools were called, whatever their arguments."""
        called = sorted(name for name, _ in calls)
        return any(called == sorted(name for name, _ in wanted) for wanted in self.right)

    def _are(self, wanted: Sequence[Call], calls: Sequence[Call]) -> bool:
        left = [*calls]
        for name, arguments in wanted:
            found = next((c for c in left if c[0] == name and self._same(arguments, c[1])), None)
            if found is None:
                return False
            left.remove(found)
        return not left

    def _same(self, wanted: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
        """Whether arguments mean the same; a name that nobody asked for must have been said."""
        for name in {*wanted, *given}:
            if name == "name":
                asked, told = _name(wanted.get(name, "")), _name(given.get(name, ""))
                if told - asked - {*spoken(self.say).split()} or asked - told:
                    return False
            elif not _alike(name, wanted.get(name), given.get(name)):
                return False
        return True


def commands(path: Path = COMMANDS) -> tuple[list[Command], list[Command]]:
    """Those that prompts are chosen by, and those that are reported: the first and the second half
    of each section.

    Raises:
        pydantic.ValidationError: a row is not as it should be.
    """
    chosen: list[Command] = []
    reported: list[Command] = []
    for section, rows in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        found = [_command(section, _Row.model_validate(row)) for row in rows]
        chosen += found[: len(found) // 2]
        reported += found[len(found) // 2 :]
    return chosen, reported


def _command(section: str, row: _Row) -> Command:
    right = tuple(
        tuple((name, arguments) for call in calls for name, arguments in call.items())
        for calls in (row.calls, *row.others)
    )
    return Command(section, row.say, right)


def _name(text: str) -> set[str]:
    return {*spoken(text).split()} - UNNAMED


def _alike(name: str, wanted: Any, given: Any) -> bool:
    """Whether two values of an argument mean the same."""
    if name == "day":
        wanted, given = wanted or "today", given or "today"
    if name == "sound" and wanted is None:
        return given in (None, "", "all", "anything", "sounds")
    if wanted is None or given is None:
        return bool(wanted == given)
    try:
        return bool(_MEANING[name](wanted) == _MEANING[name](given) is not None)
    except RefusedError:
        return False


def _words(text: Any) -> tuple[str, ...]:
    return tuple(word for word in spoken(str(text)).split() if word not in ("the", "a", "some"))


_SOUNDS = Sounds([*sound_classes().classes])

_MEANING: dict[str, Callable[[Any], Any]] = {
    "duration": seconds,
    "time": lambda text: when(text, NOW),
    "day": lambda text: day(text, NOW.date()),
    "expression": lambda text: solved(str(text)),
    "amount": amount_of,
    "from_unit": unit,
    "to_unit": unit,
    "items": lambda items: sorted(map(_words, items)),
    "list": lambda text: frozenset(_name(str(text))),
    "sound": lambda text: tuple(_SOUNDS.meant(text)),
}
"""What each argument is compared by."""
