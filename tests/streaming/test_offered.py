"""What sessions offer of a user's functions, and a tape of one that a server ran."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from assistant import own_tools
from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.toolbox.functions import Function
from assistant.tools.tool import Tool, ToolChoice
from streaming.build import make_session, offered, session_spec, spec_of_tape
from streaming.config import Config, McpServerConfig
from streaming.config_file import load_config
from streaming.controls import Ask
from streaming.dialogue.work import NEED_DATA
from streaming.events import ToolReturned
from streaming.instruments.replay import play, run_calls
from streaming.mcp_servers import McpServers
from streaming.shell import Shell
from streaming.tape.event_json import to_json
from streaming.tape.tape import Recorder, read_tape
from tests.assistant.test_calls import model
from tests.streaming.test_mcp_servers import COMMAND

__all__ = ["model"]

WRITTEN_ELSEWHERE: dict[str, dict[str, Any]] = {
    "with its dialect": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"type": "number", "minimum": 0, "description": "How much."}},
        "additionalProperties": False,
    },
    "with parts": {
        "type": "object",
        "$defs": {"Lamp": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
        "properties": {"lamps": {"type": "array", "items": {"$ref": "#/$defs/Lamp"}}},
        "title": "lampsArguments",
    },
    "with null": {
        "type": "object",
        "properties": {
            "n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "N"}
        },
    },
    "without properties": {"type": "object"},
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's context has no room for examples."""
    monkeypatch.setattr(own_tools, "shown", lambda *_: [])


def configured(own: list[str] | None) -> Config:
    """The tiny preset, which offers functions."""
    config = load_config(shipped_config(), "tiny")
    prompt = config.model.prompt.model_copy(update={"toolbox": True})
    return replace(
        config,
        model=config.model.model_copy(update={"prompt": prompt, "reads": "words"}),
        tools=config.tools.model_copy(update={"own": own}),
    )


def function(parameters: dict[str, Any], name: str = "paint") -> Function:
    return Function(Tool(name, "", parameters), lambda **_: None, "tools.mcp.house")


@pytest.mark.parametrize("parameters", WRITTEN_ELSEWHERE.values(), ids=[*WRITTEN_ELSEWHERE])
def test_schemas_as_others_write_them_are_kept_to(
    model: Salmonn, parameters: dict[str, Any]
) -> None:
    given = function(parameters)
    spec = offered(model, configured([]), [given])
    assert spec is not None
    assert spec.functions == (given.tool,)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"$ref": "https://example.org/colour.json"}, "$ref"),
        ({"type": "string", "pattern": "(?<!a)b"}, "pattern"),
    ],
)
def test_a_schema_that_calls_cannot_be_held_to_is_refused_by_name(
    model: Salmonn, value: dict[str, Any], why: str
) -> None:
    wrong = function({"type": "object", "properties": {"colour": value}})
    right = function({"type": "object"}, "wash")
    with pytest.raises(ConfigError) as caught:
        offered(model, configured(["get_time"]), [right, wrong])
    assert str(caught.value).startswith("tools.mcp.house: paint: ")
    assert why in str(caught.value)


def test_a_tape_repeats_what_a_server_gave_without_the_server(model: Salmonn) -> None:
    config = configured([])
    lines: list[str] = []
    servers = McpServers({"house": McpServerConfig(command=COMMAND, only=["open_door"])}, 20.0)
    with closing(Shell(servers.start(), wait_s=20.0, servers=servers)) as shell:
        spec = session_spec(
            model, config, "Hi.", tools=offered(model, config, shell.functions.values())
        )
        recorder = Recorder(make_session(model, spec), spec.head(), lines.append, lambda: 0.0)
        recorder.control(Ask("Open!", max_new_tokens=200, tool_choice=ToolChoice("required")))
        recorder.receive_eof()
        came = []
        while (events := recorder.step()) is not NEED_DATA:
            assert isinstance(events, list)
            run_calls(recorder, shell.calls().run, events)
            came += events
        recorder.close()
    (returned,) = [event for event in came if isinstance(event, ToolReturned)]
    assert "door is" in json.loads(returned.output)["result"]
    tape = read_tape(lines)
    again = make_session(model, spec_of_tape(tape), pace=tape.pace)
    assert [to_json(event) for event in play(tape, again)] == tape.events
