"""The wire: texts that clients put into the conversation, and what the session is told of them."""

import json
from typing import Any

import pytest

from streaming.controls import Ask, Commit, Control, Forget, Write
from tests.streaming.realtime.client import TURN, Client, Json, typed


def controls(client: Client, kind: str, **fields: Any) -> list[Control]:
    """What the session is to do about a message; it is not told yet."""
    output = client.protocol.receive(json.dumps({"type": kind, **fields}))
    assert [e for e in output.events if e["type"] == "error"] == []
    return [piece for piece in output.inputs if not hasattr(piece, "pcm")]


def put(client: Client, role: str, text: str, **more: Any) -> list[Control]:
    item = typed(role, text, id=text)
    return controls(client, "conversation.item.create", item=item, **more)


def said(client: Client) -> Json:
    return client.last("response.done")["response"]["output"][0]  # type: ignore[no-any-return]


def test_a_text_is_told_the_session_with_its_role_and_place() -> None:
    client = Client(words=True)
    client.speak(TURN)
    heard, reply = client.last("input_audio_buffer.committed")["item_id"], said(client)["id"]
    assert put(client, "user", "a") == [Write("a", "user", "a")]
    assert put(client, "system", "b") == [Write("b", "system", "b")]
    assert put(client, "assistant", "c", previous_item_id="a") == [
        Write("c", "assistant", "c", "a")
    ]
    assert put(client, "user", "d", previous_item_id="root") == [Write("d", "user", "d", "root")]
    assert put(client, "user", "e", previous_item_id=heard) == [
        Write("e", "user", "e", (0, "question"))
    ]
    assert put(client, "user", "f", previous_item_id=reply) == [
        Write("f", "user", "f", (0, "answer"))
    ]


def test_what_a_text_was_transcribed_from_is_no_matter() -> None:
    client = Client(words=True)
    part = {"type": "input_audio", "transcript": "Hello."}
    item = {"type": "message", "role": "user", "content": [part], "id": "a"}
    assert controls(client, "conversation.item.create", item=item) == [Write("Hello.", ref="a")]
    item = {"type": "message", "role": "user", "content": [], "id": "b"}
    assert controls(client, "conversation.item.create", item=item) == []


@pytest.mark.parametrize("words", [False, True])
def test_system_messages_are_refused_where_nobody_reads_them(words: bool) -> None:
    client = Client(words=words)
    (first, *_) = client.send("conversation.item.create", item=typed("system", "It is noon."))
    assert (first["type"] == "error") is not words
    if not words:
        assert first["error"]["param"] == "item.role"
    asked = {"input": [typed("system", "It is noon.")]}
    (error,) = client.send("response.create", response=asked)
    assert error["error"]["param"] == "response.input[0].role"


def test_an_answer_is_to_what_the_session_says() -> None:
    client = Client(words=True)
    client.send("conversation.item.create", item=typed("user", "Why?", id="why"))
    (asked,) = controls(client, "response.create", response={"max_output_tokens": 3})
    assert isinstance(asked, Commit)
    assert (asked.instruction, asked.or_ring, asked.max_new_tokens) == (None, True, 3)
    assert asked.kept


def test_answers_to_other_input_and_those_beside_leave_no_trace() -> None:
    client = Client(words=True)
    client.send("conversation.item.create", item=typed("user", "Why?", id="why"))
    (asked,) = controls(client, "response.create", response={"conversation": "none"})
    assert isinstance(asked, Commit)
    assert not asked.kept
    other = {"input": [typed("user", "Who?")], "instructions": "Say"}
    (asked,) = controls(client, "response.create", response=other)
    assert isinstance(asked, Ask)
    assert (asked.text, asked.alone, asked.kept) == ("Say\nWho?", True, True)


@pytest.mark.parametrize("answered", [False, True])
def test_a_text_that_is_deleted_is_forgotten_by_its_id(answered: bool) -> None:
    client = Client(words=True)
    client.send("conversation.item.create", item=typed("user", "Why?", id="why"))
    if answered:
        client.send("response.create")
        client.speak("." * 9)
    assert controls(client, "conversation.item.delete", item_id="why") == [Forget(ref="why")]


def test_a_text_is_answered_by_whichever_reply_the_session_says() -> None:
    client = Client(words=True)
    client.send("conversation.item.create", item=typed("user", "x" * 8999, id="long"))
    (error,) = client.send("conversation.item.create", item=typed("user", "yy"))
    assert error["error"]["code"] == "string_above_max_length"
    client.listener.answers = lambda: ("long",)  # type: ignore[method-assign]
    client.speak(TURN)
    client.send("conversation.item.create", item=typed("user", "yy"))
    assert client.kinds()[-1] == "conversation.item.done"
