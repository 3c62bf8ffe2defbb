import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.conversation import Conversation
from assistant.model import Salmonn
from streaming.events import (
    AudioPrefilled,
    Event,
    ReplyDelta,
    ReplyEnded,
    SpeechEnded,
    SpeechStarted,
)
from streaming.frames import FRAME_SAMPLES
from streaming.session import NEED_DATA, Session, Work
from streaming.vad import Endpointer
from tests.laws import cuts
from tests.streaming.fakes import CONFIG, Echo, converse, loudness, pcm, session

# Runs long enough to start and end utterances; letters drawn one by one almost never do.
runs = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 16)), max_size=5)
scripts = runs.map(lambda runs: "".join("S" * speech + "." * pause for speech, pause in runs))


def text(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, ReplyDelta))


@settings(max_examples=200)
@given(data=st.data(), script=scripts)
def test_any_rechunking_gives_identical_events(data: st.DataObject, script: str) -> None:
    audio = pcm(script)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(session(), chunks) == converse(session(), [audio])


def test_one_turn() -> None:
    events = converse(session(), [pcm("....SSSS" + "." * 12)])
    at = [i * FRAME_SAMPLES for i in range(30)]
    assert events == [
        SpeechStarted(at[4]),
        AudioPrefilled(at[7], 1),
        AudioPrefilled(at[10], 2),
        AudioPrefilled(at[14], 3),
        SpeechEnded(at[8], at[16]),
        ReplyDelta("I heard "),
        ReplyDelta("14"),
        ReplyDelta(" frames"),
        ReplyEnded(audio_tokens=4, prefilled_before_end=1, tokens=4),
    ]


def test_the_utterance_is_what_was_said_with_pre_roll_and_hangover() -> None:
    listener = Echo()
    script = "......SSSS" + "." * 20 + "SSS" + "." * 20
    converse(session(listener), [pcm(script)])
    heard = [len(u) // FRAME_SAMPLES for u in listener.utterances]
    assert heard == [2 + 4 + 8, 2 + 3 + 8]
    levels = listener.utterances[0].reshape(-1, FRAME_SAMPLES).mean(1)
    assert (levels > 0.1).tolist() == [False] * 2 + [True] * 4 + [False] * 8


@given(scripts)
def test_no_frame_of_an_utterance_is_lost_or_heard_twice(script: str) -> None:
    listener = Echo()
    events = converse(session(listener), [pcm(script)])
    starts = [e.at for e in events if isinstance(e, SpeechStarted)]
    ends = [e.decided_at for e in events if isinstance(e, SpeechEnded)]
    assert len(starts) == len(ends) == len(listener.utterances)
    last = 0
    for start, end, heard in zip(starts, ends, listener.utterances, strict=True):
        first = max(last, start - CONFIG.pre_roll_frames * FRAME_SAMPLES)
        assert len(heard) == end - first
        last = end


def test_speech_open_at_the_end_of_input_is_answered() -> None:
    events = converse(session(), [pcm("..SSSS")])
    assert SpeechEnded(6 * FRAME_SAMPLES, 6 * FRAME_SAMPLES) in events
    assert text(events) == "I heard 6 frames"


def test_silence_gives_nothing() -> None:
    assert converse(session(), [pcm("." * 100)]) == []


def test_a_step_is_one_piece_of_work() -> None:
    talk = session()
    talk.receive(pcm("SSS"))
    done = []
    while talk.step() is not NEED_DATA:
        done.append(talk.work)
    assert done == [Work.FRAME, Work.FRAME, Work.FRAME, Work.ENCODE]


def test_input_after_its_end_is_refused() -> None:
    talk = session()
    talk.receive_eof()
    with pytest.raises(EOFError, match="after receive_eof"):
        talk.receive(b"")


def tiny_session(model: Salmonn) -> Session:
    conversation = Conversation(model, "What is said?")
    lookback = CONFIG.pre_roll_frames + CONFIG.min_speech_frames
    return Session(Endpointer(lambda: loudness, CONFIG), conversation, lookback)


def speech(script: str) -> bytes:
    rng = np.random.default_rng(1)
    shape = np.frombuffer(pcm(script), "<i2")
    return (shape * rng.uniform(0.4, 1, len(shape))).astype("<i2").tobytes()


SCRIPT = "." * 5 + "S" * 90 + "." * 12 + "S" * 40 + "." * 12


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_the_tiny_model_obeys_the_law_too(tiny: Salmonn, data: st.DataObject) -> None:
    audio = speech(SCRIPT)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(tiny_session(tiny), chunks) == converse(tiny_session(tiny), [audio])


def test_a_streamed_reply_equals_the_offline_answer(tiny: Salmonn) -> None:
    """Same model, same samples: heard while spoken, or encoded at the end."""
    audio = speech(SCRIPT)
    events = converse(tiny_session(tiny), [audio])
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
    turns = [i for i, e in enumerate(events) if isinstance(e, ReplyEnded)]
    begin = 0
    for turn, (first, end) in zip(turns, [(3, 103), (105, 155)], strict=True):
        streamed = text(events[begin:turn])
        heard = samples[first * FRAME_SAMPLES : end * FRAME_SAMPLES]
        assert streamed == "".join(tiny.ask(heard, "What is said?"))
        assert streamed
        begin = turn + 1


def test_audio_tokens_are_prefilled_before_speech_ends(tiny: Salmonn) -> None:
    events = converse(tiny_session(tiny), [speech(SCRIPT)])
    ended = next(e for e in events if isinstance(e, ReplyEnded))
    assert ended.prefilled_before_end == 8  # two blocks of 0.64 s in 1.84 s of speech and pre-roll
    assert ended.audio_tokens == 14
