"""What waits for its turn: typed questions, speech under a reply, recordings; and what is refused
where the LLM's context is too small."""

import pytest

from assistant.conversation import Conversation
from assistant.errors import ContextFullError
from assistant.model import Salmonn
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.controls import (
    Ask,
    Cancel,
    Clear,
    Commit,
    Configure,
    Control,
    Hold,
)
from streaming.dialogue.session import Session, one_each
from streaming.events import (
    Event,
    FellSilent,
    Refused,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
)
from tests.assistant.prompt.test_words import words_model
from tests.streaming.dialogue.test_tiny import speech
from tests.streaming.fakes import (
    CONFIG,
    TURNS,
    Echo,
    converse,
    drain,
    endpointer,
    paced,
    pcm,
    session,
    text,
)

Script = list[bytes | Control]
WAITING = TURNS.model_copy(update={"auto_reply": False})
STEADFAST = TURNS.model_copy(update={"barge_in_frames": None})


def replies(events: list[Event]) -> list[tuple[str | None, int]]:
    """Who asked for each reply, and windows it is about."""
    return [(e.ref, e.windows) for e in events if isinstance(e, ReplyStarted)]


def refusals(events: list[Event]) -> list[tuple[str | None, str]]:
    return [(e.ref, e.code) for e in events if isinstance(e, Refused)]


# --- typed questions


def test_a_question_typed_while_someone_speaks_is_answered_after_what_is_said() -> None:
    listener = Echo()
    script: Script = [pcm("...SSS"), Ask("What?", "q"), pcm("S" + "." * 30)]
    events = converse(session(listener), script)
    assert [ref for ref, _ in replies(events)] == [None, "q"]
    assert refusals(events) == []
    assert listener.diary == ["open 0", "answered", "open 0 What?", "answered"]


def test_questions_wait_for_replies_and_are_answered_in_order() -> None:
    listener = Echo()
    script: Script = [pcm("." * 9), Ask("One?", "1"), Ask("Two?", "2"), pcm("..."), Ask("3?", "3")]
    events = converse(session(listener), [*script, pcm("." * 30)])
    assert [ref for ref, _ in replies(events)] == ["1", "2", "3"]
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == ["complete"] * 3


def test_a_question_waits_for_who_interrupts() -> None:
    script: Script = [pcm("...SSSS" + "." * 9), Ask("What?", "q"), pcm("S" * 8 + "." * 30)]
    events = converse(session(pace=lambda n: n % 6 == 0), script)
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == [
        "interrupted", "complete", "complete",
    ]  # fmt: skip
    assert [ref for ref, _ in replies(events)] == [None, None, "q"]


def test_a_question_that_waits_can_be_taken_back_and_no_other_reply_with_it() -> None:
    script: Script = [
        pcm("...SSS"), Ask("What?", "q"), Ask("And?", "r"), Cancel("c", "q"), pcm("S" + "." * 30),
        Cancel("d", "q"),
    ]  # fmt: skip
    events = converse(session(), script)
    assert [ref for ref, _ in replies(events)] == [None, "r"]
    assert refusals(events) == [("q", "cancelled"), ("d", "nothing_to_do")]


def test_a_reply_is_cancelled_by_who_asked_for_it() -> None:
    script: Script = [pcm("." * 9), Ask("One?", "1"), Ask("Two?", "2"), Cancel("c", "1")]
    events = converse(session(), [*script, pcm("." * 9)])
    assert [(e.ref) for e in events if isinstance(e, ReplyStarted)] == ["1", "2"]
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == ["cancelled", "complete"]


def test_clear_takes_no_question_back() -> None:
    script: Script = [pcm("...SSS"), Ask("What?", "q"), Clear(), pcm("." * 30)]
    assert [ref for ref, _ in replies(converse(session(), script))][-1] == "q"


# --- what was held is answered as it was held


