"""`record`, and `replay` of its tapes."""

import json
from pathlib import Path

import pytest
import soundfile

from tests.cli.call import Call


def test_a_tape_is_recorded_and_replayed(call: Call, recording: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    samples, rate = soundfile.read(recording)
    soundfile.write(recording, samples[: rate // 2], rate)
    words = "What\u2028was\u2029that\x85?"
    code, _, err = call("record", recording, tape, "--preset", "tiny", "--instruction", words)
    assert (code, err) == (0, "")
    assert call("replay", tape)[0] == 0
    head, rest = tape.read_text(encoding="utf-8").split("\n", 1)
    told = json.loads(head)
    assert told["instruction"] == words
    told["model"]["generation"]["max_new_tokens"] = 3
    told["weights"]["llm"] = "toy:4"
    event = json.dumps({"out": {"type": "other"}, "ms": 0.0})
    tape.write_text("\n".join([json.dumps(told), rest + event]), encoding="utf-8")
    code, _, err = call("replay", tape)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"salmonn-live: {tape}: other events than those on the tape; the tape was made with other "
        "weights: llm ('toy:4', now 'toy:3'); the tape was made with other settings: "
        "generation.max_new_tokens (3, now 24)"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not a tape (byte 0 is not UTF-8)"),
        (b'{"tape": 1}\n' + b"[" * 50_000, "line 2: nested too deep"),
    ],
)
def test_what_is_no_tape_is_one_line(
    call: Call, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "t.jsonl").write_bytes(content)
    code, _, err = call("replay", tmp_path / "t.jsonl")
    assert (code, err) == (1, f"salmonn-live: {tmp_path / 't.jsonl'}: {message}\n")


def test_a_tape_that_cannot_be_written_is_one_line(
    call: Call, recording: Path, tmp_path: Path
) -> None:
    tape = tmp_path / "no" / "tape.jsonl"
    code, _, err = call("record", recording, tape, "--preset", "tiny")
    assert (code, err) == (1, f"salmonn-live: {tape}: No such file or directory\n")
