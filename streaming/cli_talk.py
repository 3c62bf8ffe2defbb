"""`salmonn-live talk`, `listen` and `send`: clients in a terminal, with a server or without."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from assistant.errors import AssistantError
from assistant.presets import shipped_config
from streaming.cli_serve import TOKEN
from streaming.cli_training import ConfigOption
from streaming.config import load_config

ServerOption = Annotated[
    str | None,
    typer.Option("--server", help="Socket of a server; without one, the model runs in here."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Number or name of a microphone.")
]
PresetOption = Annotated[str | None, typer.Option("--preset", help="Preset to run in here.")]


def talk_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(talk)
    app.command()(listen)
    app.command()(send)


def talk(
    server: ServerOption = None,
    device: DeviceOption = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones.")] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Speak to it: captions and answers as they come. Ctrl-C ends it."""
    from clients import realtime

    _from_microphone(server, device, devices, config, preset, realtime.SETTINGS)


def listen(
    server: ServerOption = None,
    device: DeviceOption = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Read along: what is said, and which sounds are heard. No answers."""
    from clients import terminal

    _from_microphone(server, device, False, config, preset, terminal.CAPTIONS_ONLY)


def send(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    server: ServerOption = None,
    speed: Annotated[float, typer.Option(min=0.1, help="Times as fast as real time.")] = 1.0,
    piece_ms: Annotated[float, typer.Option(min=1.0, help="Audio in a message, ms.")] = 40.0,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Send a recording as if it were live."""
    from clients import realtime, terminal

    def source() -> AsyncIterator[bytes]:
        return terminal.recording(terminal.read_recording(file), speed, piece_ms / 1000)

    _converse(server, config, preset, realtime.SETTINGS, source)


def _from_microphone(
    server: str | None,
    device: str | None,
    list_devices: bool,
    config: Path | None,
    preset: str | None,
    settings: dict[str, object],
) -> None:
    from clients import terminal

    if list_devices:
        try:
            typer.echo(terminal.devices())
        except terminal.ClientError as error:
            raise AssistantError(str(error)) from error
        return
    chosen = int(device) if device is not None and device.isdecimal() else device
    console = Console()
    with console.status("") as status:

        def level(peak: float) -> None:
            filled = round(20 * peak**0.5)
            status.update(f"[green]{'▮' * filled}[/][dim]{'▯' * (20 - filled)}[/]")

        _converse(
            server, config, preset, settings, lambda: terminal.microphone(chosen, level), console
        )


def _converse(
    server: str | None,
    config: Path | None,
    preset: str | None,
    settings: dict[str, object],
    source: Callable[[], AsyncIterator[bytes]],
    console: Console | None = None,
) -> None:
    from clients import terminal

    async def run() -> None:
        async with _some_server(server, config, preset) as url:
            token = os.environ.get(TOKEN) or None
            await terminal.converse(url, token, settings, source(), console or Console())

    try:
        asyncio.run(run())
    except terminal.ClientError as error:
        raise AssistantError(str(error)) from error
    except KeyboardInterrupt:
        typer.echo()


@asynccontextmanager
async def _some_server(
    url: str | None, config: Path | None, preset: str | None
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
    assistant = build_assistant(load(settings.model), settings, words)
    async with running(assistant, own) as (_, listening):
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"
