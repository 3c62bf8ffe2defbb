"""The wire: functions that are declared, calls of them, and what came of those."""

from typing import Any

import pytest

from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.controls import Called, Commit, Configure, Forget, Returned
from tests.streaming.realtime.client import TURN, Client, Json, typed
from tests.streaming.realtime.test_texts import controls

LIGHT: Json = {
    "type": "function",
    "name": "switch_light",
    "description": "Switches the light.",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}},
}
TOOL = Tool("switch_light", "Switches the light.", LIGHT["parameters"])
CALL = ToolCall("call_0_0", "switch_light", '{"on": true}')


def calling(*reply: str | ToolCall) -> Client:
    """A client with a function, and a model that says and calls this."""
    client = Client(words=True, tools=[LIGHT])
    ask = client.listener.ask

    def asked() -> int:
        windows = ask()
        client.listener.reply = [*reply]
        return windows

    client.listener.ask = asked  # type: ignore[method-assign]
    return client


def kinds(client: Client) -> list[str]:
    """Of the answer's events."""
    start = client.kinds().index("response.created")
    return client.kinds()[start:]


def test_a_call_is_an_item_of_its_own() -> None:
    client = calling(CALL)
    client.speak(TURN)
    assert kinds(client) == [
        "response.created", "response.output_item.added", "conversation.item.added",
        "response.function_call_arguments.delta", "response.function_call_arguments.done",
        "response.output_item.done", "conversation.item.done", "response.done",
    ]  # fmt: skip
    added, done = (
        client.last("response.output_item.added"),
        client.last("response.output_item.done"),
    )
    assert (added["item"]["status"], added["item"]["arguments"]) == ("in_progress", "")
    item = done["item"]
    assert {k: v for k, v in item.items() if k != "id"} == {
        "object": "realtime.item", "type": "function_call", "status": "completed",
        "call_id": "call_0_0", "name": "switch_light", "arguments": '{"on": true}',
    }  # fmt: skip
    told = client.last("response.function_call_arguments.done")
    assert (told["name"], told["arguments"], told["call_id"], told["item_id"]) == (
        "switch_light", '{"on": true}', "call_0_0", item["id"],
    )  # fmt: skip
    response = client.last("response.done")["response"]
    assert (response["status"], response["output"]) == ("completed", [item])
    (kept,) = client.send("conversation.item.retrieve", item_id=item["id"])
    assert kept["item"] == item
    forgotten = controls(client, "conversation.item.delete", item_id=item["id"])
    assert forgotten == [Forget(ref="call_0_0")]


def test_text_comes_before_calls_and_each_has_its_place() -> None:
    other = ToolCall("call_0_1", "switch_light", '{"on": false}')
    client = calling("Just ", "a moment.", CALL, other)
    client.speak(TURN)
    done = [e for e in client.sent if e["type"] == "response.output_item.done"]
    assert [(e["output_index"], e["item"]["type"]) for e in done] == [
        (0, "message"), (1, "function_call"), (2, "function_call"),
    ]  # fmt: skip
    assert done[0]["item"]["content"] == [{"type": "output_text", "text": "Just a moment."}]
    assert client.last("response.done")["response"]["output"] == [e["item"] for e in done]


@pytest.mark.parametrize("reply", [("Hello.",), ()])
def test_an_answer_that_could_call_and_does_not_is_a_message(reply: tuple[str, ...]) -> None:
    client = calling(*reply)
    client.speak(TURN)
    (item,) = client.last("response.done")["response"]["output"]
    assert item["content"] == [{"type": "output_text", "text": "".join(reply)}]
    assert item["status"] == "completed"


def test_who_interrupts_before_a_call_is_complete_is_told_of_none() -> None:
    client = calling(*[""] * 30, CALL)
    client.session._pace = lambda n: n % 3 == 0
    client.speak("...SSSS" + "." * 9 + "S" * 8)
    response = client.last("response.done")["response"]
    assert (response["status"], response["output"]) == ("cancelled", [])
    assert not any("function_call" in kind for kind in client.kinds())


