"""Makes talk.jsonl from talk.txt: a tape of the preset small, as if that talk had been had with it.

pip install 'salmonn-live[bench]' && python demo/talk.py

Lines of talk.txt are said by the voice of evening.py; a name in brackets is the sound of that file,
and what follows "> " is typed. One thread, so that sums are the same however many cores there are.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import torch
from evening import HERE, played

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.prompt import instruction
from assistant.sound.recording import to_pcm16
from streaming.build import make_session, offered, session_spec
from streaming.config import Config
from streaming.config_file import load_config
from streaming.controls import Clock, Commit, Control, Write
from streaming.dialogue.work import NEED_DATA
from streaming.instruments.replay import run_calls
from streaming.shell import Shell
from streaming.tape.tape import Recorder

TYPED = "> "
CHUNK = 6400
"""Bytes that come at once: 200 ms."""

BEGINS = Clock("2026-11-28T19:00:00.000")


def inputs(lines: list[str]) -> Iterator[bytes | Control]:
    """What comes in: audio, and typed questions, each of which is answered at once."""
    for typed, group in groupby(lines, lambda line: line.startswith(TYPED)):
        if not typed:
            pcm = to_pcm16(played(list(group)).astype("float32"))
            yield from (pcm[at : at + CHUNK] for at in range(0, len(pcm), CHUNK))
            continue
        for line in group:
            yield Write(line.removeprefix(TYPED), ref=line)
            yield Commit(or_ring=True)


def recorded(model: Salmonn, config: Config, lines: list[str]) -> str:
    """The tape of a talk."""
    words = instruction(None, None, None, config.model.prompt.default_task)
    shell = Shell()
    tools = offered(model, config, shell.functions.values())
    spec = session_spec(model, config, words, tools=tools)
    calls = shell.calls().run
    tape: list[str] = []
    recorder = Recorder(make_session(model, spec), spec.head(), tape.append, lambda: 0.0)

    def work() -> None:
        while (events := recorder.step()) is not NEED_DATA:
            run_calls(recorder, calls, events)

    recorder.control(BEGINS)
    for piece in inputs(lines):
        if isinstance(piece, bytes):
            recorder.receive(piece)
        else:
            recorder.control(piece)
        work()
    recorder.receive_eof()
    work()
    recorder.close()
    return "".join(tape)


def main() -> None:
    """Write the tape."""
    torch.set_num_threads(1)
    config = load_config(shipped_config(), "small")
    lines = Path(HERE / "talk.txt").read_text().splitlines()
    (HERE / "talk.jsonl").write_text(recorded(load(config.model), config, lines))


if __name__ == "__main__":
    main()
