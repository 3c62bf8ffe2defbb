"""`salmonn-live talk`, `listen` and `send`: clients in a terminal, with a server or without."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from assistant.errors import AssistantError, ConfigError
from assistant.files.presets import validate
from assistant.voice.choose import check
from assistant.voice.voice import NONE
from cli.options import configure, load_model
from cli.serve import environment_token
from cli.training import ConfigOption
from streaming.config import Config, ServerConfig

if TYPE_CHECKING:  # a machine may have no sound card
    from clients.speaker import Speaker

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
    voice: Annotated[str | None, typer.Option("--voice", help="Who speaks the answers.")] = None,
    no_voice: Annotated[bool, typer.Option("--no-voice", help="Answers are only shown.")] = False,
    headphones: Annotated[
        bool,
        typer.Option("--headphones", help="It cannot hear itself: speaking interrupts it."),
    ] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Talk to the assistant: speaks and shows answers as they come, and shows captions. Q quits."""
    from clients import realtime

    if devices:
        _list_devices()
        return
    if no_voice and voice is not None:
        raise ConfigError("--voice: not with --no-voice")
    settings = {**realtime.SETTINGS, "output_modalities": ["text" if no_voice else "audio"]}
    if voice is not None:
        settings["audio"] = {**settings["audio"], "output": {"voice": voice}}
    own = _own(server, config, preset, NONE if no_voice else voice)
    _from_microphone(
        server, device, own, settings, push_to_talk, speaks=not no_voice, headphones=headphones
    )


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
        own = _own(server, config, preset, NONE)
        _from_microphone(server, device, own, terminal.CAPTIONS_ONLY)


def send(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    server: ServerOption = None,
    speed: Annotated[float, typer.Option(min=0.1, help="Times as fast as real time.")] = 1.0,
    piece_ms: Annotated[float, typer.Option(min=1.0, help="Audio in a message, ms.")] = 40.0,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Send a recording as if it were live."""
    settings = _own(server, config, preset, NONE)
    from assistant.sound.recording import load_pcm16
    from clients import realtime, sources, terminal

    pcm = load_pcm16(file)

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.recording(pcm, speed, piece_ms / 1000)
        wanted = {**realtime.SETTINGS, **realtime.TEXT}
        await terminal.converse(url, token, wanted, pieces, console)

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
    own: Config | None,
    settings: dict[str, object],
    push_to_talk: bool = False,
    *,
    speaks: bool = False,
    headphones: bool = False,
) -> None:
    from clients import realtime, sources, terminal

    chosen = int(device) if device is not None and device.isdecimal() else device

    async def run(url: str, token: str | None, console: Console) -> None:
        pieces = sources.microphone(chosen)
        speaker = _speaker(console) if speaks else None
        wanted = settings if speaker is not None else {**settings, **realtime.TEXT}
        how: dict[str, Any] = {"push_to_talk": push_to_talk, "headphones": headphones}
        await terminal.talk(url, token, wanted, pieces, console, speaker=speaker, **how)

    _with_server(server, own, run)


def _speaker(console: Console) -> "Speaker | None":
    """A loudspeaker; where there is none, that is told and answers are text."""
    from clients.errors import ClientError
    from clients.speaker import Speaker

    try:
        return Speaker()
    except ClientError as error:
        console.print(f"{error}; answers are text", style="dim", highlight=False)
        return None


def _own(
    server: str | None, config: Path | None, preset: str | None, voice: str | None = None
) -> Config | None:
    """The configuration of a server in this process; wrong keys are reported before anything is
    loaded."""
    if server is not None:
        return None
    own = configure(config, preset)
    if voice is None:
        return own
    check(voice)
    return replace(own, voice=own.voice.model_copy(update={"name": voice}))


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
    from streaming.shell import shell_of

    # On loopback, for the client in this process.
    alone = {"host": "127.0.0.1", "port": 0, "certificate": None, "key": None}
    wanted = {**own.server.model_dump(), **alone, "token": environment_token()}
    served = validate(ServerConfig, wanted, "server")
    words = instruction(None, None, None, own.model.prompt.default_task)
    console.print(f"Loading {own.preset} ...", style="dim")
    with closing(shell_of(own)) as shell:
        assistant = build_assistant(load_model(own), own, words, shell)
        async with running(assistant, served) as (_, listening):
            port = next(iter(listening.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}/v1/realtime"
