"""The files of docs/tools.md do what the page says."""

import re
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.files.presets import read_yaml, shipped_config, validate
from assistant.files.yaml_file import parse
from streaming.config import McpServerConfig, ToolsConfig
from streaming.config_file import load_config
from streaming.shell import shell_of

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


def block(before: str) -> str:
    """The block of code after a text."""
    found = re.search(r"```\w+\n(.*?)```", PAGE[PAGE.index(before) :], re.DOTALL)
    assert found is not None
    return found[1]


def test_tools_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALMONN_LIVE_CACHE", str(tmp_path))
    for name in ("my_tools.py", "house.py", "mine.yaml"):
        Path(name).write_text(block(f"\n`{name}`"))
    wanted = read_yaml(Path("mine.yaml"))["tools"]
    wanted["mcp"]["house"]["command"][0] = sys.executable
    config = load_config(shipped_config(), "small")
    tools = validate(ToolsConfig, wanted, "tools")
    with closing(shell_of(replace(config, tools=tools))) as shell:
        assert [*shell.functions] == ["open_door", "set_heating", "get_weather"]
        given = shell.functions["set_heating"].run(room="bathroom", degrees=22)
        assert given == "The heating of the bathroom is set to 22 degrees."
        assert shell.functions["open_door"].run(door="front") == "The front door is open."


def test_servers_with_all_their_keys() -> None:
    wanted = parse(block("where one runs already"))
    assert isinstance(wanted, dict)
    tools = validate(ToolsConfig, wanted["tools"], "tools")
    said = {key for server in tools.mcp.values() for key in server.model_fields_set}
    assert said == set(McpServerConfig.model_fields)
