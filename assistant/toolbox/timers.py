"""Timers and alarms: several, named, on the audio clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from assistant.rates import SAMPLE_RATE
from assistant.toolbox.durations import seconds, spoken
from assistant.toolbox.own import Moment, OwnTool, RefusedError, parameters, text
from assistant.toolbox.times import local, said, said_day, when
from assistant.tools.tool import Tool

MOST = 50
"""Timers and alarms at once."""

UNNAMED = ("timer", "alarm", "the", "my", "a", "another", "new")
"""Words that are no part of a timer's name."""

LONGEST_S = 366 * 86_400
"""Seconds that one may run."""


@dataclass(frozen=True, slots=True)
class Timer:
    """What rings at a given sample."""

    due: int
    """Sample of the stream."""

    name: str
    """As it was asked for; empty: it has none."""

    kind: str
    """`timer` or `alarm`."""

    told: str
    """What was asked for, in words: how long, or for when."""


class Timers:
    """The timers and alarms of a session; as sound comes, `due` tells those that ring."""

    def __init__(self, started: datetime | None) -> None:
        """`started`: local time at the stream's first sample; None: not known yet."""
        self.started = started
        self.running: list[Timer] = []
        """In the order in which they are due."""

        self.ringing: list[Timer] = []
        """Those that were due and not stopped."""

    def due(self, at: int) -> list[Timer]:
        """Those that ring from now on, the earliest first: due at sample `at` or before, each told
        once."""
        rung = [timer for timer in self.running if timer.due <= at]
        self.running = self.running[len(rung) :]
        self.ringing += rung
        return rung

    def tools(self) -> list[OwnTool]:
        """What an LLM may ask of them."""
        name = text("What it is called, if it was given a name.")
        return [
            OwnTool(
                Tool(
                    "set_timer",
                    "Start a countdown timer: tell the user when a length of time is over.",
                    parameters(
                        ["duration"],
                        duration=text("How long, in the user's words, such as ten minutes."),
                        name=name,
                    ),
                ),
                self._set_timer,
            ),
            OwnTool(
                Tool(
                    "set_alarm",
                    "Set an alarm or a wake-up call for a time of day.",
                    parameters(
                        ["time"],
                        time=text(
                            "When, in the user's words, such as half past seven tomorrow morning."
                        ),
                        name=name,
                    ),
                ),
                self._set_alarm,
            ),
            OwnTool(
                Tool(
                    "check_timers",
                    "Tell which timers and alarms are set, and how long they have left.",
                    parameters(name=name),
                ),
                self._left,
            ),
            OwnTool(
                Tool(
                    "stop_timer",
                    "Stop, cancel or silence a timer or an alarm.",
                    parameters(name=name),
                ),
                self._stop,
            ),
        ]

    def _set_timer(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        asked = arguments["duration"]
        length = seconds(asked)
        if length is None:
            raise RefusedError(f"{asked!r:.60} is not a length of time I understand.")
        if not 1 <= length <= LONGEST_S:
            raise RefusedError("A timer runs for one second at least and a year at most.")
        told = spoken(length)
        self._add(moment.at + round(length * SAMPLE_RATE), arguments, "timer", told)
        return _shown("timer", _name(arguments), rings_in=told)

    def _set_alarm(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        asked, now = arguments["time"], local(self.started, moment.at)
        time = when(asked, now)
        if time is None:
            raise RefusedError(f"{asked!r:.60} is not a time to come that I understand.")
        if (time - now).total_seconds() > LONGEST_S:
            raise RefusedError("An alarm is set for a year ahead at most.")
        told = said(time)
        if time.date() != now.date():
            told += f" on {said_day(time.date())}"
        assert self.started is not None, "`local` asks for it"
        due = (time - self.started) // timedelta(microseconds=1) * SAMPLE_RATE // 1_000_000
        self._add(due, arguments, "alarm", told)
        left = spoken(int((time - now).total_seconds()))
        return _shown("alarm", _name(arguments), time=told, rings_in=left)

    def _add(self, due: int, arguments: dict[str, Any], kind: str, told: str) -> None:
        if len(self.running) >= MOST:
            raise RefusedError(f"There are {MOST} timers already; stop one first.")
        timer = Timer(due, _name(arguments), kind, told)
        self.running = sorted([*self.running, timer], key=lambda timer: timer.due)

    def _left(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        found = self._chosen(self.running, arguments)
        return {
            "running": [
                _shown(
                    timer.kind,
                    timer.name,
                    set_for=timer.told,
                    left=spoken(max(0, timer.due - moment.at) // SAMPLE_RATE),
                )
                for timer in found
            ]
        }

    def _stop(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        found = self._chosen([*self.ringing, *self.running], arguments)
        ringing = [timer for timer in found if timer in self.ringing]
        stopped = ringing if ringing and not arguments.get("name") else found
        self.running = [timer for timer in self.running if timer not in stopped]
        self.ringing = [timer for timer in self.ringing if timer not in stopped]
        return {
            "stopped": [_shown(timer.kind, timer.name, set_for=timer.told) for timer in stopped]
        }

    def _chosen(self, among: list[Timer], arguments: dict[str, Any]) -> list[Timer]:
        """Those that are meant: by name, by kind, by what they were set for, or all."""
        if not among:
            raise RefusedError("No timer or alarm is running.")
        wanted = {*arguments.get("name", "").lower().split()} - {"the", "my", "all", "every"}
        kinds = {word.rstrip("s") for word in wanted} & {"timer", "alarm"}
        named = {word for word in wanted if word.rstrip("s") not in kinds}
        found = [timer for timer in among if not kinds or timer.kind in kinds]
        length = seconds(" ".join(word for word in arguments.get("name", "").lower().split()
                                  if word in named))  # fmt: skip
        if named:
            found = [timer for timer in found if _is_meant(timer, named, length)]
        if not found:
            raise RefusedError(f"No timer or alarm is called {arguments.get('name', '')!r:.60}.")
        return found


def _name(arguments: dict[str, Any]) -> str:
    """What a timer is called: `my pasta timer` and `pasta` are one."""
    words = arguments.get("name", "").replace("_", " ").split()
    return " ".join(word for word in words if word.lower() not in UNNAMED)


def _is_meant(timer: Timer, named: set[str], length: Fraction | None) -> bool:
    """Whether words name a timer, or say how long it was set for."""
    same_length = length is not None and length == seconds(timer.told)
    return same_length or named <= {*f"{timer.name} {timer.told}".lower().split()}


def _shown(kind: str, name: str, **more: str) -> dict[str, Any]:
    named = {"name": name.strip()} if name.strip() else {}
    return {"kind": kind, **named, **more}
