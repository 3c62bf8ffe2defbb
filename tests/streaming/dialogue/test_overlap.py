"""Speech under a reply: what listeners say, stop words, and what ends a reply or does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.audio.frames import FRAME_SAMPLES
from streaming.config import TurnsConfig
from streaming.controls import Commit, Hold
from streaming.dialogue.manners import dismisses, interrupts
from streaming.events import (
    Caption,
    Dismissed,
    Event,
    Notified,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from tests.laws import cuts
from tests.streaming.dialogue.test_waiting import STEADFAST
from tests.streaming.fakes import TURNS, Echo, Script, Speaker, converse, drain, paced, pcm, session

SHIPPED = TurnsConfig()
LONG = TURNS.model_copy(update={"barge_in_frames": 12})
"""Twelve frames of speech interrupt, whatever is said."""

ASKED = "SSSSSS" + "." * 10
"""A question, and the beginning of its reply."""


def told(events: list[Event]) -> list[str]:
    """How the replies ended, and what was not answered."""
    kinds = (ReplyEnded, Dismissed)
    return [
        event.reason if isinstance(event, ReplyEnded) else "dismissed"
        for event in events
        if isinstance(event, kinds)
    ]


def under(script: str, turns: TurnsConfig = LONG) -> list[Event]:
    """A reply is being played when something is said."""
    talk = session(turns=turns, voice=Speaker())
    return converse(talk, [pcm(ASKED + script + "." * 40)])


# --- words


@pytest.mark.parametrize(
    "words", ["Mhm.", "Mm-hmm.", "Yeah, yeah.", "Right. Right.", " Okay.", "I see", "Uh huh", ""]
)
def test_a_listeners_words_interrupt_nothing(words: str) -> None:
    assert not interrupts(words, SHIPPED)
    assert not dismisses(words, SHIPPED)


@pytest.mark.parametrize(
    "words", ["Wait.", "What?", "Yeah, but why?", "No.", "I see what you mean.", "Mhm, stop."]
)
def test_other_words_do(words: str) -> None:
    assert interrupts(words, SHIPPED)


@pytest.mark.parametrize(
    "words",
    ["Stop.", "STOP! Stop.", "Okay, thanks.", "Be quiet", "That’s enough.", "Yeah, yeah, stop it."],
)
def test_who_wishes_for_quiet_says_nothing_else(words: str) -> None:
    assert dismisses(words, SHIPPED)


@pytest.mark.parametrize(
    "words", ["Stop the timer.", "Thanks, and the weather?", "Stop, what's that?", "Okay.", ""]
)
def test_who_says_more_wants_an_answer(words: str) -> None:
    assert not dismisses(words, SHIPPED)


@given(st.lists(st.sampled_from([*SHIPPED.stop_words, *SHIPPED.backchannels]), max_size=5))
def test_rows_of_phrases_are_what_their_phrases_are(said: list[str]) -> None:
    words = ", ".join(said)
    assert dismisses(words, SHIPPED) == any(phrase in SHIPPED.stop_words for phrase in said)


# --- under a reply


@pytest.mark.parametrize("said", ["MMMM", "SSSS", "MMMM" + "." * 5 + "SSSS", "SSSMMM"])
def test_a_reply_survives_mhm_and_a_cough(said: str) -> None:
    events = under(said)
    assert told(events) == ["complete"]
    assert not [e for e in events if isinstance(e, SpeechEnded)][1].kept


def test_listeners_may_say_much_with_pauses() -> None:
    """None of it is long enough; together it would be."""
    assert told(under(("M" * 8 + "." * 5) * 3)) == ["complete"]


def test_other_words_interrupt_at_their_pause() -> None:
    talk = session(turns=LONG, voice=Speaker())
    talk.receive(pcm(ASKED + "WWWW" + "..."))
    before = drain(talk)
    talk.receive(pcm("."))
    assert told(before) == []
    assert told(drain(talk)) == ["interrupted"]


def test_other_words_are_answered() -> None:
    events = under("WWWW")
    assert told(events) == ["interrupted", "complete"]
    assert sum(isinstance(e, ReplyStarted) for e in events) == 2


@pytest.mark.parametrize(
    ("speech", "ends"), [(11, ["complete"]), (12, ["interrupted", "complete"])]
)
def test_long_speech_interrupts_whatever_is_said(speech: int, ends: list[str]) -> None:
    assert told(under("M" * speech)) == ends


def test_after_mhm_other_words_interrupt() -> None:
    assert told(under("MMMM" + "." * 5 + "WWW")) == ["interrupted", "complete"]


def test_what_cannot_be_read_is_as_long_as_it_is() -> None:
    unread = LONG.model_copy(update={"backchannels": [], "stop_words": []})
    assert told(under("WWWW", unread)) == ["complete"]


def test_nothing_interrupts_where_that_is_wished() -> None:
    events = under("XXXX", STEADFAST)
    assert "interrupted" not in told(events)


# --- stop words


@pytest.mark.parametrize("said", ["XXXX", "X" * 14, "MMMXXX", "XXXX" + "." * 5 + "XXXX"])
def test_stop_words_end_the_reply_and_are_not_answered(said: str) -> None:
    events = under(said)
    assert told(events) == ["interrupted", "dismissed"]
    assert sum(isinstance(e, ReplyStarted) for e in events) == 1
    assert [e for e in events if isinstance(e, SpeechEnded)][-1].kept


def test_the_same_without_a_voice() -> None:
    events = converse(session(turns=LONG), [pcm(ASKED[:-2] + "XXXX" + "." * 40)])
    assert told(events) == ["interrupted", "dismissed"]


def test_history_keeps_what_was_said_of_the_reply() -> None:
    listener = Echo()
    converse(session(listener, turns=LONG), [pcm(ASKED[:-2] + "XXXX" + "." * 40)])
    assert listener.diary == ["open 0", "said 3", "open 2", "answered"]


def test_who_goes_on_after_stop_is_answered() -> None:
    assert told(under("XXXX" + "." * 5 + "WWWW")) == ["interrupted", "complete"]


def test_stop_words_in_a_silence_get_silence() -> None:
    events = converse(session(), [pcm("XXXX" + "." * 40)])
    assert told(events) == ["dismissed"]
    assert [type(e) for e in events if not isinstance(e, Caption)][:1] == [SpeechStarted]


def test_they_may_be_meant_for_a_function_of_the_client() -> None:
    listener = Echo()
    listener.declared = ("stop_music",)
    assert told(converse(session(listener), [pcm("XXXX" + "." * 40)])) == ["complete"]
    listener = Echo()
    listener.declared, listener.runners = ("get_time",), {"get_time": "session"}
    assert told(converse(session(listener), [pcm("XXXX" + "." * 40)])) == ["dismissed"]


def test_a_client_that_asks_for_the_answer_gets_it() -> None:
    waiting = TURNS.model_copy(update={"auto_reply": False})
    script: Script = [pcm("XXXX" + "." * 10), Commit(), pcm("." * 40)]
    assert told(converse(session(turns=waiting), script)) == ["complete"]
    by_hand: Script = [pcm("XXXX"), Hold(), Commit(), pcm("." * 40)]
    assert told(converse(session(by_hand=True), by_hand)) == ["complete"]


def test_without_stop_words_they_are_answered() -> None:
    answered = TURNS.model_copy(update={"stop_words": []})
    assert told(converse(session(turns=answered), [pcm("XXXX" + "." * 40)])) == ["complete"]


def test_the_words_are_captioned_though_nobody_answers() -> None:
    shown = TURNS.model_copy(update={"captions": True})
    events = converse(session(turns=shown), [pcm("XXXX" + "." * 40)])
    last = [type(e).__name__ for e in events if isinstance(e, Caption | Dismissed)]
    assert last[-2:] == ["Caption", "Dismissed"]
    assert [e for e in events if isinstance(e, Caption)][-1].last


def test_a_timer_that_was_silenced_does_not_ring_again() -> None:
    listener = Echo()
    listener.coming = [(FRAME_SAMPLES, "a very long name")]
    talk = session(listener, turns=LONG, voice=Speaker())
    events = converse(talk, [pcm("...XXXX" + "." * 200)])
    assert sum(isinstance(e, Notified) for e in events) == 1
    assert told(events) == ["interrupted", "dismissed"]


# --- laws

runs = st.lists(
    st.tuples(st.sampled_from("SMXW"), st.integers(1, 14), st.integers(1, 12)), max_size=7
)
scripts = runs.map(lambda runs: "".join(kind * n + "." * pause for kind, n, pause in runs))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), script=scripts, aloud=st.booleans())
def test_words_are_a_function_of_the_samples(data: st.DataObject, script: str, aloud: bool) -> None:
    audio = pcm(script + "." * 30)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]

    def talk(turns: TurnsConfig = LONG) -> list[Event]:
        return converse(session(turns=turns, voice=Speaker() if aloud else None), [audio])

    recut = session(turns=LONG, voice=Speaker() if aloud else None)
    assert converse(recut, chunks) == talk()
    assert talk(LONG.model_copy(update={"speculate": False})) == talk()


@settings(max_examples=100, deadline=None)
@given(script=scripts, pace=st.sampled_from([1, 50]))
def test_every_utterance_is_answered_dismissed_or_a_listeners(script: str, pace: int) -> None:
    listener = Echo()
    events = converse(session(listener, turns=LONG, pace=paced(pace)), [pcm(script + "." * 30)])
    ends = [e for e in events if isinstance(e, SpeechEnded)]
    over = sum(isinstance(e, ReplyStarted | Dismissed) for e in events)
    assert over <= len(ends)
    assert not listener.is_open
    assert sum(isinstance(e, ReplyStarted) for e in events) == sum(
        isinstance(e, ReplyEnded) for e in events
    )
