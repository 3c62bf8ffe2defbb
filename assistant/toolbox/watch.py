"""A standing watch: sounds that somebody wants to be told of, once or always."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.durations import seconds, spoken
from assistant.toolbox.own import Moment, OwnTool, RefusedError, parameters, text
from assistant.toolbox.sounds import Sounds
from assistant.tools.tool import Tool

UNSAID = ("", "now", "always", "forever", "any time", "ever", "none")
"""Lengths of time that a small LLM writes where none was said."""

MOST = 20
"""Watches at once."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is waited for."""

    names: tuple[str, ...]
    """Of the classes of sound, any of them."""

    times: int = 1
    """How often one has to begin."""

    within: int | None = None
    """Samples in which that has to be; None: however long it takes."""

    lasting: int = 0
    """Samples that each has to go on."""

    message: str = ""
    """What is said then; empty: the name of the sound."""

    always: bool = False
    """It is waited for again afterwards."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """A condition that came true."""

    at: int
    """Sample of the stream."""

    sound: Sound
    """The last one that it took."""

    condition: Condition


class Watch:
    """Waits for one condition: push(a) + push(b) is push(a + b)."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self.reset()

    @property
    def over(self) -> bool:
        """It came true, and is not waited for again."""
        return self._over

    def push(self, sounds: Sequence[Sound]) -> list[Noticed]:
        """Sounds that were heard, in the order in which they were noticed; one that goes on comes
        again, with a later end."""
        return [found for sound in sounds for found in self._heard(sound)]

    def flush(self) -> list[Noticed]:
        """The end of the stream: what is not true yet will not be. It is as new."""
        self.reset()
        return []

    def reset(self) -> None:
        """As new."""
        self._over = False
        self._counted: list[Sound] = []  # those that count, since it came true last
        self._last: dict[str, int] = {}  # by name, beginning of the one counted last

    def _heard(self, sound: Sound) -> list[Noticed]:
        wanted = self._condition
        known = self._last.get(sound.name, -1) >= sound.begin
        short = sound.end - sound.begin < wanted.lasting
        if self._over or known or short or sound.name not in wanted.names:
            return []
        self._last[sound.name] = sound.begin
        since = None if wanted.within is None else sound.begin - wanted.within
        kept = [one for one in self._counted if since is None or one.begin >= since]
        self._counted = [*kept, sound][-wanted.times :]
        if len(self._counted) < wanted.times:
            return []
        self._counted, self._over = [], not wanted.always
        return [
            Noticed(sound.begin + wanted.lasting if wanted.lasting else sound.end, sound, wanted)
        ]


class Watches:
    """All watches of a session."""

    def __init__(self, sounds: Sounds) -> None:
        """`sounds`: that can be told apart."""
        self._sounds = sounds
        self._watches: list[tuple[Condition, Watch]] = []

    @property
    def conditions(self) -> list[Condition]:
        """What is waited for."""
        return [condition for condition, _ in self._watches]

    def push(self, sounds: Sequence[Sound]) -> list[Noticed]:
        """As `Watch.push`, of all; those that are over are forgotten."""
        found = []
        for sound in sounds:
            for _, watch in self._watches:
                found += watch.push([sound])
            self._watches = [(told, watch) for told, watch in self._watches if not watch.over]
        return found

    def tools(self) -> list[OwnTool]:
        """What an LLM may ask of them."""
        sound = text("Which sound, such as dog barking.")
        return [
            OwnTool(
                Tool(
                    "watch",
                    "Listen for a sound from now on, and tell the user when it is heard.",
                    parameters(
                        ["sound"],
                        sound=sound,
                        times={
                            "type": "integer", "minimum": 1, "maximum": 100,
                            "description": "How often it has to be heard; usually once.",
                        },
                        within=text("In what time, such as one hour, if that was said."),
                        lasting=text("How long it has to go on, if that was said."),
                        message=text("What to say then, if that was said."),
                        always={
                            "type": "boolean",
                            "description": "Tell every time, not only the first.",
                        },
                    ),
                ),
                self._watch,
            ),
            OwnTool(
                Tool(
                    "stop_watching",
                    "Stop listening for a sound.",
                    parameters(sound=text("Which sound; left out for all.")),
                ),
                self._stop,
            ),
        ]  # fmt: skip

    def _watch(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        names = self._sounds.meant(arguments["sound"])
        if len(self._watches) >= MOST:
            raise RefusedError(f"I listen for {MOST} things already.")
        within, lasting = _samples(arguments, "within"), _samples(arguments, "lasting")
        condition = Condition(
            tuple(names),
            arguments.get("times", 1),
            within or None,
            lasting,
            arguments.get("message", "").strip(),
            arguments.get("always", False),
        )
        self._watches.append((condition, Watch(condition)))
        return {"listening_for": names, **_told(condition)}

    def _stop(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        if not self._watches:
            raise RefusedError("I listen for nothing in particular.")
        asked = arguments.get("sound", "").strip()
        names = {*self._sounds.meant(asked)} if asked else None
        kept = [(c, w) for c, w in self._watches if names is not None and not names & {*c.names}]
        stopped = [
            condition for condition in self.conditions if condition not in {c for c, _ in kept}
        ]
        if not stopped:
            raise RefusedError(f"I do not listen for {asked!r:.40}.")
        self._watches = kept
        return {"stopped": [", ".join(condition.names) for condition in stopped]}


def _samples(arguments: dict[str, Any], name: str) -> int:
    asked = arguments.get(name, "").strip()
    if asked.lower() in UNSAID:
        return 0
    length = seconds(asked)
    if length is None:
        raise RefusedError(f"{asked!r:.60} is not a length of time I understand.")
    return round(length * SAMPLE_RATE)


def _told(condition: Condition) -> dict[str, Any]:
    told: dict[str, Any] = {"times": condition.times}
    if condition.within is not None:
        told["within"] = spoken(condition.within // SAMPLE_RATE)
    if condition.lasting:
        told["lasting"] = spoken(condition.lasting // SAMPLE_RATE)
    return {**told, "always": condition.always}
