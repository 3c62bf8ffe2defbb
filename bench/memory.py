"""Where the memory of a preset goes, as `salmonn-live serve` has it.

    python -m bench.memory [--preset small] [--turns 6] [--sessions 2] [--json FILE]

After each part that is loaded, and after each spoken turn: what is resident then, of that what is
its own (anonymous) and what are pages of files, which the system drops when it needs room; and the
peak since the row before. Sessions have a voice, captions, and the preset's tools. Every second
turn is a command of `tools.yaml`, the others ask what `everyday.yaml` asks, in one voice of
hibari-tts. The file of --json has the replies, too. Linux only.
"""

import functools
import importlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.sound.recording import to_pcm16
from bench.common import keep, parser, show, without
from streaming.config_file import load_config

PARTS = {
    "assistant.model": (
        "build_llm", "build_ear", "build_tagger", "build_end_of_turn", "build_router",
    ),
    "streaming.server.build": ("has_decoder", "offered", "make_session", "load_voice"),
}  # fmt: skip
"""What loads a part, by module."""

BEFORE_S, AFTER_S = 1.5, 5.0
"""Seconds of a quiet room before the first turn, and after each."""


def megabytes(path: str, name: str) -> float:
    """What a line of a file in /proc says."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    assert found is not None, f"{path} has no {name}"
    return int(found[1]) * 1024 / 1e6


class Memory:
    """What this process holds, row by row."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def row(self, after: str, said: str = "") -> None:
        """Add a row, and begin another peak."""
        peak = megabytes("/proc/self/status", "VmHWM")
        resident = megabytes("/proc/self/smaps_rollup", "Rss")
        own = megabytes("/proc/self/smaps_rollup", "Anonymous")
        self.rows.append(
            {"after": after, "resident, MB": round(resident), "own": round(own),
             "of files": round(resident - own), "peak": round(peak), "said": said}
        )  # fmt: skip
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now

    def watch(self, module: str, name: str) -> None:
        """Add a row whenever a function of a module has come back."""
        place = importlib.import_module(module)
        function: Callable[..., Any] = getattr(place, name)

        @functools.wraps(function)
        def run(*given: Any, **more: Any) -> Any:
            made = function(*given, **more)
            self.row(name)
            return made

        setattr(place, name, run)


def spoken(turns: int) -> bytes:
    """A talk of so many turns, questions and commands in turn, as PCM16."""
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


def replies(preset: str, pcm: bytes, sessions: int, memory: Memory) -> Iterator[tuple[str, str]]:
    """Load a preset and play a talk to it, in one session after the other: which turn was
    answered, and how."""
    from assistant.model import load
    from assistant.prompt.prompt import instruction
    from streaming.controls import Clock
    from streaming.events import ReplyDelta, ToolCalled
    from streaming.instruments.ledger import Latency
    from streaming.instruments.replay import replay
    from streaming.server.build import build_assistant

    memory.row("imports")
    config = load_config(shipped_config(), preset)
    config = replace(config, turns=config.turns.model_copy(update={"captions": True}))
    words = instruction(None, None, None, config.model.prompt.default_task)
    assistant = build_assistant(load(config.model), config, words)
    memory.row("ready")
    for number in range(1, sessions + 1):
        session, calls = assistant.new_session(), assistant.new_calls()
        session.control(Clock("2026-03-14T15:09:00"))
        said, turn = "", 0
        for event in replay(session, pcm, calls=None if calls is None else calls.run):
            if isinstance(event, ReplyDelta):
                said += event.text
            elif isinstance(event, ToolCalled):
                said += f"[{event.name} {event.arguments}] "
            elif isinstance(event, Latency):
                turn += 1
                yield f"session {number}, turn {turn}", said
                said = ""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="small", help="whose memory")
    options.add_argument("--turns", type=int, default=6, help="of a session")
    options.add_argument("--sessions", type=int, default=2, help="one after the other")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    with get_context("spawn").Pool(1) as other:  # what makes the recordings is not measured
        pcm = other.apply(spoken, (chosen.turns,))
    memory = Memory()
    for module, names in PARTS.items():
        for name in names:
            memory.watch(module, name)
    for after, said in replies(chosen.preset, pcm, chosen.sessions, memory):
        memory.row(after, said)
    show(f"Memory of {chosen.preset}", without("said", memory.rows))
    peak = max(row["peak"] for row in memory.rows) / 1000
    show("", [{"peak, GB": peak}])
    keep(chosen, {"rows": memory.rows, "peak, GB": peak})


if __name__ == "__main__":
    main()
