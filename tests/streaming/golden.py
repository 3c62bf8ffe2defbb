"""Golden recordings: sessions of the tiny model on real speech. `make golden` writes them anew.

    python -m tests.streaming.golden

They are read as text: events between the audio they came from, one line each.
"""

from functools import cache
from pathlib import Path

from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load
from assistant.sound import recording
from streaming.build import make_session, session_spec, spec_of_tape
from streaming.config import Config
from streaming.config_file import load_config
from streaming.controls import Ask, Cancel, Commit, Control, Forget, Write
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA
from streaming.tape.tape import Recorder, Tape, read_tape

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "golden"
INSTRUCTION = "Transcribe the speech."
CHUNK = 3200
"""Bytes that come at once: 100 ms."""


def spoken(first_s: float, last_s: float) -> bytes:
    samples = recording.load(ROOT / "demo" / "kitchen.flac")
    return recording.to_pcm16(samples[round(16_000 * first_s) : round(16_000 * last_s)])


SCENES: dict[str, tuple[dict[str, object], list[bytes | Control]]] = {
    "typed": ({}, [spoken(0, 1), Ask("What was that?"), bytes(6400), Cancel()]),
    # the second utterance comes under the reply to the first, and goes on with its turn
    "interrupted": ({}, [spoken(0.5, 3.5), spoken(5.0, 6.5)]),
    "written": (
        {},
        [
            Write("Be brief.", ref="a"),
            spoken(0.5, 1.5),
            Write("What was that?", ref="b"),
            Commit(or_ring=True),
            bytes(32_000),
            Forget(ref="a"),
            Write("And now?", ref="c"),
            Commit(or_ring=True, kept=False),
        ],
    ),
    "by-hand": ({"detector": "manual"}, [spoken(1, 2), Commit(), spoken(2, 2.5), Commit()]),
}
"""Changes to endpointing, and what comes in."""


@cache
def tiny() -> Salmonn:
    return load(load_preset(shipped_config(), "tiny")[1])


def settings(changes: dict[str, object]) -> Config:
    config = load_config(shipped_config(), "tiny")
    endpointing = config.endpointing.model_copy(
        # webrtcvad counts in integers: its decisions are the same on every machine
        update={"detector": "webrtc", "min_silence_frames": 12, "pause_frames": 6, **changes}
    )
    return Config(config.preset, config.model, endpointing, config.turns)


def session_of(tape: Tape) -> Session:
    return make_session(tiny(), spec_of_tape(tape), pace=tape.pace)


def read(name: str) -> Tape:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return read_tape(lines)


def record(name: str) -> str:
    changes, script = SCENES[name]
    config = settings(changes)
    spec = session_spec(tiny(), config, INSTRUCTION)
    lines: list[str] = []
    recorder = Recorder(make_session(tiny(), spec), spec.head(), lines.append, lambda: 0.0)
    for piece in script:
        if not isinstance(piece, bytes):
            recorder.control(piece)
            continue
        for at in range(0, len(piece), CHUNK):
            recorder.receive(piece[at : at + CHUNK])
            for _ in range(12):  # a slow machine: replies take longer than a chunk
                recorder.step()
    recorder.receive_eof()
    while recorder.step() is not NEED_DATA:
        pass
    recorder.close()
    return "".join(lines)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SCENES:
        (FOLDER / f"{name}.jsonl").write_text(record(name))
