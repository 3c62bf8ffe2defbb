"""Stop words and what listeners say, as clients are told of them."""

import pytest

from streaming.config import TurnsConfig
from streaming.events import FellAsleep, Woken
from streaming.realtime.session_config import Settings, initial, settings_for
from tests.streaming.fakes import CONFIG
from tests.streaming.realtime.client import TURN, Client, Json

LATE = "." * 12
"""Until an utterance is over."""

TRANSCRIBED = {"transcription": {"model": "whisper-1"}}


def under(said: str, *, aloud: bool = True) -> Client:
    """Something is said under an answer."""
    slowly = {"output": {"speed": 0.25}} if aloud else {}
    client = Client(aloud=aloud, audio={"input": TRANSCRIBED, **slowly})
    client.speak("...SSSS" + "." * (11 if aloud else 8))
    client.sent.clear()
    client.speak(said + LATE)
    return client


@pytest.mark.parametrize("aloud", [True, False])
def test_stop_words_cancel_the_answer_and_are_a_message_that_nobody_answers(aloud: bool) -> None:
    client = under("XXXX", aloud=aloud)
    done = client.last("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    after = client.kinds()[client.kinds().index("response.done") + 1 :]
    told = [kind for kind in after if not kind.endswith("transcription.delta")]
    assert told == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    transcribed = client.last("conversation.item.input_audio_transcription.completed")
    assert transcribed["item_id"] == client.last("input_audio_buffer.committed")["item_id"]


def test_the_next_question_is_answered_and_alone() -> None:
    client = under("XXXX")
    stop = client.last("input_audio_buffer.committed")["item_id"]
    client.speak("." * 40 + TURN + "." * 40)
    assert client.last("response.done")["response"]["status"] == "completed"
    client.listener.diary.clear()
    client.send("conversation.item.delete", item_id=stop)
    assert not [entry for entry in client.listener.diary if entry.startswith("forgot")]


def test_what_listeners_say_is_no_message_and_ends_nothing() -> None:
    client = under("MMMM")
    kinds = client.kinds()
    assert "input_audio_buffer.speech_stopped" in kinds
    assert "input_audio_buffer.committed" not in kinds
    client.speak("." * 60)
    assert client.last("response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize("interrupts", [True, False])
def test_interrupt_response_is_what_it_was(interrupts: bool) -> None:
    defaults = Settings(TurnsConfig(), CONFIG)
    config = initial(defaults, id="sess_1", model="tiny", instructions="")
    wished = config.audio.input.turn_detection
    assert wished is not None
    assert wished.interrupt_response
    changed = wished.model_copy(update={"interrupt_response": interrupts})
    heard = config.audio.input.model_copy(update={"turn_detection": changed})
    audio = config.audio.model_copy(update={"input": heard})
    turns = settings_for(config.model_copy(update={"audio": audio}), defaults).turns
    assert (turns.barge_in_frames is not None) == interrupts


def sleeping(**extensions: bool) -> list[Json]:
    """A session that wakes up, and sleeps again."""
    client = Client(salmonn=extensions)
    return [told for event in (FellAsleep(0, "Hey"), Woken(16_000), FellAsleep(32_000, "Hey"))
            for told in client.protocol.translate(event)]  # fmt: skip


def test_who_asks_is_told_whether_anybody_is_listened_to() -> None:
    told = [(e["type"], e["audio_ms"], e["awake"], e["phrase"]) for e in sleeping(wake=True)]
    assert told == [
        ("salmonn.wake", 0, False, "Hey"),
        ("salmonn.wake", 1000, True, None),
        ("salmonn.wake", 2000, False, "Hey"),
    ]
    assert sleeping() == []
