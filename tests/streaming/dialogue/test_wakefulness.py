"""Sessions that sleep until a word is said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.sound.recording import to_pcm16
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wake_word import Hears, WakeWord
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.controls import Ask, Commit, Configure, Hold
from streaming.detectors.choose import choose_endpointer
from streaming.detectors.wake_word import wake_word
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.wakefulness import Wakefulness
from streaming.dialogue.work import NEED_DATA, Pace
from streaming.events import (
    Event,
    FellAsleep,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
    Woken,
)
from streaming.instruments.replay import play
from streaming.tape.event_json import to_json
from streaming.tape.tape import Recorder, read_tape
from tests.laws import cuts
from tests.streaming.every_key.sessions import said, silence
from tests.streaming.fakes import (
    CONFIG,
    LEVELS,
    TURNS,
    Echo,
    Script,
    Speaker,
    converse,
    endpointer,
    pcm,
    session,
)

PATIENCE = 20
"""Frames of silence after which it sleeps."""


def called() -> Hears:
    """The word is a frame of "W"."""
    return lambda frame: bool(round(32768 * float(frame.samples()[0])) == LEVELS["W"])


def sleepy(
    listener: Echo | None = None,
    turns: TurnsConfig = TURNS,
    config: EndpointingConfig | None = CONFIG,
    pace: Pace | None = one_each,
    aloud: bool = False,
) -> Session:
    return Session(
        InputDecoder(InputFormat()),
        None if config is None else endpointer(config),
        listener or Echo(),
        turns,
        make_endpointer=endpointer,
        aloud=Aloud(Speaker()) if aloud else None,
        wakefulness=Wakefulness(WakeWord(called), "Hey", PATIENCE * FRAME_SAMPLES / 16_000),
        pace=pace,
    )


def states(events: list[Event]) -> list[tuple[str, int]]:
    return [
        ("asleep" if isinstance(e, FellAsleep) else "awake", e.at // FRAME_SAMPLES)
        for e in events
        if isinstance(e, FellAsleep | Woken)
    ]


def replies(events: list[Event]) -> int:
    return sum(isinstance(e, ReplyStarted) for e in events)


def test_it_begins_asleep_and_says_what_to_say() -> None:
    events = converse(sleepy(), [pcm("...")])
    assert events == [FellAsleep(0, "Hey")]


def test_who_speaks_to_others_is_not_answered_but_heard() -> None:
    listener = Echo()
    events = converse(sleepy(listener), [pcm("..SSSSSS" + "." * 20)])
    assert [type(event) for event in events] == [FellAsleep]
    assert listener.samples == 28 * FRAME_SAMPLES


def test_what_follows_the_word_is_answered() -> None:
    events = converse(sleepy(), [pcm("..SSW" + "S" * 14 + "." * 60)])
    assert states(events)[:2] == [("asleep", 0), ("awake", 5)]
    (began,) = [event for event in events if isinstance(event, SpeechStarted)]
    assert began.at == 5 * FRAME_SAMPLES
    assert replies(events) == 1


def test_the_question_may_be_about_what_was_heard_asleep() -> None:
    listener = Echo()
    near = TURNS.model_copy(update={"context_s": 0.4})
    converse(sleepy(listener, near), [pcm("S" * 20 + ".." + "W" + "S" * 14 + "." * 60)])
    assert listener.diary[0] == "open 0"  # 20 frames before the words: 3, in the first window


@pytest.mark.parametrize(("rest", "answered"), [(10, 0), (11, 1)])
def test_the_rest_of_the_word_is_no_question(rest: int, answered: int) -> None:
    assert replies(converse(sleepy(), [pcm("..W" + "S" * rest + "." * 60)])) == answered


def test_only_the_first_words_have_to_be_longer() -> None:
    events = converse(sleepy(), [pcm("..W" + "S" * 11 + "." * 20 + "SSS" + "." * 40)])
    assert replies(events) == 2


@pytest.mark.parametrize(("pause", "heard"), [(PATIENCE - 11, True), (PATIENCE - 10, False)])
def test_it_sleeps_after_a_silence(pause: int, heard: bool) -> None:
    """Eleven frames of speech are words, the first time."""
    events = converse(sleepy(), [pcm("W" + "." * pause + "S" * 12 + "." * 40)])
    assert bool(replies(events)) == heard


def test_a_talk_goes_on_without_the_word() -> None:
    """Neither speech nor a reply is a silence."""
    script = "..W" + "S" * 14 + "." * 12 + "S" * 30 + "." * 15 + "S" * 8 + "." * 80
    events = converse(sleepy(aloud=True), [pcm(script)])
    assert [state for state, _ in states(events)] == ["asleep", "awake", "asleep"]


def test_who_wishes_for_quiet_gets_it() -> None:
    events = converse(sleepy(), [pcm("..W" + "X" * 14 + "." * 12)])
    assert [state for state, _ in states(events)] == ["asleep", "awake", "asleep"]
    assert replies(events) == 0


def test_a_timer_that_rings_is_told_and_can_be_silenced() -> None:
    listener = Echo()
    listener.coming = [(4 * FRAME_SAMPLES, "a very long name indeed")]
    talk = sleepy(listener, aloud=True)
    events = converse(talk, [pcm("." * 8 + "XXXXXX" + "." * 40)])
    assert states(events)[:2] == [("asleep", 0), ("awake", 4)]
    assert any(isinstance(event, SpeechEnded) for event in events)


def test_typed_questions_are_answered_asleep() -> None:
    assert replies(converse(sleepy(), [pcm("...."), Ask("What?"), pcm("." * 30)])) == 1


def test_push_to_talk_needs_no_word() -> None:
    script: Script = [pcm("SSSSS"), Hold(), Commit(), pcm("." * 30)]
    events = converse(sleepy(config=None), script)
    assert states(events) == []
    assert replies(events) == 1


def test_who_only_reads_along_needs_no_word() -> None:
    reading = TURNS.model_copy(update={"auto_reply": False})
    assert states(converse(sleepy(turns=reading), [pcm("..SSSS" + "." * 20)])) == []


def test_another_endpointing_wakes_nobody() -> None:
    script: Script = [pcm("...."), Configure(endpointing=CONFIG), pcm("SSSSS" + "." * 20)]
    assert replies(converse(sleepy(), script)) == 0


def test_who_is_asleep_does_not_answer_silence_when_woken() -> None:
    """The silence after a reply is over when the session falls asleep."""
    asks = TURNS.model_copy(update={"idle_timeout_s": 5.0})
    script = "..W" + "S" * 14 + "." * 300 + "W" + "." * 10
    events = converse(sleepy(turns=asks), [pcm(script)])
    assert [state for state, _ in states(events)] == ["asleep", "awake", "asleep", "awake"]
    assert replies(events) == 1


def test_without_a_word_nothing_ever_sleeps() -> None:
    assert states(converse(session(), [pcm("." * 200 + "SSSS" + "." * 20)])) == []


runs = st.lists(
    st.tuples(st.sampled_from("SSMXW"), st.integers(1, 14), st.integers(1, 24)), max_size=7
)
scripts = runs.map(lambda runs: "".join(kind * n + "." * pause for kind, n, pause in runs))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), script=scripts, aloud=st.booleans())
def test_any_rechunking_gives_identical_events(
    data: st.DataObject, script: str, aloud: bool
) -> None:
    audio = pcm(script)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(sleepy(aloud=aloud), chunks) == converse(sleepy(aloud=aloud), [audio])


@settings(max_examples=100, deadline=None)
@given(script=scripts, steps=st.lists(st.integers(0, 40), min_size=5, max_size=5))
def test_a_tape_gives_the_same_events_again(script: str, steps: list[int]) -> None:
    audio, lines = pcm(script), list[str]()
    recorder = Recorder(sleepy(pace=None), {}, lines.append, lambda: 0.0)
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
    for version in (tape, tape.recut(3)):
        events = play(version, sleepy(pace=version.pace))
        assert [to_json(event) for event in events] == tape.events


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=60))
def test_its_states_take_turns(frames: list[tuple[bool, bool, bool]]) -> None:
    awake = Wakefulness(WakeWord(called), "Hey", PATIENCE * FRAME_SAMPLES / 16_000)
    told: list[Event] = []
    for n, (spoken, busy, dismissed) in enumerate(frames):
        frame = Frame(n * FRAME_SAMPLES, pcm("W" if spoken else "."))
        told += awake.hear(frame, busy=busy, dismissed=dismissed)
        assert awake.is_awake == (not told or isinstance(told[-1], Woken))
    kinds = [type(event) for event in told]
    assert all(one is not other for one, other in pairwise(kinds))


def test_called_by_its_name_it_answers_what_follows_and_nothing_else() -> None:
    """The real word, in a voice."""

    def talk(*texts: str) -> list[Event]:
        real = Session(
            InputDecoder(InputFormat()),
            choose_endpointer(EndpointingConfig(eagerness=None)),
            Echo(),
            TurnsConfig(stop_words=[], backchannels=[]),
            make_endpointer=choose_endpointer,
            wakefulness=Wakefulness(WakeWord(wake_word("hey_jarvis")), "Hey Jarvis", 4.0),
            pace=one_each,
        )
        parts = [silence(1.0)]
        for text in texts:
            parts += [said(text), silence(1.0)]
        return converse(real, [to_pcm16(np.concatenate(parts))])

    assert replies(talk("What was that?", "Hey Jarvis.")) == 0
    assert replies(talk("Hey Jarvis, what was that?")) == 1
    assert replies(talk("Hey Jarvis.", "What was that?")) == 1
