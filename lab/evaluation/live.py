"""Talking to a preset as someone in the room would: the whole session, played a recorded talk."""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from assistant.errors import ConfigError
from assistant.model import Salmonn
from assistant.prompt.prompt import instruction
from assistant.sound.recording import to_pcm16
from lab.evaluation.recorded import Recorded, room
from streaming.build import build_session, offered
from streaming.config import Config
from streaming.controls import Clock
from streaming.dialogue.session import one_each
from streaming.events import ReplyDelta, ReplyEnded
from streaming.instruments.ledger import Latency
from streaming.instruments.replay import Step, replay
from streaming.shell import Shell

BEFORE_S = 1.5
"""A quiet room before the first turn."""

AFTER_S = 5.0
"""And after each, in which the reply is given."""


CLOCK = Clock("2026-03-14T15:09:00")
"""When every talk begins, by the local time: tools tell the same time in every run."""


@dataclass(slots=True)
class Heard:
    """What came of one turn."""

    reply: str = ""
    """All that was said; of several replies one after the other."""

    waits_ms: list[float] = field(default_factory=list)
    """From the last word to the first text, of each reply."""

    calls_ms: list[float] = field(default_factory=list)
    """From the last word to the first call, of each reply that calls a function."""


class Live:
    """The preset, with its endpointing, hearing one frame at a time."""

    def __init__(self, model: Salmonn, config: Config, *, tools: bool = False) -> None:
        """Args:
        model: shared weights.
        config: of the same preset.
        tools: the preset's own are offered, as `serve` offers them; lists begin empty.

        Raises:
            ConfigError: tools are wanted, and the configuration offers none.
        """
        self.name = "live with tools" if tools else "live"
        self._model, self._config = model, config
        self._tools = offered(model, config) if tools else None
        if tools and self._tools is None:
            raise ConfigError("live with tools: this preset is offered no tools")

    def replies(self, recorded: Recorded) -> list[str]:
        """The reply of each turn."""
        return [heard.reply.strip() for heard in self.talk(recorded)]

    def talk(self, recorded: Recorded) -> list[Heard]:
        """What comes of each turn of a talk that is played to a fresh session."""
        parts, ends = [room(BEFORE_S)], []
        for turn in recorded.turns:
            parts += [turn, room(AFTER_S)]
            ends.append(sum(map(len, parts)))
        task = self._config.model.prompt.default_task
        session = build_session(
            self._model,
            self._config,
            instruction(None, None, None, task),
            tools=self._tools,
            pace=one_each,
        )
        if self._tools is not None:
            session.control(CLOCK)
        calls = Shell().calls().run
        steps: list[Step] = []
        times = [
            done
            for done in replay(session, to_pcm16(np.concatenate(parts)), trace=steps, calls=calls)
            if isinstance(done, Latency)
        ]
        waits = iter(times)
        found = [Heard() for _ in ends]
        for step in steps:
            heard = found[min(bisect_left(ends, step.at), len(ends) - 1)]
            for event in step.events:
                if isinstance(event, ReplyDelta):
                    heard.reply += event.text
                elif isinstance(event, ReplyEnded):
                    heard.reply += " "
                    spent = next(waits)
                    heard.waits_ms.append(spent.endpoint_wait_ms + spent.compute_ms)
                    if spent.call_ms:
                        heard.calls_ms.append(spent.endpoint_wait_ms + spent.call_ms)
        return found
