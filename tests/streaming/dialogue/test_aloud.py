"""Replies that are spoken: what is given out when, when they are over, and who interrupts them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.voice.voice import VOICE_RATE
from streaming.audio.frames import FRAME_SAMPLES
from streaming.controls import Ask, Cancel, Commit, Configure, Control, Played, Truncate
from streaming.dialogue.aloud import AHEAD_S
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA, Urgency, Work
from streaming.events import (
    Caption,
    Event,
    FellSilent,
    ReplyAudio,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from tests.laws import cuts
from tests.streaming.fakes import (
    CHARACTER,
    TURNS,
    Echo,
    Script,
    Speaker,
    converse,
    drain,
    pcm,
    session,
    text,
)

runs = st.lists(st.tuples(st.integers(1, 14), st.integers(1, 30)), max_size=5)
scripts = runs.map(lambda runs: "".join("S" * speech + "." * pause for speech, pause in runs))


class Chatty(Echo):
    """Answers in two sentences, token by token."""

    def ask(self) -> int:
        windows = super().ask()
        self.reply = ["One", ". Two ", "", "and three", " are num", "bers, small ones. Done"]
        return windows


ANSWER = "One. Two and three are numbers, small ones. Done"
CLAUSES = ["One. ", "Two and three are numbers, small ones. ", "Done"]
LENGTH = -(-len(ANSWER) * CHARACTER * 16_000 // VOICE_RATE // FRAME_SAMPLES)
"""Frames that it lasts when it is spoken."""


def aloud(**changes: object) -> Session:
    return session(Chatty(), voice=Speaker(), **changes)  # type: ignore[arg-type]


def spoken(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ReplyAudio)]


def ends(events: list[Event]) -> list[tuple[int, str]]:
    return [(e.tokens, e.reason) for e in events if isinstance(e, ReplyEnded)]


TURN = "...SSSS" + "." * 10
"""Its endpoint is decided in its last frames."""


@settings(max_examples=100)
@given(data=st.data(), script=scripts)
def test_any_rechunking_gives_identical_events(data: st.DataObject, script: str) -> None:
    audio = pcm(script)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(aloud(), chunks) == converse(aloud(), [audio])


@settings(max_examples=100)
@given(script=scripts)
def test_all_that_was_said_of_a_reply_that_was_not_interrupted_is_spoken(script: str) -> None:
    said, heard = "", ""
    for event in converse(aloud(), [pcm(script)]):
        match event:
            case ReplyStarted():
                said = heard = ""
            case ReplyDelta(more):
                said += more
            case ReplyAudio(more):
                heard += more
                assert said.startswith(heard)
            case ReplyEnded(_, reason):
                assert reason != "complete" or heard == said == ANSWER


def test_clauses_are_spoken_as_they_close() -> None:
    events = converse(aloud(), [pcm(TURN + "." * 60)])
    assert spoken(events) == CLAUSES
    first = next(n for n, event in enumerate(events) if isinstance(event, ReplyAudio))
    assert any(isinstance(event, ReplyDelta) for event in events[first:])


def test_a_reply_is_over_when_as_much_was_heard_as_it_is_long() -> None:
    talk = aloud(pace=lambda _: 50)
    events = converse_live(talk, pcm(TURN))
    assert spoken(events) == CLAUSES
    assert not ends(events)
    begun = talk.heard
    while not ends(events):
        talk.receive(pcm("."))
        events += drain(talk)
    assert talk.heard - begun == pytest.approx(LENGTH * FRAME_SAMPLES, abs=8 * FRAME_SAMPLES)
    assert ends(events) == [(6, "complete")]


def test_or_when_whoever_plays_it_says_so() -> None:
    talk = aloud()
    talk.control(Ask("What?"))
    events = converse_live(talk, pcm("." * 12))
    assert spoken(events)[-1] == "Done"
    samples = CHARACTER * len(ANSWER)
    for told in (Played(0, samples - 1), Played(1, samples)):
        talk.control(told)
        assert drain(talk) == []
    talk.control(Played(0, samples))
    assert drain(talk) == [ReplyEnded(6, "complete")]
    talk.control(Played(0, samples))
    assert drain(talk) == []


def test_what_was_played_before_the_text_came_to_its_end_counts() -> None:
    talk = aloud(pace=None)
    talk.control(Ask("What?"))
    while talk.work is not Work.VOICE:
        assert talk.step() is not NEED_DATA
    talk.control(Played(0, CHARACTER * len(ANSWER)))
    assert ends(drain(talk)) == [(6, "complete")]


def converse_live(talk: Session, audio: bytes) -> list[Event]:
    talk.receive(audio)
    return drain(talk)


def test_speech_under_a_reply_that_was_made_and_is_being_played_interrupts_it() -> None:
    talk = aloud(pace=None)
    events = converse_live(talk, pcm(TURN))
    assert spoken(events)[-1] == "Done"
    assert not ends(events)
    events = converse_live(talk, pcm("SS..........."))
    assert ends(events) == []  # too short
    events = converse_live(talk, pcm("S" * 8))
    assert ends(events) == [(6, "interrupted")]
    events = converse_live(talk, pcm("." * 12))
    assert isinstance(next(e for e in events if isinstance(e, ReplyStarted)), ReplyStarted)


def test_what_was_said_under_it_is_a_turn_when_it_is_over_first() -> None:
    talk = aloud(pace=None, turns=TURNS.model_copy(update={"barge_in_frames": 500}))
    converse_live(talk, pcm(TURN))
    events = converse_live(talk, pcm("S" * (LENGTH + 8) + "." * 12))
    kinds = [type(e) for e in events if not isinstance(e, ReplyDelta | ReplyAudio)]
    assert kinds.index(ReplyEnded) < kinds.index(SpeechEnded) < kinds.index(ReplyStarted)
    assert kinds[0] is SpeechStarted


def test_an_interruption_ends_speech() -> None:
    talk = aloud(pace=lambda taken: 1)
    script = pcm(TURN + "S" * 12)
    events = converse_live(talk, script)
    (end,) = ends(events)
    assert end[1] == "interrupted"
    after = events[events.index(next(e for e in events if isinstance(e, ReplyEnded))) :]
    assert not spoken(after)


def test_cancel_stops_a_reply_that_is_being_played() -> None:
    talk = aloud(pace=None)
    converse_live(talk, pcm(TURN))
    talk.control(Cancel(turn=0))
    assert ends(drain(talk)) == [(6, "cancelled")]


def test_a_question_waits_until_a_reply_was_played() -> None:
    talk = aloud(pace=None)
    converse_live(talk, pcm(TURN))
    talk.control(Ask("And?"))
    assert drain(talk) == []
    events = converse_live(talk, pcm("." * (LENGTH + 2)))
    assert ends(events) == [(6, "complete")]
    kinds = [type(event) for event in events]
    assert kinds.index(ReplyEnded) < kinds.index(ReplyStarted)


def test_where_input_has_ended_a_reply_is_over_when_it_is_made() -> None:
    events = converse(aloud(), [pcm(TURN)])
    assert ends(events) == [(6, "complete")]
    assert spoken(events)[-1] == "Done"


@pytest.mark.parametrize("wish", [Ask("What?", aloud=False), Commit(or_ring=True, aloud=False)])
def test_one_reply_can_be_text(wish: Control) -> None:
    script: Script = [pcm("..."), wish, pcm("." * 20)]
    events = converse(aloud(), script)
    assert (spoken(events), text(events), ends(events)) == ([], ANSWER, [(6, "complete")])


def test_replies_can_be_text_from_there_on_and_one_of_them_spoken() -> None:
    quiet = Configure(aloud=False)
    events = converse(aloud(), [quiet, pcm(TURN + "." * 20), Ask("What?", aloud=True)])
    assert len(ends(events)) == 2
    assert "".join(spoken(events)) == ANSWER
    events = converse(aloud(), [quiet, Configure(aloud=True, speed=1.5), pcm(TURN)])
    samples = sum(len(e.pcm) // 2 for e in events if isinstance(e, ReplyAudio))
    assert samples == len(ANSWER) * CHARACTER * 2 // 3


def test_without_a_voice_nothing_is_spoken_and_a_reply_is_not_later() -> None:
    mute = session(Chatty(), pace=None)
    events = converse_live(mute, pcm(TURN))
    assert (spoken(events), ends(events)) == ([], [(6, "complete")])
    mute.control(Configure(aloud=True))
    mute.control(Ask("What?", aloud=True))
    assert spoken(drain(mute)) == []


def test_with_a_voice_the_text_is_the_same_and_as_soon() -> None:
    def texts(talk: Session) -> list[Event]:
        events = converse(talk, [pcm(TURN + "." * 60)])
        return [event for event in events if isinstance(event, ReplyStarted | ReplyDelta)]

    assert texts(aloud()) == texts(session(Chatty()))


def test_a_clause_is_a_step_of_its_own_between_first_tokens_and_more_of_them() -> None:
    assert Urgency.LISTEN < Urgency.FIRST < Urgency.VOICE < Urgency.SPEAK
    talk = aloud(pace=None)
    talk.control(Ask("What?"))
    seen = []
    while talk.urgency is not None:
        urgency = talk.urgency
        events = talk.step()
        assert isinstance(events, list)
        if talk.work is Work.VOICE:
            assert urgency is Urgency.VOICE
            assert [type(event) for event in events[:1]] == [ReplyAudio]
        seen.append(talk.work)
    assert seen.count(Work.VOICE) == 3


def test_frames_come_before_a_clause_where_tokens_were_made_ahead() -> None:
    talk = aloud(pace=None)
    converse_live(talk, pcm("...SSSS....."))  # it is being made in secret
    talk.receive(pcm("." * 4))
    while talk.urgency is not Urgency.VOICE:
        assert talk.step() is not NEED_DATA
    assert talk.heard == 16 * FRAME_SAMPLES


def test_what_was_not_heard_is_told_the_model() -> None:
    listener = Echo()
    talk = session(listener)
    talk.control(Truncate(0, 7))
    drain(talk)
    assert listener.diary[-1] == "truncated 0 to 7"


def test_a_reply_begun_ahead_is_made_again_when_less_of_the_one_before_it_was_heard() -> None:
    listener = Echo()
    talk = session(listener)
    talk.receive(pcm("...SSSS....."))
    drain(talk)
    talk.control(Truncate(0, 7))
    drain(talk)
    assert listener.diary[-2:] == ["instructed None", "truncated 0 to 7"]


def test_silence_is_counted_from_the_end_of_what_was_played() -> None:
    idle = TURNS.model_copy(update={"idle_timeout_s": 5.0})
    talk = aloud(pace=None, turns=idle)
    converse_live(talk, pcm(TURN))
    events = converse_live(talk, pcm("." * (LENGTH + 245)))
    assert [type(event) for event in events] == [ReplyEnded]
    events = converse_live(talk, pcm("." * 30))
    assert isinstance(events[0], FellSilent)


def test_events_can_be_compared() -> None:
    event = next(e for e in converse(aloud(), [pcm(TURN)]) if isinstance(e, ReplyAudio))
    assert event != replace(event, pcm=b"")


class Novelist(Echo):
    """Answers for minutes."""

    def ask(self) -> int:
        windows = super().ask()
        self.reply = ["This is one more sentence of a long story. "] * 60
        return windows


def made(events: list[Event]) -> float:
    """Seconds of speech."""
    return sum(len(e.pcm) for e in events if isinstance(e, ReplyAudio)) / 2 / VOICE_RATE


def test_little_more_is_made_than_is_played() -> None:
    talk = session(Novelist(), voice=Speaker(), pace=None)
    talk.control(Ask("What?"))
    events = drain(talk)
    assert AHEAD_S < made(events) < AHEAD_S + 1
    assert text(events) == "This is one more sentence of a long story. " * 60
    for second in range(1, 4):  # as much as was played
        talk.control(Played(0, second * VOICE_RATE))
        events += drain(talk)
        assert AHEAD_S + second < made(events) < AHEAD_S + second + 1
    for _ in range(50 * 10):  # or heard meanwhile
        talk.receive(pcm("."))
        events += drain(talk)
    assert AHEAD_S + 10 < made(events) < AHEAD_S + 11
    talk.receive_eof()
    events += drain(talk)
    assert "".join(spoken(events)) == text(events)
    assert ends(events) == [(60, "complete")]


def test_the_last_caption_comes_after_the_first_sound() -> None:
    captioned = TURNS.model_copy(update={"captions": True})
    events = converse(aloud(turns=captioned), [pcm(TURN + "." * 40)])
    last = next(n for n, e in enumerate(events) if isinstance(e, Caption) and e.last)
    heard = next(n for n, e in enumerate(events) if isinstance(e, ReplyAudio))
    assert heard < last < events.index(ReplyEnded(6, "complete"))
    silent = [pcm(TURN + "." * 40)]
    events = converse(session(Wordless(), voice=Speaker(), turns=captioned), silent)
    assert [e.last for e in events if isinstance(e, Caption)].count(True) == 1


class Wordless(Echo):
    """Answers with what cannot be said."""

    def ask(self) -> int:
        windows = super().ask()
        self.reply = ["   ", "\n"]
        return windows