@pytest.mark.parametrize("instruction", [None, "Count."])
def test_an_answer_in_other_words_is_about_what_was_held(instruction: str | None) -> None:
    script: Script = [pcm("S" * 8), Hold(), pcm("S" * 4), Commit(instruction), pcm("." * 9)]
    assert replies(converse(session(by_hand=True), script)) == [(None, 2)]
    script = [pcm("SSSS" + "." * 48), Commit(instruction), pcm("." * 9)]
    assert replies(converse(session(turns=WAITING), script)) == [(None, 2)]


def test_other_words_about_held_windows_on_the_tiny_model(tiny: Salmonn) -> None:
    """The same answer as if the words had been there from the beginning."""

    def answered(first: str, then: str | None, later: int) -> str:
        talk = Session(
            InputDecoder(InputFormat()), endpointer(CONFIG), Conversation(tiny, first), WAITING,
            make_endpointer=endpointer, pace=one_each,
        )  # fmt: skip
        audio = speech("S" * 90 + "." * (12 + later))
        return text(converse(talk, [audio, Commit(then)]))

    plain = answered("What is said?", None, 0)
    assert plain
    assert answered("Say it again.", "What is said?", 0) == plain
    assert answered("Say it again.", "What is said?", 40) == plain
    assert answered("Say it again.", None, 0) != plain


@pytest.fixture(scope="module")
def words() -> Salmonn:
    """The tiny model, whose LLM reads words."""
    return words_model()


def test_other_words_about_what_was_held_are_read_beside_it(words: Salmonn) -> None:
    """The same answer whenever they come, and another one than without them."""

    def answered(then: str | None, later: int) -> str:
        talk = Session(
            InputDecoder(InputFormat()), endpointer(CONFIG), Conversation(words, "Hi."), WAITING,
            make_endpointer=endpointer, pace=one_each,
        )  # fmt: skip
        return text(converse(talk, [speech("S" * 90 + "." * (12 + later)), Commit(then)]))

    said = answered("What is said?", 0)
    assert said
    assert answered("What is said?", 40) == said
    assert answered("What is meant?", 0) != said
    assert answered(None, 0) != said


BY_HAND = CONFIG.model_copy(update={"detector": "manual"})


def test_a_turn_by_hand_begins_with_the_seconds_before_the_switch_to_it() -> None:
    listener = Echo()
    turns = TURNS.model_copy(update={"context_s": 8 * 0.02})
    script: Script = [pcm("." * 40), Configure(endpointing=BY_HAND), pcm("S" * 8), Commit()]
    events = converse(session(listener, turns), [*script, pcm("." * 9)])
    assert replies(events) == [(None, 4)], "eight frames before it, and eight by hand"
    assert listener.diary[1] == "open 8"


def test_an_utterance_that_the_switch_to_turns_by_hand_ends_belongs_to_the_turn() -> None:
    script: Script = [
        pcm("SSSSSSSS"), Configure(endpointing=BY_HAND, turns=WAITING), pcm("S" * 8), Hold(),
        Commit(),
    ]  # fmt: skip
    events = converse(session(), [*script, pcm("." * 9)])
    assert [type(e) for e in events].count(SpeechEnded) == 1
    assert replies(events) == [(None, 4)]


# --- what was cleared


def test_what_was_cleared_is_not_heard_by_a_later_question() -> None:
    listener = Echo()
    converse(session(listener, by_hand=True), [pcm("S" * 8), Clear(), Ask("What?"), pcm("." * 5)])
    assert listener.diary[2] == f"unheard 0 {8 * FRAME_SAMPLES}"


def test_what_was_answered_is_not_cleared() -> None:
    listener = Echo()
    converse(session(listener, by_hand=True), [pcm("S" * 8), Commit(), pcm("." * 9), Clear()])
    assert listener.diary[-1] == f"unheard {8 * FRAME_SAMPLES} {17 * FRAME_SAMPLES}"


