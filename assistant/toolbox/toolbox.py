"""All tools of ours in one place: what they are, and what a call of one gives."""

import json
from collections.abc import Sequence
from datetime import datetime

from assistant.ear.noticing import Sound
from assistant.errors import AssistantError
from assistant.toolbox.arithmetic import CALCULATE
from assistant.toolbox.clock import Clock
from assistant.toolbox.lists import Lists, Store
from assistant.toolbox.own import Moment, OwnTool, RefusedError
from assistant.toolbox.sounds import Sounds
from assistant.toolbox.timers import Timer, Timers
from assistant.toolbox.units import CONVERT
from assistant.toolbox.watch import Noticed, Watches
from assistant.tools.tool import Tool, ToolCall


class Toolbox:
    """The tools of one session."""

    def __init__(self, started: datetime | None, store: Store, sounds: Sequence[str]) -> None:
        """Args:
        started: local time at the stream's first sample; None: `start` will tell.
        store: of lists and notes.
        sounds: that can be told apart: names of the tagger's classes.
        """
        known = Sounds(sounds)
        self._timers, self._watches, self._clock = Timers(None), Watches(known), Clock(None)
        if started is not None:
            self.start(started)
        own = [
            *self._timers.tools(),
            *self._clock.tools(),
            CALCULATE,
            CONVERT,
            *Lists(store).tools(),
            *known.tools(),
            *self._watches.tools(),
        ]
        self._own: dict[str, OwnTool] = {one.tool.name: one for one in own}

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Those that may be called."""
        return tuple(one.tool for one in self._own.values())

    def start(self, started: datetime) -> None:
        """Local time at the stream's first sample is this."""
        self._timers.started = self._clock.started = started.replace(tzinfo=None)

    def call(self, call: ToolCall, moment: Moment) -> str:
        """Do what a call asks.

        Args:
            call: its arguments fit the tool's schema.
            moment: when, and what was heard until then.

        Returns:
            JSON text for the LLM to read. Where it cannot be done, `error` in it is a sentence that
            says so.
        """
        try:
            if call.name not in self._own:
                raise RefusedError(f"There is no tool called {call.name}.")
            given = self._own[call.name].run(call.values(), moment)
        except (RefusedError, AssistantError) as error:
            given = {"error": str(error)}
        return json.dumps(given, ensure_ascii=False)

    def hear(self, sounds: Sequence[Sound]) -> list[Noticed]:
        """What was waited for, and came true by sounds that were heard; one that goes on comes
        again, with a later end."""
        return self._watches.push(sounds)

    def due(self, at: int) -> list[Timer]:
        """Timers and alarms that ring from now on, due at sample `at` or before; each told once."""
        return self._timers.due(at)
