"""The wire: items are put in order, refused, deleted and truncated."""

from typing import Any

import pytest

from streaming.audio.frames import FRAME_SAMPLES
from tests.streaming.realtime.client import MANUAL, TURN, Client, Json, typed


def test_items_are_put_in_order_told_and_deleted() -> None:
    client = Client()

    def create(name: str, **more: Any) -> list[Json]:
        item = {"id": name, "type": "message", "role": "user", "content": []}
        return client.send("conversation.item.create", item=item, **more)

    assert create("a")[0]["previous_item_id"] is None
    assert create("c")[0]["previous_item_id"] == "a"
    assert create("b", previous_item_id="a")[0]["previous_item_id"] == "a"
    assert create("z", previous_item_id="root")[0]["previous_item_id"] is None
    assert create("d", previous_item_id="x")[0]["error"]["code"] == "item_not_found"
    assert create("a")[0]["error"]["code"] == "item_id_taken"
    assert client.send("conversation.item.delete", item_id="a")[0]["item_id"] == "a"
    assert client.send("conversation.item.retrieve", item_id="a")[0]["type"] == "error"
    assert client.send("conversation.item.delete", item_id="a")[0]["type"] == "error"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call_output", "call_id": "c", "output": "{}"}, "item.type"),
        ({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}, "item.type"),
        ({"type": "message", "role": "system",
          "content": [{"type": "input_text", "text": "You are a pirate."}]}, "item.role"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_read_is_refused_and_never_asked(item: Json, param: str) -> None:
    client = Client()
    (error,) = client.send("conversation.item.create", item=item, event_id="mine")
    told = error["error"]
    assert (told["code"], told["param"], told["event_id"]) == ("unsupported_item", param, "mine")
    (error,) = client.send("response.create", response={"input": [item]})
    assert error["error"]["param"] == param.replace("item", "response.input[0]")
    client.send("response.create")
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"
    assert "open 0" in client.listener.diary, "in the session's words"


def test_what_is_deleted_is_forgotten() -> None:
    client = Client()
    client.speak(TURN)
    answer = client.last("conversation.item.done")["item"]["id"]
    question = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.create", item=typed("user", "Why?", id="why"))
    client.send("response.create")
    client.speak("." * 9)
    for item_id, told in (
        (question, ["forgot question 0", f"unheard {3 * FRAME_SAMPLES} {7 * FRAME_SAMPLES}"]),
        (answer, ["forgot answer 0"]),
        ("why", ["erased why"]),
    ):
        before = len(client.listener.diary)
        client.send("conversation.item.delete", item_id=item_id)
        assert client.listener.diary[before:] == told


def test_what_is_deleted_before_it_was_answered_is_not_heard_later() -> None:
    client = Client()
    client.update(MANUAL)
    client.speak("." * 4)
    client.send("input_audio_buffer.commit")
    client.speak("." * 6)
    client.send("input_audio_buffer.commit")
    item_id = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.delete", item_id=item_id)
    assert client.listener.diary[-1] == f"unheard {4 * FRAME_SAMPLES} {10 * FRAME_SAMPLES}"


def test_only_what_was_said_aloud_can_be_truncated() -> None:
    client = Client()
    client.speak(TURN)
    answer = client.last("response.done")["response"]["output"][0]["id"]
    place = {"item_id": answer, "content_index": 0}
    (told,) = client.send("conversation.item.truncate", **place, audio_end_ms=0)
    assert (told["type"], told["item_id"]) == ("conversation.item.truncated", answer)
    assert (told["content_index"], told["audio_end_ms"]) == (0, 0)
    (kept,) = client.send("conversation.item.retrieve", item_id=answer)
    assert kept["item"]["content"][0]["text"] == "I heard 3 windows"
    (error,) = client.send("conversation.item.truncate", **place, audio_end_ms=1)
    assert error["error"]["param"] == "audio_end_ms"
    heard = client.last("input_audio_buffer.committed")["item_id"]
    (error,) = client.send("conversation.item.truncate", item_id=heard, audio_end_ms=0)
    assert error["error"]["param"] == "item_id"
    (error,) = client.send("conversation.item.truncate", item_id=answer, content_index=1)
    assert error["error"]["param"] == "content_index"


def test_a_text_that_was_deleted_is_not_asked() -> None:
    client = Client()
    for name, text in (("a", "First?"), ("b", "Second?"), ("c", "Third?")):
        client.send("conversation.item.create", item=typed("user", text, id=name))
    client.send("conversation.item.delete", item_id="b")
    client.send("response.create")
    assert "open 0 First?\nThird?" in client.listener.diary
    client.speak("." * 9)
    client.send("response.create")  # they were answered
    assert client.listener.diary[-1] == "open 0"


def test_texts_are_asked_in_the_order_of_the_conversation() -> None:
    client = Client()
    client.send("conversation.item.create", item=typed("user", "Second?"))
    first = typed("user", "First.")
    client.send("conversation.item.create", item=first, previous_item_id="root")
    client.send("response.create", response={"instructions": "Do this:"})
    assert "open 0 Do this:\nFirst.\nSecond?" in client.listener.diary


def test_texts_that_the_client_answered_itself_are_not_asked() -> None:
    client = Client()
    client.send("conversation.item.create", item=typed("user", "Hello?"))
    client.send("conversation.item.create", item=typed("assistant", "Hello."))
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    client.send("response.create")
    assert "open 0 What was that?" in client.listener.diary


@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_said_and_deleted_is_not_answered(deleted: bool) -> None:
    detection = {"type": "server_vad", "create_response": False, "silence_duration_ms": 160}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak("...SSSS" + "." * 20)
    if deleted:
        heard = client.last("input_audio_buffer.committed")["item_id"]
        client.send("conversation.item.delete", item_id=heard)
    client.speak("." * 60)
    client.send("response.create")
    client.speak("." * 9)
    assert ("said 0" in client.listener.diary) is False
    opened = [line for line in client.listener.diary if line.startswith("open")]
    assert len(opened) == (2 if deleted else 1)  # about everything, instead of that turn
    assert client.last("response.done")["response"]["status"] == "completed"


def test_what_is_being_said_survives_the_deletion_of_what_was_said_before() -> None:
    detection = {"type": "server_vad", "create_response": False, "silence_duration_ms": 160}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak("...SSSS" + "." * 10 + "SSSS")
    heard = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.delete", item_id=heard)
    client.speak("SSSS" + "." * 10)
    client.send("response.create")
    client.speak("." * 9)
    assert client.last("response.done")["response"]["usage"]["input_tokens"] > 5
