"""From the last word of a spoken question to the first text of the answer, presets side by side.

    python -m bench.spoken [--presets nano small] [--clips 30] [--commands] [--json FILE]

Single questions of `everyday.yaml` in one voice of hibari-tts, the same share of each kind, each in
a session of its own with the endpointing of config.yaml; the presets in turn. The silence that is
waited for is in it. With --commands tools are offered, and what is asked is of the second half of
`tools.yaml`: the first text is what a tool says of its call, and the time to the call itself is
told, too. The peak is of the process, so it is a preset's only where it is alone.
"""

import resource
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.model import load
from bench.common import keep, parser, show
from lab.corpora.voices import Voice
from lab.evaluation.commands import NONE, commands
from lab.evaluation.everyday import Asked, Talk
from lab.evaluation.live import Live
from lab.evaluation.recorded import Recorded, recordings
from lab.evaluation.talks import SINGLE, every
from streaming.config_file import load_config

VOICE = Voice("hibari", "heart")


@dataclass(slots=True)
class Waits:
    """Milliseconds from the last word on."""

    text: list[float] = field(default_factory=list)
    """To the first text of each reply."""

    call: list[float] = field(default_factory=list)
    """To the first call, of each reply that calls a function."""

    def add(self, live: Live, recorded: Recorded) -> None:
        """Ask, and wait."""
        for heard in live.talk(recorded):
            self.text += heard.waits_ms
            self.call += heard.calls_ms


def row(preset: str, what: str, times: list[float]) -> dict[str, Any]:
    """Of the table that is shown."""
    p50, p95 = np.percentile(times, [50, 95])
    return {"preset": preset, "to": what, "replies": len(times), "p50, ms": p50, "p95, ms": p95}


def wishes(clips: int) -> list[Talk]:
    """Commands of all tools, at most so many."""
    said = [command for command in commands()[1] if command.section != NONE]
    return [
        Talk("commands", (Asked(ask=[command.say], any=["is"]),))
        for command in said[:: -(-len(said) // clips)]
    ]


def main() -> None:
    options = parser(__doc__, clips=30)
    options.add_argument("--presets", nargs="+", default=["nano", "small"], help="who answers")
    options.add_argument("--commands", action="store_true", help="ask for tools, which are offered")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    configs = {name: load_config(shipped_config(), name) for name in chosen.presets}
    asked = {
        name: Live(load(config.model), config, tools=chosen.commands)
        for name, config in configs.items()
    }
    found = {name: Waits() for name in asked}
    questions = wishes(chosen.clips) if chosen.commands else every(chosen.clips, SINGLE)
    with tempfile.TemporaryDirectory() as made:
        spoken = recordings(questions, Path(), Path(made), (VOICE,))
        for number, recorded in enumerate(spoken):
            for name, live in asked.items():
                (found[name] if number else Waits()).add(live, recorded)  # the first warms up
    rows = [
        row(name, what, times)
        for name, waits in found.items()
        for what, times in (("call", waits.call), ("first text", waits.text))
        if times
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    show("From the last word", rows)
    show("", [{"peak, GB": peak}])
    keep(chosen, {"rows": rows, "peak, GB": peak})


if __name__ == "__main__":
    main()