def test_the_tiny_model_does_not_answer_about_what_was_cleared(tiny: Salmonn) -> None:
    talk = Session(
        InputDecoder(InputFormat()), None, Conversation(tiny, "What is said?"), TURNS,
        make_endpointer=endpointer, pace=one_each,
    )  # fmt: skip
    events = converse(talk, [speech("S" * 90), Clear(), Ask("What was that?", "q"), pcm("." * 30)])
    assert replies(events) == [("q", 0)]


# --- a reply that nothing interrupts


def test_a_reply_that_nothing_interrupts_goes_on_and_what_is_said_is_answered_after_it() -> None:
    listener = Echo()
    script = "...SSSS" + "." * 8 + "S" * 20 + "." * 30
    events = converse(session(listener, STEADFAST), [pcm(script)])
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == ["complete", "complete"]
    assert all(e.kept for e in events if isinstance(e, SpeechEnded))
    ended = next(i for i, e in enumerate(events) if isinstance(e, ReplyEnded))
    second = [i for i, e in enumerate(events) if isinstance(e, SpeechEnded)][1]
    assert ended < second, "the reply does not wait for who speaks"


def test_what_was_said_and_over_under_such_a_reply_is_answered_after_it() -> None:
    listener = Echo()
    script = "...SSSS" + "." * 8 + "SSSS" + "." * 20
    events = converse(session(listener, STEADFAST, pace=lambda n: n > 29), [pcm(script)])
    assert [ref for ref, _ in replies(events)] == [None, None]
    assert sum(e.kept for e in events if isinstance(e, SpeechEnded)) == 2
    assert listener.diary[-2:] == ["open 2", "answered"]


def test_under_such_a_reply_it_waits_to_be_asked_for_where_nothing_is_answered_by_itself() -> None:
    turns = STEADFAST.model_copy(update={"auto_reply": False})
    script: Script = [
        pcm("...SSSS" + "." * 8), Commit(ref="a"), pcm("SSSS" + "." * 20), Commit(ref="b"),
    ]  # fmt: skip
    events = converse(session(turns=turns, pace=lambda n: n > 29), [*script, pcm("." * 9)])
    assert [ref for ref, _ in replies(events)] == ["a", "b"]


def test_speech_too_short_to_interrupt_is_told_as_not_kept() -> None:
    events = converse(session(), [pcm("...SSSS" + "." * 8 + "SSSS" + "." * 30)])
    assert [e.kept for e in events if isinstance(e, SpeechEnded)] == [True, False]


# --- silence


@pytest.mark.parametrize(("frames", "told"), [(249, 0), (250, 1), (499, 1), (510, 2)])
def test_silence_after_a_reply_is_answered_after_so_long(frames: int, told: int) -> None:
    turns = TURNS.model_copy(update={"idle_timeout_s": 5.0})
    talk = session(turns=turns, pace=paced(50))
    talk.receive(pcm("...SSSS" + "." * 8))
    (ended,) = [e for e in drain(talk) if isinstance(e, ReplyEnded)]
    assert ended
    talk.receive(pcm("." * frames))
    events = drain(talk)
    found = [e for e in events if isinstance(e, FellSilent)]
    assert len(found) == told
    assert len(replies(events)) == told
    if told:
        assert (found[0].since, found[0].at) == (15 * FRAME_SAMPLES, 265 * FRAME_SAMPLES)


def test_silence_is_not_answered_before_the_first_reply_nor_while_someone_speaks() -> None:
    turns = TURNS.model_copy(update={"idle_timeout_s": 5.0})
    events = converse(session(turns=turns), [pcm("." * 600)])
    assert events == []
    events = converse(session(turns=turns, pace=paced(50)), [pcm("SSSS" + "." * 9 + "S" * 300)])
    assert not any(isinstance(e, FellSilent) for e in events)


# --- a context that is too small


class Small(Echo):
    """Takes no instruction longer than so many characters, and no more than so many windows."""

    longest, widest = 5, 9

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        if len(instruction or "") > self.longest:
            raise ContextFullError("too long a question")
        return super().open(since, instruction, spoken_from, typed=typed, alone=alone)

    def instruct(self, instruction: str | None) -> None:
        if len(instruction or "") > self.longest:
            raise ContextFullError("too long a question")
        super().instruct(instruction)

    def prefill(self) -> int:
        if self.cached + self.waiting > self.widest:
            raise ContextFullError("too long a turn")
        return super().prefill()


