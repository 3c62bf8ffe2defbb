"""Functions that are run here, and what is told without being asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.tools.tool import ToolCall
from streaming.controls import Ask, Cancel, Clock, Commit, Outcome
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA
from streaming.events import (
    Event,
    Notified,
    ReplyEnded,
    ReplyStarted,
    Runner,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
    ToolReturned,
)
from streaming.instruments.replay import play
from streaming.tape.event_json import to_json
from streaming.tape.tape import Recorder, read_tape
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import scripts
from tests.streaming.fakes import (
    TURNS,
    WINDOW,
    Echo,
    Script,
    Speaker,
    converse,
    drain,
    pcm,
    session,
    text,
)

CALL = ToolCall("call_0_0", "tool", '{"on": true}')
TURN = "." * 5 + "S" * 12 + "." * 12


class Caller(Echo):
    """Calls a function in each reply."""

    def __init__(self, by: Runner, *more: str) -> None:
        super().__init__()
        self.runners, self.more = {"tool": by}, more

    def ask(self) -> int:
        windows = super().ask()
        self.reply = [*self.more, CALL]
        return windows


class Ringing(Echo):
    """Has timers, at samples."""

    def __init__(self, *due: int) -> None:
        super().__init__()
        self.coming = [(at, f"t{n}") for n, at in enumerate(due)]


def of(events: list[Event], *kinds: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kinds)]


def replies(events: list[Event]) -> list[str]:
    """What was said, reply by reply."""
    said: list[str] = []
    for event in events:
        if isinstance(event, ReplyStarted):
            said.append("")
        elif said:
            said[-1] += text([event])
    return said


# --- calls


def test_what_the_session_runs_is_told_in_the_same_reply() -> None:
    events = converse(session(Caller("session")), [pcm(TURN)])
    (called,) = of(events, ToolCalled)
    assert called == ToolCalled(CALL.id, "tool", CALL.arguments, "session")
    assert of(events, ToolReturned) == [ToolReturned(CALL.id, CALL.arguments)]
    assert replies(events) == ["tool done"]
    assert of(events, ReplyEnded) == [ReplyEnded(2, "complete")]


@pytest.mark.parametrize("pace", [None, "paced"])
def test_nothing_is_run_before_the_reply_is_given_out(pace: str | None) -> None:
    listener = Caller("session")
    talk = session(listener) if pace else session(listener, pace=None)
    talk.receive(pcm("." * 5 + "S" * 12 + "." * 7))  # a pause, and no endpoint
    drain(talk)
    assert listener.reply is not None, "it was begun"
    assert "ran tool" not in listener.diary
    talk.receive(pcm("S" * 9 + "." * 20))  # it was no end: what would have been called is not
    drain(talk)
    assert listener.diary.count("ran tool") == 1


def test_a_reply_waits_for_what_the_shell_runs() -> None:
    talk = session(Caller("shell", "Well. "))
    talk.receive(pcm(TURN + "." * 40))
    events = drain(talk)
    assert replies(events) == ["Well. "]
    assert not of(events, ReplyEnded)
    talk.control(Outcome("another", "{}", "Nothing."))
    talk.control(Outcome(CALL.id, '{"a": 1}', "Done."))
    talk.receive(pcm("." * 20))
    events = drain(talk)
    assert of(events, ToolReturned) == [ToolReturned(CALL.id, '{"a": 1}')]
    assert text(events) == "Done."
    assert of(events, ReplyEnded) == [ReplyEnded(3, "complete")]


def test_where_nothing_is_said_of_it_the_llm_says_it() -> None:
    script: Script = [pcm(TURN), Outcome(CALL.id, "4"), pcm("." * 20)]
    assert replies(converse(session(Caller("shell")), script)) == [f"told [('{CALL.id}', '4')]"]


def test_an_outcome_may_come_after_the_end() -> None:
    talk = session(Caller("shell"))
    events = converse(talk, [pcm(TURN)])
    assert not of(events, ReplyEnded)
    talk.control(Outcome(CALL.id, "{}", "Done."))
    events = drain(talk)
    assert (text(events), of(events, ReplyEnded)) == ("Done.", [ReplyEnded(2, "complete")])
    with pytest.raises(EOFError):
        talk.control(Cancel())


def test_a_reply_that_waits_can_be_interrupted_and_what_comes_later_is_ignored() -> None:
    talk = session(Caller("shell"))
    talk.receive(pcm(TURN + "." * 10 + "S" * 12))
    events = drain(talk)
    assert of(events, ReplyEnded) == [ReplyEnded(1, "interrupted")]
    talk.control(Outcome(CALL.id, "{}", "Done."))
    assert of(drain(talk), ToolReturned) == []


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["session", "shell"]))
def test_any_cutting_gives_the_same(data: st.DataObject, by: Runner) -> None:
    before, after = pcm(TURN + "." * 6), pcm("." * 9 + TURN)
    outcome = Outcome(CALL.id, "{}", "Done.")
    whole = converse(session(Caller(by)), [before, outcome, after])
    chunks = [before[cut] for cut in data.draw(cuts(len(before)))]
    later = [after[cut] for cut in data.draw(cuts(len(after)))]
    assert converse(session(Caller(by)), [*chunks, outcome, *later]) == whole


@settings(max_examples=60)
@given(st.data(), scripts, st.integers(1, 9))
def test_calls_do_not_depend_on_when_what_is_said_is_read(
    data: st.DataObject, script: str, every: int
) -> None:
    """And none is run before its turn is over."""

    class Read(Caller):
        draft_samples = every * 320

        def draft(self) -> None:
            self.diary.append("read")

    audio, listener = pcm(script + "." * 30), Read("session")
    whole = converse(session(Caller("session")), [audio])
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(session(listener), chunks) == whole
    assert listener.diary.count("ran tool") == len(of(whole, ToolCalled))
    begun = 0
    for happened in whole:
        begun += isinstance(happened, ReplyStarted)
        begun -= isinstance(happened, ReplyEnded)
        assert begun or not isinstance(happened, ToolCalled | ToolReturned)


def test_a_reply_with_a_call_is_spoken_to_its_end() -> None:
    listener = Caller("session", "Well. ")
    talk = session(listener, voice=Speaker())
    events = converse(talk, [pcm(TURN + "." * 100)])
    assert replies(events) == ["Well. tool done"]
    assert of(events, ReplyEnded) == [ReplyEnded(3, "complete")]


# --- notices


def test_a_timer_rings_by_itself_and_a_reply_says_so() -> None:
    events = converse(session(Ringing(4 * WINDOW)), [pcm("." * 40)])
    (noticed,) = of(events, Notified)
    assert noticed == Notified(4 * WINDOW, "timer", "t0", "t0 rings", "notice_0")
    (begun,) = of(events, ReplyStarted)
    assert isinstance(begun, ReplyStarted)
    assert (begun.ref, begun.windows, begun.text_tokens) == ("notice_0", 0, 5)
    assert replies(events) == ["t0 rings"]
    assert of(events, ReplyEnded) == [ReplyEnded(1, "complete")]


def test_while_someone_speaks_it_is_kept_and_said_after_they_were_answered() -> None:
    listener = Ringing(4 * WINDOW)  # amid the utterance
    events = converse(session(listener), [pcm("." * 5 + "S" * 30 + "." * 60)])
    order = [type(e) for e in of(events, SpeechStarted, Notified, SpeechEnded, ReplyStarted)]
    assert order == [SpeechStarted, Notified, SpeechEnded, ReplyStarted, ReplyStarted]
    said = replies(events)
    assert said[0].startswith("I heard")
    assert said[1] == "t0 rings"


def test_under_a_reply_it_waits_for_that_to_be_over() -> None:
    script = "." * 5 + "S" * 12 + "." * 60
    events = converse(session(Ringing(26 * 320)), [pcm(script)])
    assert [type(e) for e in of(events, ReplyStarted, Notified, ReplyEnded)] == [
        ReplyStarted, Notified, ReplyEnded, ReplyStarted, ReplyEnded,
    ]  # fmt: skip


def test_several_are_told_in_turn_and_can_be_interrupted() -> None:
    listener = Ringing(WINDOW, WINDOW, 2 * WINDOW)
    events = converse(session(listener), [pcm("." * 80)])
    assert replies(events) == ["t0 rings", "t1 rings", "t2 rings"]


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_waits_for_a_commit_still_waits_for_it(by_hand: bool) -> None:
    listener = Ringing(40 * 320)
    turns = TURNS.model_copy(update={"auto_reply": False})
    talk = session(listener, turns, by_hand=by_hand)
    script: Script = [pcm("." * 5 + "S" * 12 + "." * 60), Commit(), pcm("." * 20)]
    events = converse(talk, script)
    said = replies(events)
    assert said[0] == "t0 rings"
    _, asked = of(events, ReplyStarted)
    assert isinstance(asked, ReplyStarted)
    assert asked.windows >= 3, "what was said is in it"


@pytest.mark.parametrize(("wait", "times"), [(10, 2), (60, 1)])
def test_who_speaks_over_it_at_once_is_told_again(wait: int, times: int) -> None:
    """Later, it was heard, and is what they speak about."""
    listener = Echo()
    listener.coming = [(WINDOW, "t" * 300)]  # three seconds
    script = "." * (4 + wait) + "S" * 20 + "." * 500
    events = converse(session(listener, voice=Speaker()), [pcm(script)])
    rung = [e for e in of(events, ReplyStarted) if isinstance(e, ReplyStarted) and e.ref]
    assert len(rung) == times
    assert len(of(events, Notified)) == 1


def test_a_typed_question_comes_after_it() -> None:
    script: Script = [pcm("." * 5 + "S" * 12 + "." * 14), Ask("And?"), pcm("." * 60)]
    said = replies(converse(session(Ringing(24 * 320)), script))
    assert said[1] == "t0 rings"
    assert len(said) == 3


def test_the_time_is_told_the_listener() -> None:
    listener = Echo()
    converse(session(listener), [Clock("2026-11-29T07:00:00"), pcm("..")])
    assert listener.diary == ["it is 2026-11-29T07:00:00"]


@settings(max_examples=100)
@given(st.data(), scripts, st.lists(st.integers(0, 60), max_size=3))
def test_whenever_they_ring_any_cutting_gives_the_same_and_each_is_told(
    data: st.DataObject, script: str, due: list[int]
) -> None:
    audio = pcm(script + "." * 70)

    def talk() -> Session:
        return session(Ringing(*(320 * frame for frame in due)))

    whole = converse(talk(), [audio])
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(talk(), chunks) == whole
    told = {event.ref for event in whole if isinstance(event, ReplyStarted) and event.ref}
    assert told == {event.ref for event in whole if isinstance(event, Notified)}


# --- tapes


@pytest.mark.parametrize("by", ["session", "shell"])
def test_a_tape_repeats_calls_and_notices(by: Runner) -> None:
    """Also what the shell gave after the end."""

    def talk() -> Caller:
        listener = Caller(by)
        listener.coming = [(10 * 320, "pasta")]  # amid the utterance
        return listener

    lines: list[str] = []
    recorder = Recorder(session(talk(), pace=None), {}, lines.append, lambda: 0.0)
    recorder.control(Clock("2026-11-29T07:00:00"))
    recorder.receive(pcm(TURN))
    events = _steps(recorder)
    recorder.receive(pcm("." * 30))
    recorder.receive_eof()
    events += _steps(recorder)
    if by == "shell":
        recorder.control(Outcome(CALL.id, "{}", "Done."))
        events += _steps(recorder)
    recorder.close()
    assert len(of(events, ReplyEnded)) == 2
    tape = read_tape(lines)
    assert bool(tape.late) == (by == "shell")
    for again in (tape, tape.recut(1)):
        played = play(again, session(talk(), pace=tape.pace))
        assert [to_json(event) for event in played] == tape.events


def _steps(recorder: Recorder) -> list[Event]:
    events: list[Event] = []
    while (new := recorder.step()) is not NEED_DATA:
        assert isinstance(new, list)
        events += new
    return events
