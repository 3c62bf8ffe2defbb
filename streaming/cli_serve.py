"""`salmonn-live serve`."""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from assistant.errors import ConfigError
from assistant.presets import shipped_config, validate
from streaming.cli_training import ConfigOption
from streaming.config import Config, ServerConfig, load_config

if TYPE_CHECKING:  # importing it takes seconds
    from streaming.server.app import Assistant

TOKEN = "SALMONN_LIVE_TOKEN"
DRAIN_S = 10.0
"""Seconds that replies may go on when the server is told to go."""


def serve_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: any.")] = None,
    allow_public: Annotated[
        bool, typer.Option("--open", help="Let others in without a token.")
    ] = False,
    instruction: Annotated[str | None, typer.Option(help="What to do with what is heard.")] = None,
    task: Annotated[str | None, typer.Option(help="A named task instead.")] = None,
    config: ConfigOption = None,
    preset: Annotated[str | None, typer.Option(help="Preset to run.")] = None,
) -> None:
    """Open a socket that any OpenAI Realtime client can talk to, and a page to talk on."""
    from assistant.model import load
    from assistant.prompt import instruction as choose
    from streaming.server.build import build_assistant

    settings = load_config(config or shipped_config(), preset)
    server = server_config(settings, host, port, allow_public)
    words = choose(instruction, task, None, settings.model.prompt.default_task)
    console = Console()
    console.print(f"Loading {settings.preset} ...", style="dim")
    assistant = build_assistant(load(settings.model), settings, words)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    gc.freeze()  # what is there now stays: `large.give_back` need not look at it
    try:
        asyncio.run(_run(assistant, server, console))
    finally:
        gc.unfreeze()  # some libraries complain about what is not collected at the end


def server_config(
    settings: Config, host: str | None, port: int | None, allow_public: bool
) -> ServerConfig:
    """The file's settings, and those of the command line over them.

    Raises:
        ConfigError: a public address without a token.
    """
    wanted = {"host": host, "port": port, "open": allow_public or None}
    wanted["token"] = os.environ.get(TOKEN) or None
    given = {key: value for key, value in wanted.items() if value is not None}
    server = validate(ServerConfig, {**settings.server.model_dump(), **given}, "server")
    if not (server.token or server.open or is_loopback(server.host)):
        raise ConfigError(
            f"server.host: others can reach {server.host}; set {TOKEN}, or say --open to let "
            "anyone in"
        )
    return server


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _run(assistant: "Assistant", config: ServerConfig, console: Console) -> None:
    from streaming.server.app import running

    over = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, over.set)
    async with running(assistant, config) as (app, server):
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "http" if config.certificate is None else "https"
        host = f"[{config.host}]" if ":" in config.host else config.host
        console.print(f"Listening: open [bold]{scheme}://{host}:{port}/[/] and speak.")
        address = f"ws{scheme.removeprefix('http')}://{host}:{port}/v1/realtime"
        console.print(f"OpenAI Realtime clients: {address}", style="dim", highlight=False)
        await over.wait()
        console.print("Finishing what is being said ...", style="dim")
        await app.drain(DRAIN_S)