def test_too_long_a_question_is_refused_and_the_next_one_answered() -> None:
    listener = Small()
    script: Script = [pcm("." * 9), Ask("Too long.", "a"), Ask("Why?", "b"), pcm("." * 9)]
    events = converse(session(listener), script)
    assert refusals(events) == [("a", "context_full")]
    assert [ref for ref, _ in replies(events)] == ["b"]
    assert not listener.is_open


@pytest.mark.parametrize("said", ["", "SSSS.."])
def test_too_long_an_instruction_for_what_was_said_is_refused(said: str) -> None:
    listener = Small()
    commit = Commit("Too long.", "a", or_ring=True)
    script: Script = [pcm("..." + said), commit, pcm("." * 20 + "SSSS" + "." * 20)]
    events = converse(session(listener), script)
    assert refusals(events) == [("a", "context_full")]
    assert [ref for ref, _ in replies(events)] == [None]


@pytest.mark.parametrize("by_hand", [False, True])
def test_too_long_a_turn_is_given_up_and_told_once(by_hand: bool) -> None:
    listener = Small()
    script: Script = [pcm("S" * 60 + "." * 20 + "SSSS" + "." * 20), Commit(ref="c", or_ring=True)]
    events = converse(session(listener, by_hand=by_hand), [*script, pcm("." * 9)])
    assert [code for _, code in refusals(events)][:1] == ["context_full"]
    assert len(refusals(events)) <= 2
    assert replies(events)
    assert listener.is_open is by_hand


def test_an_instruction_no_turn_has_room_for_is_told_once_by_hand() -> None:
    class Tight(Small):
        def open(
            self,
            since: int,
            instruction: str | None = None,
            spoken_from: int | None = None,
            *,
            typed: bool = False,
            alone: bool = False,
        ) -> int:
            if self.diary[-1:] == ["configured Too long."]:
                raise ContextFullError("too long an instruction")
            return super().open(since, instruction, spoken_from, typed=typed, alone=alone)

    listener = Tight()
    script: Script = [Configure("Too long."), pcm("S" * 20), Configure("Good."), pcm("S" * 8)]
    events = converse(session(listener, by_hand=True), [*script, Commit(), pcm("." * 9)])
    assert refusals(events) == [(None, "context_full")]
    assert len(replies(events)) == 1


@pytest.mark.parametrize("reads", ["tiny", "words"])
def test_a_question_longer_than_the_tiny_models_context(
    reads: str, request: pytest.FixtureRequest
) -> None:
    model: Salmonn = request.getfixturevalue(reads)
    talk = Session(
        InputDecoder(InputFormat()), endpointer(CONFIG), Conversation(model, "What is said?"),
        TURNS, make_endpointer=endpointer, pace=one_each,
    )  # fmt: skip
    script: Script = [Ask("word " * 3000, "long"), Ask("What?", "short"), pcm("." * 40)]
    events = converse(talk, script)
    assert refusals(events) == [("long", "context_full")]
    assert [ref for ref, _ in replies(events)] == ["short"]


def test_an_instruction_longer_than_the_context_is_told_until_there_is_another(
    words: Salmonn,
) -> None:
    talk = Session(
        InputDecoder(InputFormat()), endpointer(CONFIG), Conversation(words, "Hi."), TURNS,
        make_endpointer=endpointer, pace=one_each,
    )  # fmt: skip
    script: Script = [
        Configure("word " * 3000), pcm("." * 9), Ask("What?", "a"), pcm("." * 9),
        Configure("Hi."), Ask("What?", "b"), pcm("." * 40),
    ]  # fmt: skip
    events = converse(talk, script)
    assert refusals(events) == [("a", "context_full")]
    assert [ref for ref, _ in replies(events)] == ["b"]
