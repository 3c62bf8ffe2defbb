"""`salmonn-live talk`, `listen` and `send`: clients in a terminal, with a server or without."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from assistant.errors import AssistantError
from assistant.files.presets import validate
from cli.options import configure, load_model
from cli.serve import environment_token
from cli.training import ConfigOption
from streaming.config import Config, ServerConfig

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", help="Socket of a server; without it, the model runs in this process."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Number or name of a microphone.")
]
DevicesOption = Annotated[bool, typer.Option("--devices", help="List microphones.")]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="Preset to run in this process.")
]


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
    """Show captions and the names of sounds, without answers."""
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
    settings = _own(server, config, preset)
    from assistant.sound.recording import load_pcm16
    from clients import realtime, sources, terminal

    pcm = load_pcm16(file)

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.recording(pcm, speed, piece_ms / 1000)
        await terminal.converse(url, token, realtime.SETTINGS, pieces, console)

    _with_server(server, settings, run)


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
    own = _own(server, config, preset)
    from clients import sources, terminal

    chosen = int(device) if device is not None and device.isdecimal() else device

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.microphone(chosen)
        await terminal.talk(url, token, settings, pieces, console, push_to_talk=push_to_talk)

    _with_server(server, own, run)


def _own(server: str | None, config: Path | None, preset: str | None) -> Config | None:
    """What a server of our own runs; a wrong key is told before anything is loaded."""
    return configure(config, preset) if server is None else None


def _with_server(
    server: str | None,
    own: Config | None,
    run: Callable[[str, str | None, Console], Awaitable[None]],
) -> None:
    """Run a client with the server at an address, or with one of our own."""
    from clients.errors import ClientError

    console, token = Console(emoji=False), environment_token()

    async def together() -> None:
        async with _some_server(server, own, console) as url:
            await run(url, token, console)

    try:
        asyncio.run(together())
    except ClientError as error:
        raise AssistantError(str(error)) from error
    except KeyboardInterrupt:
        typer.echo()


@asynccontextmanager
async def _some_server(url: str | None, own: Config | None, console: Console) -> AsyncIterator[str]:
    """The server at `url`, or one of our own for as long as it is needed."""
    if own is None:
        assert url is not None
        yield url
        return
    from assistant.prompt.prompt import instruction
    from streaming.server.app import running
    from streaming.server.build import build_assistant

    # On loopback, for the client in this process.
    alone = {"host": "127.0.0.1", "port": 0, "certificate": None, "key": None}
    wanted = {**own.server.model_dump(), **alone, "token": environment_token()}
    served = validate(ServerConfig, wanted, "server")
    words = instruction(None, None, None, own.model.prompt.default_task)
    console.print(f"Loading {own.preset} ...", style="dim")
    assistant = build_assistant(load_model(own), own, words)
    async with running(assistant, served) as (_, listening):
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"
