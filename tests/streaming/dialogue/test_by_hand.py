"""Turns that are committed by hand, and turns that wait for their answer."""

import pytest

from streaming.audio.frames import FRAME_SAMPLES
from streaming.controls import Clear, Commit, Hold
from streaming.events import (
    Caption,
    Refused,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from tests.streaming.fakes import (
    TURNS,
    Echo,
    Script,
    converse,
    pcm,
    session,
    text,
)


def test_a_commit_ends_the_utterance_at_once() -> None:
    listener = Echo()
    events = converse(session(listener), [pcm("...SSSS."), Commit(), pcm("." * 20)])
    ends = [event for event in events if isinstance(event, SpeechEnded)]
    assert ends == [SpeechEnded(7 * FRAME_SAMPLES, 8 * FRAME_SAMPLES)]
    assert text(events) == "I heard 2 windows"
    assert converse(session(), [pcm("." * 9), Commit()]) == [
        Refused("there is nothing to commit: nothing was said")
    ]


def test_by_hand_a_turn_is_all_since_the_last_one_and_ends_when_it_is_committed() -> None:
    listener = Echo()
    talk = session(listener, by_hand=True)
    script: Script = [pcm("SSSS....S..."), Commit(), pcm("S" * 16), Commit(), pcm("S" * 4)]
    events = converse(talk, script)
    assert [e.windows for e in events if isinstance(e, ReplyStarted)] == [3, 4]
    assert not any(isinstance(event, SpeechStarted | SpeechEnded) for event in events)
    assert listener.diary == ["open 0", "answered", "open 3", "answered"]


def test_by_hand_nothing_is_committed_twice() -> None:
    talk = session(by_hand=True)
    why = "there is nothing to commit: nothing was said"
    assert converse(talk, [Commit(), pcm("SSSS"), Commit(), Commit()])[-2:] == [
        ReplyEnded(1, "cancelled"), Refused(why),
    ]  # fmt: skip


def test_by_hand_the_oldest_of_a_turn_that_gets_too_long_is_forgotten() -> None:
    listener = Echo()
    turns = TURNS.model_copy(update={"ring_s": 0.32})
    script: Script = [pcm("S" * 33), Commit()]
    events = converse(session(listener, turns, by_hand=True), script)
    assert text(events) == "I heard 5 windows"  # 16 frames and the one that was too many
    assert listener.diary == ["open 0", "answered", "open 4", "answered"]


WAITING = TURNS.model_copy(update={"auto_reply": False})


@pytest.mark.parametrize("captions", [False, True])
def test_a_turn_can_wait_to_be_answered(captions: bool) -> None:
    listener = Echo()
    turns = WAITING.model_copy(update={"captions": captions})
    talk = session(listener, turns)
    events = converse(talk, [pcm("SSSS" + "." * 20), Commit(), pcm("." * 9)])
    assert text(events) == "I heard 2 windows", "what came after the endpoint is not in it"
    kinds = [type(event) for event in events]
    assert kinds.index(SpeechEnded) < kinds.index(ReplyStarted)
    lasts = [event for event in events if isinstance(event, Caption) and event.last]
    assert len(lasts) == (1 if captions else 0)


def test_who_goes_on_before_the_answer_goes_on_with_the_turn() -> None:
    listener = Echo()
    script: Script = [pcm("SSSS" + "." * 12 + "SSSS" + "." * 12), Commit(), pcm("." * 9)]
    events = converse(session(listener, WAITING), script)
    assert [type(e) for e in events].count(SpeechEnded) == 2
    assert text(events) == "I heard 6 windows"
    assert listener.diary == ["open 0", "answered"]


def test_who_goes_on_is_heard_out_however_old_the_turn_is() -> None:
    """Twice the ring is the end of a turn that waits, not of one that is spoken in."""
    listener = Echo()
    turns = WAITING.model_copy(update={"ring_s": 0.32})  # 16 frames
    script: Script = [pcm("SSSS" + "." * 9 + "S" * 30), Commit(), pcm("." * 9)]
    converse(session(listener, turns), script)
    assert listener.diary == ["open 0", "answered"]


def test_a_turn_that_waits_can_be_dropped() -> None:
    listener = Echo()
    script: Script = [pcm("SSSS" + "." * 12), Clear(), Commit(), pcm("SSSS" + "." * 12), Commit()]
    events = converse(session(listener, WAITING), script)
    assert [type(e) for e in events].count(Refused) == 1
    assert listener.diary == ["open 0", "answered", "unheard 0 5120", "open 4", "answered"]


def test_by_hand_a_turn_that_is_held_is_what_was_said_until_then() -> None:
    listener = Echo()
    script: Script = [pcm("S" * 8), Hold(), pcm("S" * 4), Commit(), pcm("." * 9), Commit()]
    events = converse(session(listener, by_hand=True), script)
    assert [e.windows for e in events if isinstance(e, ReplyStarted)] == [2, 4]


def test_by_hand_two_messages_can_be_one_turn() -> None:
    script: Script = [Hold("a"), pcm("S" * 8), Hold(), pcm("S" * 4), Hold(), Commit(), pcm("." * 9)]
    events = converse(session(by_hand=True), script)
    assert events[0] == Refused("there is nothing to commit: nothing was said", "a", "nothing_said")
    assert text(events) == "I heard 3 windows"


def test_an_utterance_that_is_held_is_not_answered_before_it_is_committed() -> None:
    script: Script = [pcm("SSSS"), Hold(), pcm("." * 20), Commit(), pcm("." * 9)]
    events = converse(session(), script)
    kinds = [type(event) for event in events]
    assert kinds.count(SpeechEnded) == kinds.count(ReplyStarted) == 1
    assert text(events) == "I heard 1 windows"
