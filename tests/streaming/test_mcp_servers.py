"""Servers of the Model Context Protocol, real ones: what they offer, and what becomes of calls."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.types import Tool as Listed

from assistant.errors import ConfigError
from assistant.files.presets import validate
from streaming import mcp_servers
from streaming.config import McpServerConfig, ToolsConfig
from streaming.controls import Outcome
from streaming.events import ToolCalled
from streaming.mcp_servers import McpServers, _Server
from streaming.shell import LONGEST, Shell

HOUSE = Path(__file__).with_name("mcp_house.py")
COMMAND = [sys.executable, str(HOUSE)]
ALL = ["open_door", "look", "read_meter", "greet", "sleep", "leave"]

Call = Callable[..., Outcome]


@contextmanager
def connected(wait_s: float = 20.0, **wanted: Any) -> Iterator[Shell]:
    """A shell with the tools of one server, `house`."""
    servers = McpServers({"house": McpServerConfig(**wanted)}, wait_s)
    with closing(servers):
        yield Shell(servers.start(), wait_s=wait_s, servers=servers)


def called(shell: Shell, name: str, **arguments: Any) -> Outcome:
    return shell.calls().run(ToolCalled("c", name, json.dumps(arguments), "shell"))


def refused(**wanted: Any) -> str:
    with pytest.raises(ConfigError) as caught, connected(**wanted):
        pass
    return str(caught.value)


@contextmanager
def at_an_address(port: int = 0) -> Iterator[int]:
    """The house, at a port of this machine."""
    command = [*COMMAND, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(scope="module")
def house() -> Iterator[Shell]:
    with connected(command=COMMAND) as shell:
        yield shell


# --- what is offered


def test_tools_are_what_the_server_says_they_are(house: Shell) -> None:
    assert [*house.functions] == ALL
    function = house.functions["open_door"]
    assert function.source == "tools.mcp.house"
    assert function.tool.description.startswith("Open a door of the house.")
    properties = function.tool.parameters["properties"]
    assert properties["door"]["enum"] == ["front", "back"]
    assert function.tool.parameters["required"] == ["door"]


def test_only_those_that_are_wanted_are_offered_by_a_program_with_its_own_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENANT", "Mallory")
    with connected(command=COMMAND, only=["greet", "look"], env={"TENANT": "Ada"}) as shell:
        assert [*shell.functions] == ["look", "greet"]
        assert json.loads(called(shell, "greet").output) == {"result": "Ada"}
    shell.close()
    assert "error" in json.loads(called(shell, "greet").output), "nothing is called after the end"


# --- what becomes of a call


def test_what_a_tool_gives_is_text_for_the_llm_which_says_it(house: Shell) -> None:
    came = called(house, "open_door", door="front", wide=True)
    assert came == Outcome("c", '{"result": "The front door is wide open."}', None)
    seen = json.loads(called(house, "look", room="the attic").output)
    assert seen == {"result": "a table in the attic\n[image]\na chair"}


def test_a_tool_that_fails_says_so_to_the_llm(house: Shell) -> None:
    came = called(house, "read_meter")
    assert json.loads(came.output) == {"error": "Error executing tool read_meter"}
    assert came.say is None
    came = called(house, "open_door", door="cellar")
    assert "error" in json.loads(came.output)


def test_what_is_too_long_is_cut(house: Shell) -> None:
    output = called(house, "look", room="x" * 3 * LONGEST).output
    assert json.loads(output) == {"result": f"a table in {'x' * (LONGEST - 11)} ..."}


def test_nothing_that_was_said_is_logged(house: Shell, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "salmonn_live"):
        called(house, "look", room="secret")
    assert "secret" not in caplog.text
    for library in ("mcp.client.stdio", "httpx2"):
        assert not logging.getLogger(library).isEnabledFor(logging.INFO)


def test_a_tool_that_hangs_ends_in_a_sentence_and_the_server_goes_on(
    house: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(house._servers, "_wait_s", 0.1)
        assert called(house, "sleep").say == "That took too long."
    assert "nobody" in called(house, "greet").output


def test_a_server_that_dies_ends_in_a_sentence_and_is_started_anew(house: Shell) -> None:
    assert called(house, "leave").say == "I cannot reach that tool at the moment."
    assert "nobody" in called(house, "greet").output


def test_a_server_at_an_address_may_go_and_come_back() -> None:
    with at_an_address() as port, connected(url=url(port)) as shell:
        assert "front" in called(shell, "open_door", door="front").output
        told = refused(url=url(port) + "/elsewhere")
        assert told.startswith("tools.mcp.house: ")
        assert told.endswith("; it says: HTTP 404")
        for _ in range(2):
            assert called(shell, "leave").say == "I cannot reach that tool at the moment."
        with at_an_address(port):
            assert "nobody" in called(shell, "greet").output


# --- what cannot be used


def test_a_program_that_is_not_there_is_named() -> None:
    told = refused(command=["no-such-program"])
    assert told == "tools.mcp.house: no-such-program: No such file or directory"


def test_a_program_that_ends_at_once_says_why() -> None:
    told = refused(command=[sys.executable, "-c", "print('hello'); 1/0"])
    assert told.startswith("tools.mcp.house: ")
    assert told.endswith("; it says: ZeroDivisionError: division by zero")
    assert "\n" not in told


def test_a_program_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_servers, "START_S", 0.3)
    told = refused(command=[sys.executable, "-c", "import sys; sys.stdin.read()"])
    assert told == "tools.mcp.house: no answer within 0.3 s"


def test_an_address_that_nobody_listens_at_is_told() -> None:
    told = refused(url="http://127.0.0.1:1/mcp")
    assert told == "tools.mcp.house: All connection attempts failed"


@pytest.mark.parametrize(
    ("listed", "only", "why"),
    [
        (["greet", "look"], ["greet", "dance"], ".only: 'dance': it has greet, look"),
        ([], None, ": it has no tools"),
        (["go.away"], None, ": name: 'go.away' is not 1 to 64 letters, digits, _ and -"),
    ],
)
def test_what_a_server_cannot_offer_is_named(
    listed: list[str], only: list[str] | None, why: str
) -> None:
    server = _Server("house", McpServerConfig(command=["a"], only=only))
    with pytest.raises(ConfigError) as caught:
        server._offered([Listed(name=name, input_schema={"type": "object"}) for name in listed])
    assert str(caught.value) == f"tools.mcp.house{why}"


def test_without_the_official_client_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_servers, "find_spec", lambda _: None)
    told = refused(url="http://127.0.0.1:1/mcp")
    assert told.startswith("tools.mcp: mcp is not installed; `pip install 'salmonn-live[mcp]'`")


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({}, "needs a command or a url"),
        ({"command": ["a"], "url": "http://b"}, "needs a command or a url, and not both"),
        ({"url": "http://b", "env": {"A": "b"}}, "env belongs to a command"),
        ({"command": ["a"], "token": "b"}, "token belongs to a url"),
        ({"url": "localhost:8000/mcp"}, "url begins with http:// or https://"),
        ({"command": []}, "command: List should have at least 1 item"),
        ({"command": ["a"], "only": []}, "only: List should have at least 1 item"),
        ({"command": ["a"], "wait_s": 1}, "wait_s: unknown key"),
    ],
)
def test_a_section_that_makes_no_sense_is_named(server: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^tools.mcp.house[.:].*{why}"):
        validate(ToolsConfig, {"mcp": {"house": server}}, "tools")


@pytest.mark.parametrize("server", [{"token": 1234}, {"env": {"PIN": 1234}}])
def test_a_secret_is_not_shown_where_it_is_wrong(server: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^tools.mcp.house.(token|env.PIN): ") as caught:
        validate(ToolsConfig, {"mcp": {"house": server}}, "tools")
    assert "1234" not in str(caught.value)
