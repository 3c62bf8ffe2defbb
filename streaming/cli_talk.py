"""`salmonn-live talk`, `listen` and `send`: clients in a terminal, with a server or without."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from assistant.errors import AssistantError
from assistant.presets import shipped_config
from streaming.cli_serve import TOKEN
from streaming.cli_training import ConfigOption
from streaming.config_file import load_config

ServerOption = Annotated[
    str | None,
    typer.Option("--server", help="Socket of a server; without one, the model runs in here."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Number or name of a microphone.")
]
DevicesOption = Annotated[bool, typer.Option("--devices", help="List microphones.")]
PresetOption = Annotated[str | None, typer.Option("--preset", help="Preset to run in here.")]


def talk_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(talk)
    app.command()(listen)
    app.command()(send)


def talk(
    server: ServerOption = None,
    device: DeviceOption = None,
    devices: DevicesOption = False,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="Hear only what is said between two Spaces.")
    ] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Speak to it: captions and answers as they come. Q ends it."""
    from clients import realtime

    if devices:
        _list_devices()
    else:
        _from_microphone(server, device, config, preset, realtime.SETTINGS, push_to_talk)


def listen(
    server: ServerOption = None,
    device: DeviceOption = None,
    devices: DevicesOption = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Read along: what is said, and which sounds are heard. No answers."""
    from clients import terminal

    if devices:
        _list_devices()
    else:
        _from_microphone(server, device, config, preset, terminal.CAPTIONS_ONLY)


def send(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    server: ServerOption = None,
    speed: Annotated[float, typer.Option(min=0.1, help="Times as fast as real time.")] = 1.0,
    piece_ms: Annotated[float, typer.Option(min=1.0, help="Audio in a message, ms.")] = 40.0,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Send a recording as if it were live."""
    from clients import realtime, sources, terminal

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.recording(sources.read_recording(file), speed, piece_ms / 1000)
        await terminal.converse(url, token, realtime.SETTINGS, pieces, console)

    _with_server(server, config, preset, run)


def _list_devices() -> None:
    from clients import errors, sources

    try:
        typer.echo(sources.devices())
    except errors.ClientError as error:
        raise AssistantError(str(error)) from error


def _from_microphone(
    server: str | None,
    device: str | None,
    config: Path | None,
    preset: str | None,
    settings: dict[str, object],
    push_to_talk: bool = False,
) -> None:
    from clients import sources, terminal

    chosen = int(device) if device is not None and device.isdecimal() else device

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.microphone(chosen)
        await terminal.talk(url, token, settings, pieces, console, push_to_talk=push_to_talk)

    _with_server(server, config, preset, run)


def _with_server(
    server: str | None,
    config: Path | None,
    preset: str | None,
    run: Callable[[str, str | None, Console], Awaitable[None]],
) -> None:
    """Run a client with the server at an address, or with one of our own."""
    from clients.errors import ClientError

    console = Console()

    async def together() -> None:
        async with _some_server(server, config, preset, console) as url:
            await run(url, os.environ.get(TOKEN) or None, console)

    try:
        asyncio.run(together())
    except ClientError as error:
        raise AssistantError(str(error)) from error
    except KeyboardInterrupt:
        typer.echo()


@asynccontextmanager
async def _some_server(
    url: str | None, config: Path | None, preset: str | None, console: Console
) -> AsyncIterator[str]:
    """The server at `url`, or one of our own for as long as it is needed."""
    if url is not None:
        yield url
        return
    from assistant.model import load
    from assistant.prompt import instruction
    from streaming.server.app import running
    from streaming.server.build import build_assistant

    settings = load_config(config or shipped_config(), preset)
    words = instruction(None, None, None, settings.model.prompt.default_task)
    own = settings.server.model_copy(
        update={"host": "127.0.0.1", "port": 0, "token": os.environ.get(TOKEN) or None}
    )
    console.print(f"Loading {settings.preset} ...", style="dim")
    assistant = build_assistant(load(settings.model), settings, words)
    async with running(assistant, own) as (_, listening):
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"
