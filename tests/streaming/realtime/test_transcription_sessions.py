"""Sessions that write down what is said, and answer nothing."""

from typing import Any

import pytest
from openai.types.realtime import SessionCreatedEvent, SessionUpdatedEvent

from streaming.realtime.wire import WireError
from tests.streaming.realtime.client import Client

KIND = "conversation.item.input_audio_transcription"
BY_HAND: Any = {"audio": {"input": {"turn_detection": None}}}


def transcribing(**changes: Any) -> Client:
    client = Client()
    told = client.send("session.update", session={"type": "transcription", **changes})
    assert [event["type"] for event in told] == ["session.updated"]
    return client


def texts(client: Client) -> list[str]:
    """What was written down, message by message."""
    return [e["transcript"] for e in client.sent if e["type"] == f"{KIND}.completed"]


def test_an_update_makes_a_session_that_only_transcribes() -> None:
    client = Client()
    wanted = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
    (updated,) = client.send("session.update", session={"type": "transcription", **wanted})
    shown = updated["session"]
    assert (shown["type"], shown["object"]) == (
        "transcription", "realtime.transcription_session",
    )  # fmt: skip
    assert shown["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    assert "output" not in shown["audio"]
    assert "create_response" not in shown["audio"]["input"]["turn_detection"]
    assert "instructions" not in shown
    updated["session"]["audio"]["input"]["format"]["rate"] = 24_000  # 16,000 is ours alone
    SessionUpdatedEvent.model_validate(updated)


def test_what_is_said_is_written_down_and_never_answered() -> None:
    client = transcribing()
    client.speak(("..." + "S" * 8 + "." * 14) * 3)
    first, *others = texts(client)
    assert first == "1 2 3 all"
    assert [text.split()[-1] for text in others] == ["all", "all"]
    assert not any(" 1 " in text for text in others), "what was told is not told again"
    assert client.kinds().count("input_audio_buffer.committed") == 3
    assert not [kind for kind in client.kinds() if kind.startswith("response.")]


def test_messages_by_hand_are_about_nothing_before_them() -> None:
    client = transcribing(**BY_HAND)
    for _ in range(3):
        client.speak("S" * 8)
        client.send("input_audio_buffer.commit")
    assert texts(client) == ["1 2 all"] * 3
    assert "input_audio_buffer.cleared" not in client.kinds()
    assert client.listener.diary.count("unheard 0 2560") == 1
    assert client.listener.diary.count("unheard 2560 5120") == 1


def test_a_client_that_clears_is_told() -> None:
    client = transcribing(**BY_HAND)
    client.speak("S" * 8)
    client.send("input_audio_buffer.commit")
    client.speak("S" * 8)
    client.send("input_audio_buffer.clear")
    assert client.kinds().count("input_audio_buffer.cleared") == 1
    client.send("input_audio_buffer.commit")
    assert client.sent[-1]["error"]["code"] == "input_audio_buffer_commit_empty"


def test_a_session_begins_as_one_of_transcription() -> None:
    client = Client()
    client.protocol.transcribe()
    (created, *_) = client.protocol.begin().events
    assert created["session"]["type"] == "transcription"
    assert created["session"]["audio"]["input"]["transcription"] == {
        "model": "whisper-1", "language": None, "prompt": None, "languages": None,
        "keywords": None, "delay": None,
    }  # fmt: skip
    created["session"]["audio"]["input"]["format"]["rate"] = 24_000  # 16,000 is ours alone
    SessionCreatedEvent.model_validate(created)


def test_it_stays_one() -> None:
    client = transcribing()
    (error,) = client.send("session.update", session={"type": "realtime"})
    assert error["error"]["code"] == "invalid_session_type"
    assert error["error"]["param"] == "session.type"


def test_a_preset_without_a_decoder_cannot_be_one() -> None:
    client = Client()
    client.protocol._can_transcribe = False
    (error,) = client.send("session.update", session={"type": "transcription"})
    assert error["error"]["code"] == "invalid_session_type"
    assert client.protocol.config.type == "realtime"
    with pytest.raises(WireError):
        client.protocol.transcribe()


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"instructions": "x"}, "session.instructions"),
        ({"tools": []}, "session.tools"),
        ({"voice": "alloy"}, "session.audio.output"),
        ({"audio": {"output": {"speed": 1.0}}}, "session.audio.output"),
        ({"salmonn": {"latency": True}}, "session.salmonn"),
        ({"audio": {"input": {"mood": 1}}}, "session.audio.input.mood"),
    ],
)
def test_settings_of_answers_are_errors_and_change_nothing(
    changes: dict[str, Any], param: str
) -> None:
    for client in (Client(), transcribing()):
        before = client.protocol.config
        (error,) = client.send("session.update", session={"type": "transcription", **changes})
        assert (error["error"]["code"], error["error"]["param"]) == ("unknown_parameter", param)
        assert client.protocol.config == before


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("response.create", {}),
        ("response.cancel", {}),
        ("conversation.item.create", {"item": {"type": "message", "role": "user"}}),
        ("conversation.item.truncate", {"item_id": "x"}),
    ],
)
def test_what_is_about_answers_is_an_error(kind: str, fields: dict[str, Any]) -> None:
    client = transcribing()
    (error,) = client.send(kind, event_id="e1", **fields)
    assert error["error"]["code"] == "invalid_event_for_session_type"
    assert error["error"]["event_id"] == "e1"


def test_an_answer_that_was_begun_before_is_given_to_its_end() -> None:
    client = Client()
    client.speak("...SSSS" + "." * 9)
    client.send("session.update", session={"type": "transcription"})
    client.speak("." * 20)
    assert client.kinds().count("response.done") == client.kinds().count("response.created") == 1
    client.speak("SSSSSSSS" + "." * 20)
    assert client.kinds().count("response.created") == 1
