"""What was recorded comes out again to the byte, however it is cut and however fast."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.controls import Ask, Cancel, Clear, Commit, Configure, Control, Forget, Hold
from streaming.event_json import to_json
from streaming.events import Event, ReplyEnded
from streaming.session import Pace, Session
from streaming.tape import Recorder, Tape, TapeError, play, read_tape
from streaming.work import NEED_DATA
from tests.streaming import golden
from tests.streaming.fakes import TURNS, pcm, session

WAITING = TURNS.model_copy(update={"auto_reply": False, "captions": True})
controls = st.sampled_from(
    [
        Ask("What?"),
        Cancel(),
        Commit(),
        Commit("Count."),
        Commit(or_ring=True, ref="r"),
        Hold(),
        Clear(),
        Configure(turns=WAITING),
        Configure(instruction="Else.", turns=TURNS, max_new_tokens=9),
        Forget(3, "answer", 0, 16_000),
    ]
)
runs = st.tuples(st.integers(1, 14), st.integers(0, 16)).map(lambda r: pcm("S" * r[0] + "." * r[1]))
scripts = st.lists(st.one_of(runs, runs, controls), max_size=8)
CAPTIONED = TURNS.model_copy(update={"captions": True})


def live(script: list[bytes | Control], steps: list[int], by_hand: bool) -> tuple[list[str], Tape]:
    """A live session that finds time for so many steps between pieces: events and tape."""
    lines: list[str] = []
    recorder = Recorder(made(None, by_hand), {}, lines.append, lambda: float(len(lines)))
    events: list[Event] = []

    def work(most: int) -> None:
        for _ in range(most):
            new = recorder.step()
            if new is NEED_DATA:
                break
            events.extend(new)

    for piece, often in zip(script, steps, strict=True):
        if isinstance(piece, bytes):
            recorder.receive(piece)
        else:
            recorder.control(piece)
        work(often)
    recorder.receive_eof()
    work(10_000)
    recorder.close()
    return [to_json(event) for event in events], read_tape(lines)


def made(pace: Pace | None, by_hand: bool) -> Session:
    return session(turns=CAPTIONED, pace=pace, by_hand=by_hand)


@settings(max_examples=200)
@given(scripts, st.data(), st.booleans(), st.integers(0, 9))
def test_a_tape_gives_the_same_events_again(
    script: list[bytes | Control], data: st.DataObject, by_hand: bool, seed: int
) -> None:
    times = st.lists(st.integers(0, 60), min_size=len(script), max_size=len(script))
    events, tape = live(script, data.draw(times), by_hand)
    assert tape.events == events
    for version in (tape, tape.recut(seed)):
        again = [to_json(event) for event in play(version, made(version.pace, by_hand))]
        assert again == events


def test_where_a_reply_was_interrupted_depends_on_the_pace_on_the_tape() -> None:
    script: list[bytes | Control] = [pcm("SSSS" + "." * 8), pcm("S" * 8 + "." * 8)]
    interrupted, tape = live(script, [22, 1000], by_hand=False)
    ends = [json.loads(line) for line in interrupted if "reply.ended" in line]
    assert (ends[0]["tokens"], ends[0]["reason"]) == (1, "interrupted")
    again = list(play(tape, made(tape.pace, by_hand=False)))
    assert next(event for event in again if isinstance(event, ReplyEnded)).tokens == 1


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([], "line 1: nothing there"),
        (['{"tape": 2}'], "line 1: not a tape of version 1"),
        (['{"type": "speech.started"}'], "line 1: not a tape"),
        (["RIFF"], "line 1: Expecting value"),
        (["[1]"], "line 1: no object"),
        (['{"tape": 1}', '{"in": "audio", "ms": 1, "data": "*"}'], "line 2"),
        (['{"tape": 1}', '{"in": "ask", "ms": 1}'], "line 2: .*Ask\ntext"),
        (['{"tape": 1}', '{"in": "sing", "ms": 1}'], "line 2: 'sing'"),
        (['{"tape": 1}', '{"in": "cancel", "ms": "soon"}'], "line 2: ms: 'soon' is no number"),
        (['{"tape": 1}', '{"in": "end"}', '{"wrong": 1}'], "line 3: unknown line with wrong"),
    ],
)
def test_a_line_that_is_wrong_is_named(lines: list[str], error: str) -> None:
    with pytest.raises(TapeError, match=error):
        read_tape(lines)


def test_a_tape_that_broke_off_does_not_end_the_session() -> None:
    _, tape = live([pcm("SSSS")], [99], by_hand=False)
    assert tape.ended
    broken = Tape(tape.head, tape.inputs)
    assert not any(isinstance(e, ReplyEnded) for e in play(broken, made(broken.pace, False)))


def test_what_the_golden_tapes_are_about() -> None:
    folder = Path(__file__).parents[1] / "golden"
    ends = {
        path.stem: [json.loads(e)["reason"] for e in events if '"reply.ended"' in e]
        for path in folder.glob("*.jsonl")
        for events in [read_tape(path.read_text().splitlines()).events]
    }
    assert ends == {
        "typed": ["cancelled"],
        "interrupted": ["interrupted", "complete"],
        "by-hand": ["limit", "complete"],
    }


@pytest.mark.parametrize("name", golden.SCENES)
def test_golden(name: str) -> None:
    path = Path(__file__).parents[1] / "golden" / f"{name}.jsonl"
    tape = read_tape(path.read_text().splitlines())
    for version in (tape, tape.recut(1)):
        events = play(version, golden.session_of(version))
        assert [to_json(event) for event in events] == tape.events, "`make golden` rewrites them"
