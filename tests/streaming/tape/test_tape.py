"""What was recorded comes out again to the byte, however it is cut and however fast."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from streaming.audio.wire_audio import InputFormat
from streaming.build import others, session_spec, spec_of_tape
from streaming.config import Config
from streaming.config_file import load_config
from streaming.controls import (
    Ask,
    Cancel,
    Clear,
    Commit,
    Configure,
    Control,
    Forget,
    Hold,
    Played,
    Recording,
    Truncate,
)
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA, Pace
from streaming.events import Event, ReplyEnded
from streaming.instruments.replay import play
from streaming.spec import SessionSpec
from streaming.tape.event_json import to_json
from streaming.tape.tape import Recorder, Tape, TapeError, read_tape
from tests.streaming import golden
from tests.streaming.fakes import TURNS, Speaker, pcm, session

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
        Recording("r"),
        Forget(ref="r"),
        Cancel(turn=0),
        Ask("What?", aloud=True),
        Configure(aloud=False, speed=1.5),
        Played(0, 2_000),
        Truncate(0, 5),
    ]
)
runs = st.tuples(st.sampled_from("SSMXW"), st.integers(1, 14), st.integers(0, 16)).map(
    lambda r: pcm(r[0] * r[1] + "." * r[2])
)
scripts = st.lists(st.one_of(runs, runs, controls), max_size=8)
CAPTIONED = TURNS.model_copy(update={"captions": True})


def live(
    script: list[bytes | Control], steps: list[int], by_hand: bool, *, aloud: bool = False
) -> tuple[list[str], Tape]:
    """A live session that finds time for so many steps between pieces: events and tape."""
    lines: list[str] = []
    recorder = Recorder(made(None, by_hand, aloud), {}, lines.append, lambda: float(len(lines)))
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


def made(pace: Pace | None, by_hand: bool, aloud: bool = False) -> Session:
    voice = Speaker() if aloud else None
    return session(turns=CAPTIONED, pace=pace, by_hand=by_hand, voice=voice)


@settings(max_examples=300)
@given(scripts, st.data(), st.booleans(), st.booleans(), st.integers(0, 9))
def test_a_tape_gives_the_same_events_again(
    script: list[bytes | Control], data: st.DataObject, by_hand: bool, aloud: bool, seed: int
) -> None:
    times = st.lists(st.integers(0, 60), min_size=len(script), max_size=len(script))
    events, tape = live(script, data.draw(times), by_hand, aloud=aloud)
    assert tape.events == events
    for version in (tape, tape.recut(seed)):
        again = [to_json(event) for event in play(version, made(version.pace, by_hand, aloud))]
        assert again == events


def test_where_a_reply_was_interrupted_depends_on_the_pace_on_the_tape() -> None:
    script: list[bytes | Control] = [pcm("SSSS" + "." * 8), pcm("S" * 8 + "." * 8)]
    interrupted, tape = live(script, [24, 1000], by_hand=False)
    ends = [json.loads(line) for line in interrupted if "reply.ended" in line]
    assert (ends[0]["tokens"], ends[0]["reason"]) == (1, "interrupted")
    again = list(play(tape, made(tape.pace, by_hand=False)))
    assert next(event for event in again if isinstance(event, ReplyEnded)).tokens == 1


def test_speech_is_on_a_tape_by_its_digest() -> None:
    lines, tape = live([pcm("SSSS" + "." * 8)], [100], by_hand=False, aloud=True)
    first = next(json.loads(line) for line in tape.events if "reply.audio" in line)
    assert first.keys() == {"type", "text", "samples", "sha256", "words"}
    assert first["samples"] == 240 * len(first["text"])
    assert first["words"][0] == [0, 2]
    assert max(map(len, lines)) < 1000


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([], "line 1: nothing there"),
        (['{"tape": 2}'], "line 1: not a tape of version 1"),
        (['{"type": "speech.started"}'], "line 1: not a tape"),
        (["RIFF"], "line 1: Expecting value"),
        (["[1]"], "line 1: no object"),
        (['{"tape": 1}', '{"in": "audio", "ms": 1, "data": "*"}'], "line 2"),
        (['{"tape": 1}', '{"in": "write", "ms": 1}'], "line 2: text: Field required$"),
        (['{"tape": 1}', '{"in": "sing", "ms": 1}'], "line 2: in: 'sing' is no input$"),
        (['{"tape": 1}', '{"in": "cancel", "ms": "soon"}'], "line 2: ms: 'soon' is no number"),
        (['{"tape": 1}', '{"in": "end"}', '{"wrong": 1}'], "line 3: unknown line with wrong"),
        *(
            (['{"tape": 1}', f'{{"in": "cancel", "ms": {ms}}}'], "line 2: ms: .* is no number from")
            for ms in ("-1", "-0.1", "NaN", "1e999", "-Infinity", "1" + "0" * 400, "604800001")
        ),
        (['{"tape": 1}', f'{{"in": "end", "ms": 1{"0" * 5000}}}'], "line 2: Exceeds the limit"),
        (['{"tape": 1}', "[" * 50_000], "line 2: nested too deep"),
        (['{"tape": 1}', '{"out": ' + "[" * 50_000 + "]" * 50_000 + "}"], "line 2: nested too"),
        (['{"tape": 1}', '{"tokens": -1, "after": 1}'], "line 2: tokens: -1 is no count"),
        (['{"tape": 1}', '{"tokens": 1, "after": true}'], "line 2: after: True is no count"),
        *(
            (['{"tape": 1}', f'{{"in": "configure", "ms": 1, "{key}": {value}}}'], f"line 2: {key}")
            for key, value in (
                ("temperature", "-1"), ("temperature", "NaN"), ("temperature", "2.01"),
                ("top_p", "0"), ("top_p", "NaN"), ("top_p", "1.01"), ("max_new_tokens", "0"),
                ("turns", '{"ring_s": 1e12}'),
            )
        ),
        (['{"tape": 1}', '{"in": "forget", "ms": 1, "turn": -1}'], "line 2: turn: "),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named(lines: list[str], error: str) -> None:
    with pytest.raises(TapeError, match=error) as caught:
        read_tape(lines)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ms", [0, 604_800_000])
def test_the_first_and_the_last_millisecond(ms: int) -> None:
    assert read_tape(['{"tape": 1}', f'{{"in": "cancel", "ms": {ms}}}']).inputs[0][0] == ms


@given(st.text(), st.text(), st.text())
def test_a_tape_in_a_file_replays_whatever_was_written(
    tmp_path_factory: pytest.TempPathFactory, instruction: str, question: str, other: str
) -> None:
    lines: list[str] = []
    recorder = Recorder(made(None, False), {"instruction": instruction}, lines.append, lambda: 0.0)
    for control in (Ask(question), Commit(other, ref=question), Configure(instruction=other)):
        recorder.control(control)
    recorder.receive_eof()
    while recorder.step() is not NEED_DATA:
        pass
    recorder.close()
    path = tmp_path_factory.getbasetemp() / "text.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    with path.open(encoding="utf-8") as stream:
        tape = read_tape(stream)
    assert tape.head["instruction"] == instruction
    assert [control for _, control in tape.inputs] == [
        Ask(question), Commit(other, ref=question), Configure(instruction=other),
    ]  # fmt: skip
    assert [to_json(event) for event in play(tape, made(tape.pace, False))] == tape.events


def test_a_tape_that_broke_off_does_not_end_the_session() -> None:
    _, tape = live([pcm("SSSS")], [99], by_hand=False)
    assert tape.ended
    broken = Tape(tape.head, tape.inputs)
    assert not any(isinstance(e, ReplyEnded) for e in play(broken, made(broken.pace, False)))


def test_what_the_golden_tapes_are_about() -> None:
    folder = Path(__file__).parents[2] / "golden"
    ends = {
        path.stem: [json.loads(e)["reason"] for e in events if '"reply.ended"' in e]
        for path in folder.glob("*.jsonl")
        for events in [golden.read(path.stem).events]
    }
    assert ends == {
        "typed": ["cancelled"],
        "interrupted": ["interrupted", "complete"],
        "written": ["limit", "complete", "complete"],
        "by-hand": ["limit", "complete"],
    }


@pytest.mark.parametrize("name", golden.SCENES)
def test_golden(name: str) -> None:
    tape = golden.read(name)
    for version in (tape, tape.recut(1)):
        events = play(version, golden.session_of(version))
        assert [to_json(event) for event in events] == tape.events, "`make golden` rewrites them"


# --- what a tape says about the model


def again(spec: SessionSpec) -> SessionSpec:
    """As it is read from a tape."""
    return spec_of_tape(Tape(json.loads(json.dumps(spec.head()))))


def test_a_specification_is_what_is_read_from_its_tape(
    tiny: Salmonn, tiny_settings: Config
) -> None:
    spec = session_spec(tiny, tiny_settings, "Reply.", InputFormat("mulaw", 8_000))
    assert again(spec) == spec
    with pytest.raises(ConfigError, match=r"tape\.format"):
        spec_of_tape(Tape({"format": {"encoding": "mp3"}}))
    with pytest.raises(ValidationError, match="frozen"):
        spec.instruction = "Sing."


def test_on_tapes_without_stop_words_nothing_was_read_under_a_reply() -> None:
    head = json.loads(json.dumps(SessionSpec().head()))
    assert spec_of_tape(Tape(head)) == SessionSpec()
    del head["turns"]["stop_words"], head["turns"]["backchannels"]
    turns = spec_of_tape(Tape(head)).turns
    assert (turns.backchannels, turns.stop_words) == ([], [])


def test_on_tapes_without_an_eagerness_no_pause_was_judged() -> None:
    head = json.loads(json.dumps(SessionSpec().head()))
    assert spec_of_tape(Tape(head)).endpointing.eagerness == "auto"
    del head["endpointing"]["eagerness"]
    assert spec_of_tape(Tape(head)).endpointing.eagerness is None


def test_the_same_model_is_no_other(tiny: Salmonn, tiny_settings: Config) -> None:
    spec = again(session_spec(tiny, tiny_settings, "Reply."))
    assert others(tiny, tiny_settings, spec) == []


def test_tapes_made_before_they_told_say_nothing(tiny: Salmonn, tiny_settings: Config) -> None:
    assert others(tiny, tiny_settings, SessionSpec(preset="tiny")) == []


def test_other_weights_settings_and_engines_are_named(tiny: Salmonn, tiny_settings: Config) -> None:
    model = tiny_settings.model
    generation = model.generation.model_copy(update={"max_new_tokens": 9})
    llm = model.llm.model_copy(update={"weights": ["toy:4"]})
    changed = {"generation": generation, "llm": llm, "audio_encoder": None}
    spec = again(session_spec(tiny, tiny_settings, "Reply."))
    told = others(
        tiny,
        replace(tiny_settings, model=model.model_copy(update=changed)),
        spec.model_copy(update={"engine": "AbacusEngine"}),
    )
    engine = type(tiny.llm.engine).__name__
    assert told == [
        "the tape was made with other weights: audio_encoder ('toy:2', now None), "
        "llm ('toy:3', now 'toy:4')",
        "the tape was made with other settings: audio_encoder ({}, now None), "
        "generation.max_new_tokens (24, now 9)",
        f"the tape was made with another engine: AbacusEngine, now {engine}",
    ]


@pytest.fixture
def tiny_settings() -> Config:
    return load_config(shipped_config(), "tiny")