def test_what_came_of_a_call_is_answered() -> None:
    client = calling(CALL)
    client.speak(TURN)
    output = {"type": "function_call_output", "call_id": "call_0_0", "output": "done", "id": "out"}
    assert controls(client, "conversation.item.create", item=output) == [
        Returned("call_0_0", "done", "out")
    ]
    (asked,) = controls(client, "response.create")
    assert isinstance(asked, Commit)
    assert asked.or_ring
    (kept,) = client.send("conversation.item.retrieve", item_id="out")
    assert kept["item"]["output"] == "done"
    assert controls(client, "conversation.item.delete", item_id="out") == [Forget(ref="out")]


def test_calls_can_be_restored() -> None:
    client = Client(words=True)
    item = {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}", "id": "i"}
    assert controls(client, "conversation.item.create", item=item) == [
        Called(ToolCall("c", "f", "{}"), "i")
    ]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call_output", "call_id": "x", "output": "y"}, "item.call_id"),
        ({"type": "function_call_output", "output": "y"}, "item.call_id"),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"},
            "item.arguments",
        ),
        ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "item.name"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "item.call_id"),
    ],
)
@pytest.mark.parametrize("words", [False, True])
def test_what_is_no_call_is_refused(item: Json, param: str, words: bool) -> None:
    (error,) = Client(words=words).send("conversation.item.create", item=item)
    assert error["error"]["param"] == (param if words else "item.type")


def test_what_is_declared_is_told_the_session_and_told_back() -> None:
    client = Client(words=True)
    named = {"type": "function", "name": "switch_light"}
    settings = {"type": "realtime", "tools": [LIGHT], "tool_choice": named}
    (wanted,) = controls(client, "session.update", session=settings)
    assert isinstance(wanted, Configure)
    assert (wanted.tools, wanted.tool_choice) == ((TOOL,), ToolChoice("named", "switch_light"))
    (told,) = client.update({"tool_choice": "auto"})
    assert told["session"]["tools"] == [LIGHT]


def test_an_answer_may_have_functions_of_its_own() -> None:
    client = Client(words=True, tools=[LIGHT])
    for response, expected in (
        ({}, (None, None)),
        ({"tools": []}, ((), None)),
        ({"tool_choice": "required"}, (None, ToolChoice("required"))),
        ({"tools": [{**LIGHT, "name": "f"}], "tool_choice": "none"},
         ((Tool("f", TOOL.description, TOOL.parameters),), ToolChoice("none"))),
    ):  # fmt: skip
        client.protocol._pending.responses.clear()
        (asked,) = controls(client, "response.create", response=response)
        assert isinstance(asked, Commit)
        assert (asked.tools, asked.tool_choice) == expected


NAMED = {"type": "function", "name": "other"}


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"tools": [LIGHT, LIGHT]}, "tools[1].name"),
        ({"tools": [{**LIGHT, "name": "two words"}]}, "tools[0].name"),
        ({"tools": [{**LIGHT, "parameters": {"type": "array"}}]}, "tools[0].parameters.type"),
        ({"tools": [{**LIGHT, "description": 5}]}, "tools[0].description"),
        ({"tool_choice": NAMED}, "tool_choice.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_called_are_refused_by_their_field(
    wrong: Json, param: str
) -> None:
    client = Client(words=True, tools=[LIGHT])
    (error,) = client.update(wrong)
    assert error["error"]["param"] == f"session.{param}"
    (error,) = client.send("response.create", response=wrong)
    assert error["error"]["param"] == f"response.{param}"


def test_where_nothing_is_called_no_function_is_told_back() -> None:
    client = Client()
    (told,) = client.update({"tools": [LIGHT], "tool_choice": "auto"})
    assert told["session"]["tools"] == []
    wrong: tuple[Any, ...] = ({"tool_choice": "required"}, {"tool_choice": NAMED})
    for wanted in wrong:
        (error,) = client.update(wanted)
        assert error["error"]["param"] == "session.tool_choice"
    (error,) = client.send("response.create", response={"tools": [LIGHT]})
    assert error["error"]["param"] == "response.tools"


def test_a_message_is_not_begun_before_it_is_known_to_be_one() -> None:
    client = calling("", "Hello.")
    client.speak(TURN)
    at = client.kinds().index("response.output_item.added")
    assert client.kinds()[at + 2 : at + 4] == [
        "response.content_part.added",
        "response.output_text.delta",
    ]
    client.send("conversation.item.create", item=typed("user", "And?"))
    client.send("response.create", response={"tools": []})
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"
