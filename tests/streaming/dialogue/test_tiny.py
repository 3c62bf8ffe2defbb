"""The session's promises, with the tiny model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.conversation import Conversation
from assistant.model import Salmonn
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import TurnsConfig
from streaming.dialogue.session import Session, one_each
from streaming.events import (
    ReplyStarted,
)
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import OPENLY, scripts
from tests.streaming.fakes import (
    CONFIG,
    TURNS,
    converse,
    endpointer,
    pcm,
    text,
)


def tiny_session(model: Salmonn, turns: TurnsConfig = TURNS) -> Session:
    return Session(
        InputDecoder(InputFormat()),
        endpointer(CONFIG),
        Conversation(model, "What is said?"),
        turns,
        make_endpointer=endpointer,
        pace=one_each,
    )


def speech(script: str) -> bytes:
    rng = np.random.default_rng(1)
    shape = np.frombuffer(pcm(script), "<i2")
    return (shape * rng.uniform(0.4, 1, len(shape))).astype("<i2").tobytes()


SCRIPT = "." * 5 + "S" * 90 + "." * 6 + "S" * 20 + "." * 14 + "S" * 40 + "." * 12


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_the_tiny_model_obeys_the_law_too(tiny: Salmonn, data: st.DataObject) -> None:
    audio = speech(SCRIPT)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    assert converse(tiny_session(tiny), chunks) == converse(tiny_session(tiny), [audio])


@settings(max_examples=15, deadline=None)
@given(script=scripts)
def test_speculation_changes_no_token_of_the_tiny_model(tiny: Salmonn, script: str) -> None:
    audio = speech(script + SCRIPT)
    events = converse(tiny_session(tiny), [audio])
    assert events == converse(tiny_session(tiny, OPENLY), [audio])
    assert text(events)


def test_a_streamed_reply_equals_the_offline_answer(tiny: Salmonn) -> None:
    """Same model, same samples: heard while spoken, or encoded at the end."""
    audio = speech("S" * 90 + "." * 12)
    events = converse(tiny_session(tiny), [audio])
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(32768)
    heard = samples[: (90 + CONFIG.pause_frames) * FRAME_SAMPLES]
    assert text(events) == "".join(tiny.ask(heard, "What is said?")) != ""


def test_windows_are_prefilled_before_speech_ends(tiny: Salmonn) -> None:
    events = converse(tiny_session(tiny), [speech(SCRIPT)])
    started = next(e for e in events if isinstance(e, ReplyStarted))
    assert 0 < started.prefilled_before_end < started.windows
