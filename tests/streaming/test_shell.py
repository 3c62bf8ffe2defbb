"""What the program around a session does for it: nothing that goes wrong in it ends a session."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import ConfigError
from assistant.toolbox.functions import Function, described, load_functions
from assistant.tools.tool import Tool
from streaming import shell as shells
from streaming.controls import Outcome
from streaming.events import ToolCalled
from streaming.shell import Shell

MODULE = '''
from typing import Literal

def open_door(door: str, how: Literal["wide", "ajar"] = "wide", times: int | None = None) -> str:
    """Open a door
    of the house.

    More about it."""
    return f"The {door} door is {how} open."

TOOLS = [open_door]
'''


def call(shell: Shell, name: str, **arguments: Any) -> Outcome:
    return shell.calls().run(ToolCalled("c", name, json.dumps(arguments), "shell"))


def function(run: Callable[..., Any]) -> Function:
    return Function(Tool("f", "", {"type": "object", "properties": {}}), run)


def test_lists_outlast_the_session_where_there_is_a_file(tmp_path: Path) -> None:
    kept, forgotten = Shell(lists=tmp_path / "lists.sqlite"), Shell()
    for shell in (kept, forgotten):
        added = call(shell, "add_to_list", list="shopping", items=["milk"])
        assert added.say == "I put milk on the shopping list."
    assert call(kept, "read_list", list="shopping").say == "On the shopping list: milk."
    assert "empty" in str(call(forgotten, "read_list", list="shopping").say)


def test_a_users_functions_are_described_by_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MODULE)
    shell = Shell(load_functions(file))
    (tool,) = shell.tools
    assert tool == Tool(
        "open_door",
        "Open a door of the house.",
        {
            "type": "object",
            "properties": {
                "door": {"type": "string"},
                "how": {"type": "string", "enum": ["wide", "ajar"]},
                "times": {"type": "integer"},
            },
            "required": ["door"],
        },
    )
    came = call(shell, "open_door", door="back")
    assert (json.loads(came.output), came.say) == ({"result": "The back door is wide open."}, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1/0", "ZeroDivisionError"),
        ("TOOLS = 3", "no list TOOLS"),
        ("def f(a): ...\nTOOLS = [f]", "f.a: an argument is str"),
        ("def f(a: bytes): ...\nTOOLS = [f]", "f.a: an argument is str"),
        ("def f(a: 'Nothing'): ...\nTOOLS = [f]", "f: name 'Nothing' is not defined"),
    ],
)
def test_a_module_that_cannot_be_used_says_why(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"^tools.module: .*mine.py: .*{why}"):
        load_functions(file)
    with pytest.raises(ConfigError, match=r"is no Python file$"):
        load_functions(tmp_path / "other.py")


def test_lists_of_texts_are_arguments() -> None:
    def f(names: list[str], share: float, on: bool) -> None:
        """Do."""

    properties = described(f).parameters["properties"]
    assert properties["names"] == {"type": "array", "items": {"type": "string"}}
    assert (properties["share"], properties["on"]) == ({"type": "number"}, {"type": "boolean"})


def test_what_throws_is_told_and_only_its_kind_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def throws() -> None:
        raise ValueError("secret")

    with caplog.at_level(logging.INFO):
        came = call(Shell([function(throws)]), "f")
    assert came.say == "That did not work, something went wrong in the tool."
    assert "secret" not in caplog.text
    assert "ValueError" in caplog.text


def test_what_cannot_be_written_down_failed() -> None:
    assert "error" in json.loads(call(Shell([function(object)]), "f").output)


def test_what_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MOST_HUNG", 2)
    free, begun = threading.Event(), list[int]()

    def hangs() -> None:
        begun.append(1)
        free.wait()

    shell = Shell([function(hangs)], wait_s=0.02)
    said = [call(shell, "f").say for _ in range(3)]
    free.set()
    assert said == ["That took too long."] * 2 + ["Too many tools have not come back."]
    assert len(begun) == 2
