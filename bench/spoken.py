"""From the last word of a spoken question to the first text of the answer, presets side by side.

    python -m bench.spoken [--presets nano small] [--clips 30] [--commands] [--json FILE]

Single questions of `everyday.yaml` in one voice of hibari-tts, the same share of each kind, each in
a session of its own with the endpointing of config.yaml; the presets in turn. The silence that is
waited for is in it. With --commands tools are offered, and what is asked is of the second half of
`tools.yaml`: the first text is what a tool says of its call. The peak is of the process, so it is a
preset's only where it is alone.
"""

import resource
import tempfile
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


def waits(live: Live, recorded: Recorded) -> list[float]:
    """Milliseconds that each reply to it was waited for."""
    return [wait for heard in live.talk(recorded) for wait in heard.waits_ms]


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
    found: dict[str, list[float]] = {name: [] for name in asked}
    questions = wishes(chosen.clips) if chosen.commands else every(chosen.clips, SINGLE)
    with tempfile.TemporaryDirectory() as made:
        spoken = recordings(questions, Path(), Path(made), (VOICE,))
        for number, recorded in enumerate(spoken):
            for name, live in asked.items():
                times = waits(live, recorded)
                if number:  # the first warms up
                    found[name] += times
    rows: list[dict[str, Any]] = [
        {"preset": name, "replies": len(times), "p50, ms": float(np.percentile(times, 50)),
         "p95, ms": float(np.percentile(times, 95))}
        for name, times in found.items()
    ]  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    show("Last word to first text", rows)
    show("", [{"peak, GB": peak}])
    keep(chosen, {"rows": rows, "peak, GB": peak})


if __name__ == "__main__":
    main()
