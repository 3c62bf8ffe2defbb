"""Recordings are turns that wait until they are asked about."""

import pytest

from streaming.controls import (
    Ask,
    Commit,
    Hold,
    Recording,
)
from streaming.events import (
    SpeechEnded,
    SpeechStarted,
)
from tests.streaming.dialogue.test_waiting import Script, replies
from tests.streaming.fakes import (
    Echo,
    converse,
    pcm,
    session,
)


def test_a_recording_is_a_turn_that_is_answered_when_it_is_asked_for() -> None:
    listener = Echo()
    script: Script = [
        pcm("." * 8), Recording(), pcm("S" * 8 + "." * 20 + "S" * 4), Hold(), pcm("." * 20),
        Commit(ref="c"), pcm("." * 9),
    ]  # fmt: skip
    events = converse(session(listener), script)
    assert not any(isinstance(e, SpeechStarted | SpeechEnded) for e in events)
    assert replies(events) == [("c", 8)], "32 frames, and nothing of what came before or after"
    assert listener.diary[0] == "open 2"


@pytest.mark.parametrize("by_hand", [False, True])
def test_recordings_that_come_one_after_another_are_one_turn(by_hand: bool) -> None:
    script: Script = [Recording(), pcm("S" * 8), Hold(), Recording(), pcm("S" * 4), Hold()]
    events = converse(session(by_hand=by_hand), [*script, Commit(ref="c"), pcm("." * 9)])
    assert replies(events) == [("c", 3)]


def test_a_recording_ends_an_utterance_and_waits_for_its_reply() -> None:
    script: Script = [pcm("SSSS"), Recording(), pcm("S" * 8), Hold(), pcm("." * 20)]
    events = converse(session(), [*script, Commit(ref="c"), pcm("." * 9)])
    assert [ref for ref, _ in replies(events)] == [None, "c"]
    assert sum(isinstance(e, SpeechEnded) for e in events) == 1


def test_a_question_about_a_recording_waits_for_its_end() -> None:
    script: Script = [Recording(), pcm("S" * 8), Ask("What?", "q"), pcm("S" * 4), Hold()]
    events = converse(session(), [*script, pcm("." * 9)])
    assert replies(events) == [("q", 3)]
