"""The wire: functions that are run here, and what is told without being asked for."""

from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from assistant.tools.tool import ToolCall
from streaming.controls import Forget, Outcome
from tests.streaming.fakes import drain
from tests.streaming.realtime.client import TURN, Client, Json
from tests.streaming.realtime.test_calls import kinds
from tests.streaming.realtime.test_texts import controls

CALL = ToolCall("call_0_0", "get_time", "{}")
PARSED: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def calling(by: Any, *reply: str | ToolCall, aloud: bool = False) -> Client:
    """A client of a session that runs a function itself."""
    client = Client(words=True, aloud=aloud)
    client.listener.runners = {"get_time": by}
    client.listener.declared = ("get_time",)
    ask = client.listener.ask

    def asked() -> int:
        windows = ask()
        client.listener.reply = [*reply]
        return windows

    client.listener.ask = asked  # type: ignore[method-assign]
    return client


def result(client: Client, call: str, output: str) -> None:
    client.session.control(Outcome(call, output, "Noon."))
    for event in drain(client.session):
        client.sent += client.protocol.translate(event)


def test_a_call_and_what_came_of_it_are_an_item_that_no_client_is_asked_to_run() -> None:
    client = calling("session", CALL)
    client.speak(TURN)
    assert kinds(client) == [
        "response.created", "response.output_item.added", "conversation.item.added",
        "response.mcp_call_arguments.done", "response.mcp_call.in_progress",
        "response.mcp_call.completed", "response.output_item.done", "conversation.item.done",
        "response.output_item.added", "conversation.item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "conversation.item.done", "response.done",
    ]  # fmt: skip
    response = client.last("response.done")["response"]
    call, message = response["output"]
    assert {k: v for k, v in call.items() if k != "id"} == {
        "object": "realtime.item", "type": "mcp_call", "server_label": "salmonn",
        "name": "get_time", "arguments": "{}", "output": "{}", "error": None,
        "approval_request_id": None,
    }  # fmt: skip
    assert message["content"] == [{"type": "output_text", "text": "get_time done"}]
    assert client.last("response.output_text.delta")["output_index"] == 1
    (kept,) = client.send("conversation.item.retrieve", item_id=call["id"])
    assert kept["item"] == call
    forgotten = controls(client, "conversation.item.delete", item_id=call["id"])
    assert forgotten == [Forget(ref="call_0_0")]


def test_the_official_client_knows_each_of_these_events() -> None:
    client = calling("session", CALL)
    client.speak(TURN)
    for event in client.sent:
        assert PARSED.validate_python(event).type == event["type"]


def test_a_call_that_failed_says_why() -> None:
    client = calling("shell", CALL)
    client.speak(TURN)
    assert client.last("response.mcp_call.in_progress")["output_index"] == 0
    result(client, CALL.id, '{"error": "No clock."}')
    client.speak("." * 20)
    call, message = client.last("response.done")["response"]["output"]
    assert call["error"] == {"type": "tool_execution_error", "message": "No clock."}
    assert message["content"] == [{"type": "output_text", "text": "Noon."}]
    assert "response.mcp_call.failed" in client.kinds()


def test_an_answer_that_is_interrupted_before_leaves_no_call_open() -> None:
    client = calling("shell", CALL)
    client.speak(TURN + "." * 9 + "S" * 9)
    response = client.last("response.done")["response"]
    (call,) = response["output"]
    assert response["status"] == "cancelled"
    assert call["error"]["message"] == "the answer was over before"
    result(client, CALL.id, "{}")  # it is ignored
    assert client.last("response.done")["response"] == response


def test_text_before_a_call_and_after_it_is_one_message_also_aloud() -> None:
    client = calling("session", "Well. ", CALL, aloud=True)
    client.speak(TURN + "." * 200)
    message, call = client.last("response.done")["response"]["output"]
    assert (message["type"], call["type"]) == ("message", "mcp_call")
    assert message["content"] == [{"type": "output_audio", "transcript": "Well. get_time done"}]


def ringing(**changes: Any) -> Client:
    client = Client(words=True, **changes)
    client.listener.coming = [(20 * 320, "pasta")]
    return client


def test_a_timer_that_rings_is_an_ordinary_response_with_metadata() -> None:
    client = ringing(salmonn={"notices": True})
    client.speak("." * 40)
    told = client.last("salmonn.notice")
    assert {k: v for k, v in told.items() if k not in ("event_id", "type")} == {
        "audio_ms": 400, "notice": "timer", "name": "pasta", "text": "pasta rings",
    }  # fmt: skip
    response: Json = client.last("response.done")["response"]
    assert response["metadata"] == {"salmonn": "timer", "name": "pasta"}
    assert response["status"] == "completed"
    (item,) = response["output"]
    assert item["content"] == [{"type": "output_text", "text": "pasta rings"}]


def test_who_did_not_ask_is_told_nothing_but_the_response() -> None:
    client = ringing()
    client.speak("." * 40)
    assert "salmonn.notice" not in client.kinds()
    assert client.kinds().count("response.done") == 1


def test_what_waits_for_an_answer_is_not_answered_by_it() -> None:
    client = ringing()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    client.send("conversation.item.create", item={**item, "id": "hi"})
    client.speak("." * 40)
    assert client.last("response.done")["response"]["metadata"]
    client.send("response.create")
    client.speak("." * 20)
    assert client.kinds().count("response.done") == 2
    assert client.last("response.done")["response"]["metadata"] is None
