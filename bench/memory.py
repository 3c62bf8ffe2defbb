"""Where the memory of a preset goes, as `salmonn-live serve` has it.

    python -m bench.memory [--preset small] [--turns 6] [--sessions 2] [--json FILE]

After each part that is loaded, and after each spoken turn: what is resident then, that is memory of
its own (anonymous) and pages of files, which the system drops when it needs room; and the peak
since the row before. With voice, captions and tools, where the preset has them; every second turn
is a command of `tools.yaml`, the others ask what `everyday.yaml` asks, in one voice of hibari-tts.
Linux only.
"""

import functools
import re
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.sound.recording import to_pcm16
from bench.common import keep, parser, show
from streaming.config_file import load_config

BEFORE_S, AFTER_S = 1.5, 5.0
"""Seconds of a quiet room before the first turn, and after each."""

PARTS = {
    "assistant.model": (
        "build_llm", "build_ear", "build_tagger", "build_end_of_turn", "build_router",
    ),
    "streaming.server.build": ("has_decoder", "offered", "make_session", "load_voice"),
}  # fmt: skip
"""What loads a part, by module."""


def kilobytes(path: str, name: str) -> int:
    """A line of a file in /proc."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    assert found is not None, f"{path} has no {name}"
    return int(found[1])


class Memory:
    """What this process holds, row by row."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.peak = 0.0
        """Most that was ever resident, in MB."""

    def row(self, after: str) -> None:
        """Add a row, and begin another peak."""
        peak = kilobytes("/proc/self/status", "VmHWM") / 1000
        resident = kilobytes("/proc/self/smaps_rollup", "Rss") / 1000
        own = kilobytes("/proc/self/smaps_rollup", "Anonymous") / 1000
        self.peak = max(self.peak, peak)
        self.rows.append(
            {"after": after, "resident, MB": round(resident), "own": round(own),
             "of files": round(resident - own), "peak": round(peak)}
        )  # fmt: skip
        Path("/proc/self/clear_refs").write_text("5")

    def watched(self, module: ModuleType, name: str) -> None:
        """Add a row whenever a function of a module comes back."""
        function: Callable[..., Any] = getattr(module, name)

        @functools.wraps(function)
        def run(*given: Any, **more: Any) -> Any:
            made = function(*given, **more)
            self.row(name)
            return made

        setattr(module, name, run)


def spoken(turns: int) -> bytes:
    """A talk of so many turns, questions and commands by turns, as PCM."""
    from bench.spoken import VOICE, wishes
    from lab.evaluation.everyday import Talk
    from lab.evaluation.recorded import recordings, room
    from lab.evaluation.talks import SINGLE, every

    half = -(-turns // 2)
    pairs = zip(every(half, SINGLE), wishes(half), strict=True)
    asked = [talk.turns[0] for pair in pairs for talk in pair][:turns]
    with tempfile.TemporaryDirectory() as made:
        talk = Talk("memory", tuple(asked))
        (recorded,) = recordings([talk], Path(), Path(made), (VOICE,))
    parts = [room(BEFORE_S)]
    for turn in recorded.turns:
        parts += [turn, room(AFTER_S)]
    return to_pcm16(np.concatenate(parts))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="small", help="whose memory")
    options.add_argument("--turns", type=int, default=6, help="of a session")
    options.add_argument("--sessions", type=int, default=2, help="one after the other")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    memory = Memory()
    memory.row("imports")
    talk_to(chosen.preset, chosen.turns, chosen.sessions, memory)
    show(f"Memory of {chosen.preset}", memory.rows)
    show("", [{"peak, MB": memory.peak}])
    keep(chosen, {"rows": memory.rows, "peak, MB": memory.peak})


def talk_to(preset: str, turns: int, sessions: int, memory: Memory) -> None:
    """Load a preset and talk to it, one session after the other."""
    import importlib

    for module, names in PARTS.items():
        for name in names:
            memory.watched(importlib.import_module(module), name)
    from assistant.model import load
    from assistant.prompt.prompt import instruction
    from streaming.controls import Clock
    from streaming.events import ReplyDelta, ToolCalled
    from streaming.instruments.ledger import Latency
    from streaming.instruments.replay import replay
    from streaming.server.build import build_assistant
    from streaming.shell import Shell

    config = load_config(shipped_config(), preset)
    model = load(config.model)
    words, shell = instruction(None, None, None, config.model.prompt.default_task), Shell()
    assistant = build_assistant(model, config, words, shell)
    memory.row("ready")
    with get_context("spawn").Pool(1) as other:  # their synthesiser's memory is not ours
        pcm = other.apply(spoken, (turns,))
    said = ""
    for number in range(1, sessions + 1):
        session = assistant.new_session()
        session.control(Clock("2026-03-14T15:09:00"))
        calls = assistant.new_calls()
        turn = 0
        for event in replay(session, pcm, calls=None if calls is None else calls.run):
            if isinstance(event, ReplyDelta):
                said += event.text
            elif isinstance(event, ToolCalled):
                said += f"[{event.name}]"
            elif isinstance(event, Latency):
                turn += 1
                print(number, turn, said, event)
                said = ""
                memory.row(f"session {number}, turn {turn}")


if __name__ == "__main__":
    main()
