"""The wire: recordings as items, and a conversation that is restored."""

import base64
import json

import numpy as np
import pytest

from streaming.audio.frames import FRAME_SAMPLES
from tests.streaming.realtime.client import MANUAL, TURN, Client, Json
from tests.streaming.realtime.test_answers import answered, recording


def test_a_recording_is_an_item_and_heard_as_a_turn() -> None:
    client = Client()
    client.speak("." * 10)
    events = client.send("conversation.item.create", item=recording("S" * 16, id="rec"))
    assert [e["type"] for e in events] == ["conversation.item.added", "conversation.item.done"]
    part = events[1]["item"]["content"][0]
    assert part == {"type": "input_audio", "transcript": None}, "its audio is not told back"
    client.speak("." * 30)
    assert "response.created" not in client.kinds(), "it waits to be asked for"
    client.send("response.create")
    client.speak("." * 9)
    usage = answered(client)["usage"]["input_token_details"]
    assert usage["audio_tokens"] == 2 * 5, "16 frames that begin within a window"
    client.send("conversation.item.delete", item_id="rec")
    assert client.listener.diary[-1] == f"unheard {10 * FRAME_SAMPLES} {26 * FRAME_SAMPLES}"


@pytest.mark.parametrize("rate", [16000, 24000])
def test_a_recording_is_in_the_sessions_format_and_no_frame_is_lost(rate: int) -> None:
    client = Client(audio={"input": {"format": {"type": "audio/pcm", "rate": rate}}})
    samples = np.full(rate // 2 + 7, 9000, "<i2").tobytes()  # half a second, and a bit
    item = recording("")
    item["content"][0]["audio"] = base64.b64encode(samples).decode()
    client.send("conversation.item.create", item=item)
    heard = sum(len(piece) for piece in client.listener.heard)
    assert heard == 26 * FRAME_SAMPLES


def test_the_longest_recording_and_one_sample_more() -> None:
    turns = Client().protocol._defaults.turns
    client = Client()
    most = round(turns.ring_s * 50)
    (added, _) = client.send("conversation.item.create", item=recording("S" * most, id="rec"))
    assert added["type"] == "conversation.item.added"
    item = recording("")
    item["content"][0]["audio"] = base64.b64encode(bytes(2)).decode()
    (error,) = client.send("conversation.item.create", item=item)
    assert error["error"]["code"] == "recording_too_long"
    client.send("response.create")
    client.speak("." * 30)
    assert client.send("conversation.item.create", item=item)[0]["type"] != "error"


def test_captions_are_not_given_to_other_messages_when_a_turn_is_given_up() -> None:
    transcription = {"model": "whisper-1"}
    client = Client(audio={"input": {"transcription": transcription}})
    client.session._pace = lambda n: n % 30 == 0  # slow answers
    client.speak("...SSSS" + "." * 12)
    client.send("conversation.item.create", item=recording("S" * 8, id="rec"))  # never asked about
    client.speak("." * 200 + "SSSS" + "." * 200)
    committed = [e["item_id"] for e in client.sent if e["type"] == "input_audio_buffer.committed"]
    completed = "conversation.item.input_audio_transcription.completed"
    told = [e["item_id"] for e in client.sent if e["type"] == completed]
    assert told == committed


def test_by_hand_a_recording_and_what_is_appended_are_one_turn() -> None:
    client = Client(**MANUAL)
    client.send("conversation.item.create", item=recording("S" * 8))
    client.speak("S" * 8)
    client.send("input_audio_buffer.commit")
    client.send("response.create")
    client.speak("." * 9)
    assert answered(client)["usage"]["input_token_details"]["audio_tokens"] == 8


def test_a_recording_is_transcribed_where_that_is_wished() -> None:
    client = Client(audio={"input": {"transcription": {"model": "whisper-1"}}})
    item = recording("S" * 16, id="rec")
    item["content"].insert(0, {"type": "input_text", "text": "Who speaks?"})
    client.send("conversation.item.create", item=item)
    completed = client.last("conversation.item.input_audio_transcription.completed")
    assert (completed["item_id"], completed["content_index"]) == ("rec", 1)
    assert completed["usage"]["seconds"] == 0.32
    (told,) = client.send("conversation.item.retrieve", item_id="rec")
    assert told["item"]["content"][1]["transcript"] == completed["transcript"]
    assert told["item"]["content"][0]["text"] == "Who speaks?"
    client.send("response.create")
    assert "open 0 Who speaks?" in client.listener.diary, "the text is about the recording"


def test_history_is_restored_as_text() -> None:
    client = Client()
    thanks = {"type": "output_audio", "transcript": "Thanks for calling."}
    light = {"type": "input_audio", "transcript": "Turn on the light."}
    for role, part in (("user", light), ("assistant", thanks), ("user", light)):
        item = {"type": "message", "role": role, "content": [part]}
        events = client.send("conversation.item.create", item=item)
        assert events[1]["item"]["content"] == [part]
    client.send("response.create")
    assert "open 0 Turn on the light." in client.listener.diary, "what was not answered, once"


@pytest.mark.parametrize(
    ("role", "part", "param"),
    [
        ("user", {"type": "input_audio"}, "item.content[0].audio"),
        ("user", {"type": "input_audio", "audio": "*"}, "item.content[0].audio"),
        ("assistant", {"type": "output_audio"}, "item.content[0].transcript"),
        ("assistant", {"type": "output_audio", "audio": "AAAA"}, "item.content[0].transcript"),
        ("user", {"type": "input_image", "image_url": "x"}, "item.content[0].type"),
        ("user", {"type": "text", "text": "x"}, "item.content.0.type"),
    ],
)
def test_what_cannot_be_in_an_item_is_named(role: str, part: Json, param: str) -> None:
    client = Client()
    item = {"type": "message", "role": role, "content": [part]}
    (error,) = client.send("conversation.item.create", item=item, event_id="e")
    assert error["type"] == "error"
    assert (error["error"]["param"], error["error"]["event_id"]) == (param, "e")
    client.speak(TURN)
    assert answered(client)["status"] == "completed"


def test_an_item_that_cannot_be_put_anywhere_is_not_heard() -> None:
    client = Client()
    output = client.protocol.receive(
        json.dumps({"type": "conversation.item.create", "item": recording("S" * 8),
                    "previous_item_id": "nowhere"})
    )  # fmt: skip
    assert output.events[0]["error"]["code"] == "item_not_found"
    assert output.inputs == []
    client.speak(TURN)
    assert answered(client)["status"] == "completed"
