"""All tools together: every call gives JSON, whatever its arguments."""

import json
from datetime import datetime
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.lists import Memory
from assistant.toolbox.own import Moment
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.grammar import Grammar
from assistant.tools.tool import AUTO, Tool, ToolCall, ToolChoice
from tests.assistant.tools.schemas import said_at_random
from tests.assistant.tools.tokenizers import vocabulary


def toolbox() -> Toolbox:
    return Toolbox(datetime(2026, 11, 28, 14, 30), Memory(), ["dog barking"])


tools = {tool.name: tool for tool in toolbox().tools}


def answer(box: Toolbox, name: str, /, **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(
        box.call(ToolCall("call_1", name, json.dumps(arguments)), Moment(0))
    )
    return given


def test_the_tools_can_be_offered_and_kept_to() -> None:
    assert AUTO.among([*tools.values()]) == toolbox().tools
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.parameters)
        Grammar(vocabulary("bytes"), [tool], ToolChoice("required"))


@pytest.mark.parametrize("name", tools)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_whatever_an_llm_writes_is_answered_in_json(name: str, seed: int) -> None:
    grammar = Grammar(vocabulary("bytes"), [tools[name]], ToolChoice("required"), most=1)
    writing, _, _ = said_at_random(grammar, Random(seed), most=120)
    for called, arguments in writing.calls:
        given = json.loads(toolbox().call(ToolCall("call_1", called, arguments), Moment(0)))
        assert isinstance(given, dict)
        assert "error" not in given or isinstance(given["error"], str)


def test_a_call_that_fails_says_so_in_a_sentence() -> None:
    box = toolbox()
    assert answer(box, "convert_units", amount="1", from_unit="mile", to_unit="kg") == {
        "error": "mile measures length and kg measures mass."
    }
    assert answer(box, "fly") == {"error": "There is no tool called fly."}


def test_a_session_of_calls() -> None:
    box = toolbox()
    assert answer(box, "set_timer", duration="2 seconds", name="tea")["rings_in"] == "2 seconds"
    assert answer(box, "calculate", expression="1/3") == {"result": "0.3333333333", "rounded": True}
    assert answer(box, "convert_units", amount="26.2", from_unit="miles", to_unit="kilometers") == {
        "result": "42.1648128 kilometers"
    }
    assert answer(box, "add_to_list", list="shopping", items=["crème"])["added"] == ["crème"]
    assert answer(box, "sounds_heard") == {"heard": []}
    assert answer(box, "watch", sound="the dog")["listening_for"] == ["dog barking"]
    assert [found.at for found in box.hear([Sound(0, 99, "dog barking", 0.9)])] == [99]
    assert [timer.name for timer in box.due(2 * SAMPLE_RATE)] == ["tea"]


def test_names_of_tools_say_what_they_are() -> None:
    for tool in tools.values():
        assert isinstance(tool, Tool)
        assert tool.description.endswith(".")
