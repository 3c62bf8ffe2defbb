"""Pauses that are judged: what a session makes of it, and the laws with a judge of toy weights."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import ModelConfig, PartConfig
from assistant.conversation import Conversation
from assistant.model import Salmonn, load
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import TurnsConfig
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.work import NEED_DATA, Pace
from streaming.events import ReplyStarted, SpeechEnded
from streaming.instruments.replay import play
from streaming.tape.event_json import to_json
from streaming.tape.tape import Recorder, read_tape
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import OPENLY
from tests.streaming.dialogue.test_tiny import speech
from tests.streaming.fakes import CONFIG, TURNS, Echo, converse, endpointer, pcm, session

JUDGED = CONFIG.model_copy(update={"eagerness": "auto"})

SCRIPT = "." * 5 + "S" * 60 + "." * 20 + "S" * 20 + "." * 45 + "S" * 40 + "." * 90


@pytest.fixture(scope="module")
def judging(tiny_config: ModelConfig) -> Salmonn:
    judge = PartConfig(weights=["toy:9"])
    return load(tiny_config.model_copy(update={"end_of_turn": judge}))


def judged_session(
    model: Salmonn, turns: TurnsConfig = TURNS, pace: Pace | None = one_each
) -> Session:
    return Session(
        InputDecoder(InputFormat()),
        endpointer(JUDGED),
        Conversation(model, "What is said?"),
        turns,
        make_endpointer=endpointer,
        pace=pace,
    )


@pytest.mark.parametrize(("chance", "frames"), [(1.0, 10), (0.0, 75), (None, 8)])
def test_the_endpoint_comes_when_the_judgement_says(chance: float | None, frames: int) -> None:
    listener = Echo()
    listener.chance = chance
    events = converse(session(listener, config=JUDGED), [pcm("SSSSSS" + "." * 100)])
    (end,) = [event for event in events if isinstance(event, SpeechEnded)]
    assert end == SpeechEnded(6 * FRAME_SAMPLES, (6 + frames) * FRAME_SAMPLES)


def test_speech_after_a_pause_that_is_no_end_belongs_to_the_turn() -> None:
    listener = Echo()
    listener.chance = 0.1
    script = "SSSSSS" + "." * 60 + "SSSSSS" + "." * 80
    events = converse(session(listener, config=JUDGED), [pcm(script)])
    (end,) = [event for event in events if isinstance(event, SpeechEnded)]
    assert end.at == 72 * FRAME_SAMPLES
    assert len([event for event in events if isinstance(event, ReplyStarted)]) == 1


def test_speech_under_a_reply_is_not_judged() -> None:
    """No turn is open about it, so nothing was encoded."""
    listener = Echo()
    listener.chance = 0.0
    script = "SSSSSS" + "." * 75 + "SSSS" + "." * 9
    events = converse(session(listener, config=JUDGED), [pcm(script)])
    ends = [event for event in events if isinstance(event, SpeechEnded)]
    assert ends[1].decided_at - ends[1].at == CONFIG.min_silence_frames * FRAME_SAMPLES


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_judging_model_obeys_the_law_too(judging: Salmonn, data: st.DataObject) -> None:
    audio = speech(SCRIPT)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    whole = converse(judged_session(judging), [audio])
    assert converse(judged_session(judging), chunks) == whole


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=7, max_size=7), st.integers(0, 9))
def test_a_tape_replays_whenever_the_work_was_done(
    judging: Salmonn, steps: list[int], seed: int
) -> None:
    audio, lines = speech(SCRIPT), list[str]()
    recorder = Recorder(judged_session(judging, pace=None), {}, lines.append, lambda: 0.0)
    size = len(audio) // len(steps) + 1
    for n, often in enumerate(steps):
        recorder.receive(audio[n * size : (n + 1) * size])
        for _ in range(often):
            recorder.step()
    recorder.receive_eof()
    while recorder.step() is not NEED_DATA:
        pass
    recorder.close()
    tape = read_tape(lines)
    for version in (tape, tape.recut(seed)):
        events = play(version, judged_session(judging, pace=version.pace))
        assert [to_json(event) for event in events] == tape.events
    ends = [json.loads(event) for event in tape.events if '"speech.ended"' in event]
    whole = converse(judged_session(judging), [audio])
    assert [end["decided_at"] for end in ends] == [
        event.decided_at for event in whole if isinstance(event, SpeechEnded)
    ]


def test_toy_weights_do_judge(judging: Salmonn) -> None:
    """So that the laws are about something."""
    waits = {
        (end.decided_at - end.at) // FRAME_SAMPLES
        for end in converse(judged_session(judging), [speech(SCRIPT)])
        if isinstance(end, SpeechEnded)
    }
    assert waits - {CONFIG.min_silence_frames}


@settings(max_examples=10, deadline=None)
@given(script=st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_speculation_does_not_change_the_judgement(judging: Salmonn, script: list[int]) -> None:
    shape = "".join("S."[n % 2] * count for n, count in enumerate(script)) + SCRIPT
    audio = speech(shape)
    events = converse(judged_session(judging), [audio])
    assert events == converse(judged_session(judging, OPENLY), [audio])
