"""`salmonn-live wyoming`, and the compose file of its page."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.main import get_command

from assistant.errors import ConfigError
from cli import main as cli
from cli import serve as serving
from cli.serve import _run, home_assistant_config
from cli.wyoming import PORT
from cli.wyoming import _run as run_alone
from streaming.config import ServerConfig
from streaming.server.listen import listen
from tests.cli.call import run
from tests.streaming.server.test_app import fake
from tests.streaming.wyoming.home_assistant import ask, describe
from tests.streaming.wyoming.services import scripted

ROOT = Path(__file__).parents[3]


def test_others_are_let_in_only_if_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "wyoming", "--host", "0.0.0.0", "--preset", "tiny"
    code, _, told = run(capsys, monkeypatch, *words)
    assert code
    assert "server.host" in told
    assert "--open" in told
    with pytest.raises(ConfigError, match="no tokens"):
        home_assistant_config(ServerConfig(host="0.0.0.0", token="secret"), PORT)  # type: ignore[arg-type]


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"salmonn-live\[homeassistant\]"):
        home_assistant_config(ServerConfig(), PORT)


@pytest.mark.parametrize("beside", [True, False])
def test_it_serves_until_it_is_told_to_go(beside: bool) -> None:
    async def test() -> None:
        console = Console(file=open(os.devnull, "w"))  # noqa: ASYNC230, SIM115
        config = home_assistant_config(ServerConfig(port=0), 0)
        with listen(ServerConfig(port=0)) as first, listen(config) as listening:
            port = listening.sockets[0].getsockname()[1]
            if beside:
                home = scripted(), listening
                running = asyncio.create_task(_run(fake(), config, first, console, home))
            else:
                alone = run_alone(scripted(), config, listening, console, announce=False)
                running = asyncio.create_task(alone)
            assert (await describe(port)).handle
            assert (await ask(port, "Hello?")).text == "I heard 0 windows"
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(running, 20)
        console.file.close()

    asyncio.run(test())


def test_the_compose_file_starts_what_its_page_says() -> None:
    file = ROOT / "docs" / "examples" / "home-assistant.yaml"
    service = yaml.safe_load(file.read_text())["services"]["salmonn-live"]
    name, *options = service["command"]
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]  # it is a group
    known = {opt for option in commands[name].params for opt in option.opts}
    assert {option for option in options if option.startswith("--")} <= known
    assert str(PORT) in " ".join(service["healthcheck"]["test"])
    assert (file.parent / service["build"]["context"] / "Dockerfile").is_file()
    assert ".[homeassistant," in (ROOT / "Dockerfile").read_text()
    assert service["network_mode"] == "host"
