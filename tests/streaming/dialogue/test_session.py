"""The session's promises, with a scripted model."""

import pytest

from assistant.errors import ContextFullError
from streaming.audio.frames import FRAME_SAMPLES
from streaming.controls import Ask, Cancel, Clear, Commit, Configure, Control
from streaming.dialogue.work import NEED_DATA, Work
from streaming.events import (
    AudioPrefilled,
    Event,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from tests.streaming.dialogue.test_by_hand import WAITING
from tests.streaming.dialogue.test_laws import OPENLY, SECRETLY
from tests.streaming.fakes import (
    CONFIG,
    TURNS,
    WINDOW,
    Echo,
    Script,
    converse,
    drain,
    paced,
    pcm,
    session,
    text,
)


def test_one_turn() -> None:
    events = converse(session(), [pcm("........SSSS" + "." * 16)])
    at = [i * FRAME_SAMPLES for i in range(40)]
    assert events == [
        SpeechStarted(at[8]),
        AudioPrefilled(at[11], 2),  # from 0.1 s before the speech on
        AudioPrefilled(at[12], 3),
        AudioPrefilled(at[16], 4),
        SpeechEnded(at[12], at[20]),
        ReplyStarted(windows=4, text_tokens=5, prefilled_before_end=3),
        ReplyDelta("I heard "),
        ReplyDelta("4"),
        ReplyDelta(" windows"),
        ReplyEnded(4, "complete"),
    ]


def test_what_is_heard_after_the_pause_is_not_in_the_turn() -> None:
    """The reply made in secret and the one made at the endpoint are about the same windows."""
    for turns in (SECRETLY, OPENLY):
        events = converse(session(turns=turns), [pcm("...SSS" + "." * 20)])
        started = next(e for e in events if isinstance(e, ReplyStarted))
        assert started.windows == 3  # 3 + 3 + 4 frames of pause: two windows and a half


def test_speech_that_goes_on_takes_the_secret_reply_back() -> None:
    listener = Echo()
    script = "...SSSS" + "." * 6 + "SSSS" + "." * 20
    events = converse(session(listener), [pcm(script)])
    assert listener.diary == ["open 0", "taken back", "answered"]
    assert text(events) == "I heard 6 windows"  # 7 + 6 + 4 + 4 frames
    assert sum(isinstance(e, SpeechStarted) for e in events) == 1


@pytest.mark.parametrize(("silence", "utterances"), [(7, 1), (8, 2)])
def test_the_endpoint_is_where_it_says(silence: int, utterances: int) -> None:
    script = "...SSSS" + "." * silence + "SSSS" + "." * 20
    events = converse(session(pace=paced(50)), [pcm(script)])
    assert sum(isinstance(e, SpeechStarted) for e in events) == utterances


def test_tokens_made_in_secret_are_given_out_at_once() -> None:
    talk = session(pace=None)
    talk.receive(pcm("...SSSS" + "." * 7))
    assert text(drain(talk)) == ""
    talk.receive(pcm("." * 5))
    steps: list[tuple[Work, list[Event]]] = []
    while isinstance(events := talk.step(), list):
        if talk.work is not Work.TIDY:
            steps.append((talk.work, events))
    assert steps[0][0] is Work.LISTEN
    given = [event for _, events in steps[1:-4] for event in events]
    assert isinstance(given[0], ReplyStarted)
    assert text(given) == "I heard 3 windows"
    assert isinstance(given[-1], ReplyEnded)
    assert [work for work, _ in steps[-4:]] == [Work.LISTEN] * 4, "before what came meanwhile"


def test_where_the_input_paces_the_reply_one_token_is_made_in_secret() -> None:
    talk = session(pace=paced(50))
    made = []
    for piece in [*"...SSSS", *"." * 8]:
        talk.receive(pcm(piece))
        works = []
        while isinstance(talk.step(), list):
            works.append(talk.work)
        made.append(works.count(Work.DECODE))
    assert made[-5:-1] == [1, 0, 0, 0], "from the pause until the endpoint"
    assert made[-1] > 1


@pytest.mark.parametrize(
    ("speech", "reasons"), [(5, ["complete"]), (6, ["interrupted", "complete"])]
)
def test_speech_interrupts_a_reply_when_it_is_long_enough(speech: int, reasons: list[str]) -> None:
    listener = Echo()
    script = "...SSSS" + "." * 9 + "S" * speech + "." * 30
    turns = TURNS.model_copy(update={"rejoin_s": 0.0})
    events = converse(session(listener, turns), [pcm(script)])
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == reasons
    if reasons == ["complete"]:
        assert text(events) == "I heard 3 windows"
        assert listener.diary == ["open 0", "answered"]
    else:
        ended = next(e for e in events if isinstance(e, ReplyEnded))
        assert listener.diary == ["open 0", f"said {ended.tokens}", "open 2", "answered"]
        before = events[: events.index(ended)]
        assert ended.tokens == 4  # frames from the endpoint until speech was certain
        assert text(before) == "I heard 3 windows"


def test_a_reply_is_held_while_someone_speaks() -> None:
    script = "...SSSS" + "." * 8 + "SSSS" + "." * 30
    events = converse(session(), [pcm(script)])
    kinds = [type(e).__name__ for e in events]
    second = [i for i, kind in enumerate(kinds) if kind == "SpeechStarted"][1]
    end = [i for i, kind in enumerate(kinds) if kind == "SpeechEnded"][1]
    assert set(kinds[second + 1 : end]) <= {"SpeechEnded"}
    assert text(events[:second]) != text(events) == "I heard 3 windows"


def test_what_was_answered_is_not_in_the_next_turn() -> None:
    turns = TURNS.model_copy(update={"context_s": 10.0, "rejoin_s": 0.0})
    listener = Echo()
    script = "..........SSSS" + "." * 12 + "SSSSSSSS" + "." * 20
    converse(session(listener, turns, pace=paced(50)), [pcm(script)])
    paused = 10 + 4 + CONFIG.pause_frames
    assert listener.diary == ["open 0", "answered", f"open {paused // 4}", "answered"]


@pytest.mark.parametrize("pace", [0, 50])  # the first reply is interrupted, or long over
@pytest.mark.parametrize(("silence", "opened"), [(12, 1), (13, 5)])
def test_speech_after_a_short_silence_goes_on_with_the_turn(
    pace: int, silence: int, opened: int
) -> None:
    turns = TURNS.model_copy(update={"rejoin_s": 12 * 0.02})
    listener = Echo()
    script = "..........SSSS" + "." * silence + "SSSSSSSS" + "." * 40
    converse(session(listener, turns, pace=paced(pace)), [pcm(script)])
    first = "answered" if pace else "said 0"
    forgotten = ["forgot question 0", "forgot answer 0"] if opened == 1 else []
    assert listener.diary == ["open 1", first, *forgotten, f"open {opened}", "answered"]


def test_speech_after_a_typed_question_does_not_go_on_with_the_turn_before() -> None:
    turns = TURNS.model_copy(update={"rejoin_s": 1.0})
    listener = Echo()
    talk = session(listener, turns, pace=paced(50))
    talk.receive(pcm("..........SSSS" + "." * 9))
    drain(talk)
    talk.control(Ask("What was that?"))
    talk.receive(pcm("..SSSSSSSS" + "." * 40))
    drain(talk)
    assert not [line for line in listener.diary if line.startswith("forgot")]


def test_a_turn_is_not_gone_on_with_for_longer_than_the_ring() -> None:
    turns = TURNS.model_copy(update={"ring_s": 0.5})
    listener = Echo()
    script = ("SSSS" + "." * 10) * 3 + "." * 40
    converse(session(listener, turns, pace=paced(50)), [pcm(script)])
    assert [entry for entry in listener.diary if "open" in entry] == ["open 0", "open 0", "open 5"]


@pytest.mark.parametrize(("silence", "control"), [(9, Clear()), (3, Commit())])
def test_what_was_cleared_or_committed_is_not_gone_on_with(silence: int, control: Control) -> None:
    listener = Echo()
    script: list[bytes | Control] = [
        pcm("SSSS" + "." * silence), control, pcm("." * 6 + "SSSSSSSS" + "." * 40)
    ]  # fmt: skip
    converse(session(listener, pace=paced(50)), script)
    opened = [line for line in listener.diary if "open" in line]
    assert opened == ["open 0", "open 2" if silence == 3 else "open 3"]
    forgotten = [line for line in listener.diary if "unheard" in line]
    paused, now = (4 + CONFIG.pause_frames) * FRAME_SAMPLES, (4 + silence) * FRAME_SAMPLES
    assert forgotten == ([f"unheard {paused} {now}"] if isinstance(control, Clear) else [])


def test_the_context_before_an_utterance_is_in_its_turn() -> None:
    turns = TURNS.model_copy(update={"context_s": 4 * WINDOW / 16_000})
    listener = Echo()
    converse(session(listener, turns), [pcm("." * 40 + "SSSS" + "." * 20)])
    assert listener.diary[0] == f"open {40 // 4 - 4}"


def test_too_long_an_utterance_is_answered_piece_by_piece() -> None:
    config = CONFIG.model_copy(update={"max_utterance_s": 20 * 0.02})
    listener = Echo()
    script = "S" * 70 + "." * 20
    events = converse(session(listener, config=config), [pcm(script)])
    assert [e.at for e in events if isinstance(e, SpeechStarted)] == [
        i * 20 * FRAME_SAMPLES for i in range(4)
    ]
    assert sum(entry.startswith("open") for entry in listener.diary) == 4


def test_speech_open_at_the_end_of_input_is_answered() -> None:
    events = converse(session(), [pcm("..SSSS")])
    assert SpeechEnded(6 * FRAME_SAMPLES, 6 * FRAME_SAMPLES) in events
    assert text(events) == "I heard 2 windows"


def test_silence_gives_nothing() -> None:
    assert converse(session(), [pcm("." * 100)]) == []


def test_a_typed_question_is_about_all_that_was_heard() -> None:
    listener = Echo()
    events = converse(session(listener), [pcm("." * 10), Ask("What was that?")])
    assert listener.diary == ["open 0 What was that?", "answered"]
    assert text(events) == "I heard 3 windows"


def test_a_reply_is_cancelled_with_what_was_given_out() -> None:
    listener = Echo()
    talk = session(listener)
    talk.receive(pcm("...SSSS" + "." * 9))
    drain(talk)
    talk.control(Cancel())
    assert drain(talk) == [ReplyEnded(2, "cancelled")]
    talk.control(Cancel())
    assert drain(talk) == [Refused("there is no reply to cancel")]
    assert listener.diary == ["open 0", "said 2"]


def test_a_reply_is_cancelled_before_its_first_token() -> None:
    listener = Echo()
    events = converse(session(listener), [pcm("...SSSS" + "." * 8), Cancel()])
    assert events[-1] == ReplyEnded(1, "cancelled")
    assert listener.diary == ["open 0", "said 1"]


def test_who_speaks_when_a_reply_is_cancelled_is_answered() -> None:
    listener = Echo()
    script: Script = [pcm("...SSSS" + "." * 8 + "SSSS"), Cancel(), pcm("S" + "." * 8)]
    events = converse(session(listener), script)
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == ["cancelled", "complete"]
    assert listener.diary[-1] == "answered"


def test_who_has_paused_when_a_reply_is_cancelled_is_answered() -> None:
    listener = Echo()
    talk = session(listener, pace=paced(0))
    events = converse(talk, [Ask("What?"), pcm("SSS" + "." * 4), Cancel(), pcm("." * 8)])
    assert [e.reason for e in events if isinstance(e, ReplyEnded)] == ["cancelled", "complete"]
    assert listener.diary[-2:] == ["open 0", "answered"]


def test_clear_drops_what_is_being_said_and_not_a_reply() -> None:
    listener = Echo()
    talk = session(listener, by_hand=True)
    events = converse(talk, [pcm("SSSS"), Clear(), pcm("S" * 8), Commit(), Clear(), pcm("." * 9)])
    assert text(events) == "I heard 2 windows"


def test_a_commit_can_bring_its_own_instruction() -> None:
    listener = Echo()
    converse(session(listener, by_hand=True), [pcm("SSSS"), Commit("Count."), pcm("." * 9)])
    assert listener.diary[:3] == ["open 0", "instructed Count.", "answered"]


def test_other_settings_hold_from_there_on() -> None:
    listener = Echo()
    patient = CONFIG.model_copy(update={"min_silence_frames": 12})
    script: Script = [pcm("SSSS" + "." * 9), Configure(instruction="New.", endpointing=patient)]
    script += [pcm("SSSS" + "." * 11), Configure(turns=WAITING), pcm("..SSSS" + "." * 12)]
    events = converse(session(listener), script)
    ends = [e.decided_at // FRAME_SAMPLES for e in events if isinstance(e, SpeechEnded)]
    assert ends == [12, 29, 46], "8 frames of silence, then 12"
    assert "configured New." in listener.diary


def test_other_endpointing_ends_an_utterance_that_goes_on() -> None:
    patient = CONFIG.model_copy(update={"min_silence_frames": 12})
    script: Script = [pcm("SSSS"), Configure(endpointing=patient), pcm("." * 10)]
    events = converse(session(), script)
    assert [e for e in events if isinstance(e, SpeechEnded)] == [
        SpeechEnded(4 * FRAME_SAMPLES, 4 * FRAME_SAMPLES)
    ]


def test_what_a_turn_left_to_do_is_done_when_there_is_time() -> None:
    listener = Echo()
    talk = session(listener)
    talk.receive(pcm("...SSSS" + "." * 20))
    while listener.diary[-1:] != ["answered"]:
        talk.step()
    listener.untidy = 3
    done = []
    while talk.step() is not NEED_DATA:
        done.append(talk.work)
    assert done[-3:] == [Work.TIDY] * 3
    assert Work.TIDY not in done[:-3], "after the frames that waited"


def test_a_step_is_one_piece_of_work() -> None:
    talk = session()
    talk.receive(pcm("SSSS"))
    done = []
    while talk.step() is not NEED_DATA:
        done.append(talk.work)
    assert done == [Work.LISTEN, Work.LISTEN, Work.LISTEN, Work.LISTEN, Work.PREFILL]


def test_the_prompts_end_is_what_is_left_at_the_endpoint() -> None:
    talk = session(turns=OPENLY)
    talk.receive(pcm("SSSSS" + "." * 8))
    done = []
    while talk.step() is not NEED_DATA:
        done.append(talk.work)
    paused = done.index(Work.ENCODE)
    silence = CONFIG.min_silence_frames - CONFIG.pause_frames
    assert done[paused : paused + 2] == [Work.ENCODE, Work.PREFILL]
    left = [Work.CAPTION, Work.ASK, Work.DECODE]  # whether it says "stop", first
    assert done[paused + 2 :][: silence + 3] == [Work.LISTEN] * silence + left


def test_input_after_its_end_is_refused() -> None:
    talk = session()
    talk.receive_eof()
    with pytest.raises(EOFError, match="after receive_eof"):
        talk.receive(b"")


class Crowded(Echo):
    """Once has no room for the second turn."""

    crowded = True

    def ask(self) -> int:
        if self.turn == 1 and self.crowded:
            self.crowded = False
            raise ContextFullError("full")
        return super().ask()


def test_who_goes_on_after_a_turn_without_room_forgets_no_turn_before_it() -> None:
    listener = Crowded()
    turn = "SSSS" + "." * 20
    pause = "." * 60
    events = converse(session(listener, turns=OPENLY), [pcm("..." + turn + pause + turn + turn)])
    assert [event.code for event in events if isinstance(event, Refused)] == ["context_full"]
    assert [event.turn for event in events if isinstance(event, ReplyStarted)] == [0, 1]
    assert not [line for line in listener.diary if line.startswith("forgot")]
