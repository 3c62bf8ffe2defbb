"""Tools, calls and choices say which of their fields is wrong."""

from typing import Any

import pytest

from assistant.errors import ToolError
from assistant.tools.tool import AUTO, Tool, ToolCall, ToolChoice

OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def tool(name: str = "stop") -> Tool:
    return Tool(name, "Stop.", OBJECT)


@pytest.mark.parametrize(
    ("field", "name", "description", "parameters"),
    [
        ("name", "", "", OBJECT),
        ("name", "two words", "", OBJECT),
        ("name", "x" * 65, "", OBJECT),
        ("name", "stop\n", "", OBJECT),
        ("name", None, "", OBJECT),
        ("description", "stop", None, OBJECT),
        ("parameters", "stop", "", None),
        ("parameters", "stop", "", []),
        ("parameters.type", "stop", "", {}),
        ("parameters.type", "stop", "", {"type": "array"}),
    ],
)
def test_a_tool_that_is_wrong_names_the_field(
    field: str, name: Any, description: Any, parameters: Any
) -> None:
    with pytest.raises(ToolError, match="^" + field.replace(".", r"\.") + ": ") as raised:
        Tool(name, description, parameters)
    assert raised.value.field == field
    assert "\n" not in str(raised.value)


def test_tools_are_told_apart_by_all_that_they_are_and_can_be_keys() -> None:
    other = Tool("stop", "Stop.", {"type": "object", "properties": {"x": {"type": "string"}}})
    assert tool() == tool()
    assert tool() != other
    assert {tool(): 1, other: 2}[other] == 2


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "3", '{"x": NaN}', "[" * 100_000, None])
def test_arguments_are_a_json_object(arguments: Any) -> None:
    with pytest.raises(ToolError) as raised:
        ToolCall("call_1", "stop", arguments)
    assert raised.value.field == "arguments"


def test_a_call_has_an_id_and_a_name() -> None:
    with pytest.raises(ToolError, match="^id: "):
        ToolCall("", "stop", "{}")
    with pytest.raises(ToolError, match="^name: "):
        ToolCall("call_1", "", "{}")
    assert ToolCall("call_1", "stop", '{"all": true}').values() == {"all": True}


def test_a_choice_says_which_tools_may_be_called() -> None:
    both = [tool("stop"), tool("go")]
    assert AUTO.among(both) == tuple(both)
    assert ToolChoice("required").among(both) == tuple(both)
    assert ToolChoice("none").among(both) == ()
    assert ToolChoice("named", "go").among(both) == (both[1],)
    assert AUTO.among([]) == ()


@pytest.mark.parametrize(
    ("choice", "tools", "field"),
    [
        (ToolChoice("required"), [], "tool_choice"),
        (ToolChoice("named", "go"), [tool("stop")], "tool_choice.name"),
        (ToolChoice("named", "go"), [], "tool_choice.name"),
        (AUTO, [tool(), tool("go"), tool()], "tools[2].name"),
        (ToolChoice("none"), [tool(), tool()], "tools[1].name"),
    ],
)
def test_a_choice_that_cannot_be_made_names_the_field(
    choice: ToolChoice, tools: list[Tool], field: str
) -> None:
    with pytest.raises(ToolError) as raised:
        choice.among(tools)
    assert raised.value.field == field


@pytest.mark.parametrize(("mode", "name"), [("auto", "go"), ("named", None), ("any", None)])
def test_a_choice_is_one_of_four(mode: Any, name: str | None) -> None:
    with pytest.raises(ToolError, match="^tool_choice"):
        ToolChoice(mode, name)
