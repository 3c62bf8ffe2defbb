"""Captions of what is said, with a scripted model and with the tiny one."""

from hypothesis import given
from hypothesis import strategies as st

from assistant.conversation import Conversation
from assistant.model import Salmonn
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.dialogue.session import Session, one_each
from streaming.events import (
    Caption,
    Event,
    ReplyStarted,
)
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import scripts
from tests.streaming.dialogue.test_tiny import SCRIPT, speech, tiny_session
from tests.streaming.fakes import (
    CONFIG,
    TURNS,
    converse,
    endpointer,
    pcm,
    session,
)

CAPTIONED = TURNS.model_copy(update={"captions": True})


def captions(events: list[Event]) -> list[Caption]:
    return [e for e in events if isinstance(e, Caption)]


def test_captions_come_while_speech_goes_on_and_the_last_one_after_the_first_text() -> None:
    events = converse(session(turns=CAPTIONED), [pcm("...SSSSSSSS" + "." * 20)])
    found = captions(events)
    assert [c.last for c in found] == [False] * (len(found) - 1) + [True]
    assert found[-1] == Caption("all", "", True, 3 * FRAME_SAMPLES)
    kinds = [type(e).__name__ for e in events]
    assert kinds.index("Caption") < kinds.index("SpeechEnded")
    assert events.index(found[-1]) == kinds.index("ReplyDelta") + 1


@given(data=st.data(), script=scripts)
def test_captions_obey_the_laws_and_every_reply_has_one_last(
    data: st.DataObject, script: str
) -> None:
    audio = pcm(script)
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    events = converse(session(turns=CAPTIONED), [audio])
    assert converse(session(turns=CAPTIONED), chunks) == events
    openly = CAPTIONED.model_copy(update={"speculate": False})
    assert converse(session(turns=openly), [audio]) == events
    replies = sum(isinstance(e, ReplyStarted) for e in events)
    assert sum(c.last for c in captions(events)) == replies
    without = [e for e in events if not isinstance(e, Caption)]
    assert without == converse(session(), [audio]), "captions change nothing else"


def test_the_tiny_model_is_captioned(tiny: Salmonn) -> None:
    talk = Session(
        InputDecoder(InputFormat()),
        endpointer(CONFIG),
        Conversation(tiny, "What is said?", captions=True),
        CAPTIONED,
        make_endpointer=endpointer,
        pace=one_each,
    )
    events = converse(talk, [speech(SCRIPT)])
    without = converse(tiny_session(tiny), [speech(SCRIPT)])
    assert [e for e in events if not isinstance(e, Caption)] == without
    assert captions(events)
    assert any(c.settled for c in captions(events) if c.last)
