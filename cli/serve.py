"""`salmonn-live serve`."""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from assistant.errors import ConfigError
from assistant.files.presets import validate
from cli.options import (
    InstructionOption,
    LoraScaleOption,
    PresetOption,
    TaskOption,
    configure,
    load_model,
)
from cli.training import ConfigOption
from streaming.config import Config, ServerConfig, usable_token

if TYPE_CHECKING:  # importing it takes a while
    from streaming.server.assistant import Assistant
    from streaming.server.listen import Listening
    from streaming.server.places import Places
    from streaming.wyoming.connection import Offer

TOKEN = "SALMONN_LIVE_TOKEN"
DRAIN_S = 10.0
"""Seconds that replies have to end when the server shuts down."""


def serve_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: any.")] = None,
    allow_public: Annotated[
        bool, typer.Option("--open", help="Let others in without a token.")
    ] = False,
    instruction: InstructionOption = None,
    task: TaskOption = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
    wyoming: Annotated[
        int | None, typer.Option(help="Serve Home Assistant, too, at this port (10800).")
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, max=64, help="Have sessions in so many processes.")
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="Let Ray begin these processes, two if not said.")
    ] = False,
) -> None:
    """Open a socket that any OpenAI Realtime client can talk to, and a page to talk on."""
    from streaming.server.listen import listen

    settings = configure(config, preset, lora_scale)
    server = server_config(settings, host, port, allow_public)
    beside = None if wyoming is None else home_assistant_config(server, wyoming)
    with ExitStack() as stack:  # what is wrong is told before torch is there
        stack.enter_context(ending_in_order())
        listening = stack.enter_context(listen(server))
        other = None if beside is None else stack.enter_context(listen(beside))
        from assistant.prompt.prompt import instruction as choose
        from streaming.server.build import build_assistant
        from streaming.shell import shell_of

        words = choose(instruction, task, None, settings.model.prompt.default_task)
        console = Console(emoji=False)
        console.print(f"Loading {settings.preset} ...", style="dim")
        settings = replace(settings, server=server)
        elsewhere = _replicas(settings, replicas, ray)
        there = None if server.measure else stack.enter_context(elsewhere)
        shell = stack.enter_context(closing(shell_of(settings)))
        model = load_model(settings)
        assistant = build_assistant(model, settings, words, shell)
        if server.measure:
            from streaming.build import build_session, offered
            from streaming.server.capacity import measured

            tools = offered(model, settings, shell.functions.values())
            awake = partial(build_session, model, settings, words, aloud=True, tools=tools)
            server = measured(settings, awake)  # one that waits for its wake word costs little
            console.print(f"Room for {server.sessions} sessions.", style="dim")
            there = stack.enter_context(elsewhere)  # sooner, they would take the cores meanwhile
        if there is not None:
            from streaming.server.replicas.replicas import Replicas

            assistant = replace(assistant, host=partial(Replicas, there, assistant.new_session))
        home = None
        if other is not None:
            from streaming.wyoming.build import build_offer

            home = build_offer(model, settings, words), other
        serve_until_told(_run(assistant, server, listening, console, home))


@contextlib.contextmanager
def _replicas(settings: Config, count: int | None, ray: bool) -> "Iterator[socket.socket | None]":
    """Where replicas connect; None: none are wanted, sessions are in this process."""
    if not (count or ray):
        yield None
        return
    if os.name != "posix":
        raise ConfigError("--replicas: needs Linux or macOS")
    if ray and find_spec("ray") is None:
        raise ConfigError("--ray: not installed; `pip install 'salmonn-live[scale]'` does that")
    if ray:
        from streaming.server.replicas.ray_places import ray_places as begun
    else:
        from streaming.server.replicas.processes import processes as begun
    with begun(count or 2, settings.model) as listening:
        yield listening


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """While a server starts, end as Ctrl-C does when the program is told to: what was begun for it,
    such as processes and folders, goes too."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)  # as shells have it

    before = {which: signal.signal(which, end) for which in set(_endings()) - {signal.SIGINT}}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def serve_until_told(running: Coroutine[None, None, None]) -> None:
    """Run a server on an event loop, with a log, until it is told to end."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    from streaming.server.listen import more_descriptors

    more_descriptors()
    gc.freeze()  # what is there now stays: `large.give_back` need not look at it
    try:
        asyncio.run(running)
    finally:
        gc.unfreeze()  # some libraries complain about what is not collected at the end


def server_config(
    settings: Config, host: str | None, port: int | None, allow_public: bool
) -> ServerConfig:
    """The server's settings: the file's, overridden by those of the command line.

    Raises:
        ConfigError: a value is out of range, a token cannot be sent, or an address that other
            machines reach has no token.
    """
    wanted = {"host": host, "port": port, "open": allow_public or None}
    wanted["token"] = environment_token()
    given = {key: value for key, value in wanted.items() if value is not None}
    server = validate(ServerConfig, {**settings.server.model_dump(), **given}, "server")
    if not (server.token or server.open or is_loopback(server.host)):
        raise ConfigError(
            f"server.host: others can reach {server.host}; set {TOKEN}, or say --open to let "
            "anyone in"
        )
    return server


def home_assistant_config(server: ServerConfig, port: int) -> ServerConfig:
    """The settings of a service for Home Assistant at another port.

    Raises:
        ConfigError: a part of it is not installed, or others reach it and were not let in.
    """
    if missing := [name for name in ("wyoming", "zeroconf") if find_spec(name) is None]:
        raise ConfigError(
            f"{missing[0]}: not installed; `pip install 'salmonn-live[homeassistant]'` does that"
        )
    if not (server.open or is_loopback(server.host)):
        raise ConfigError(
            f"server.host: others can reach {server.host}, and the Wyoming protocol has no "
            "tokens; say --open to let anyone in"
        )
    given = {**server.model_dump(), "port": port, "certificate": None, "key": None}
    return validate(ServerConfig, given, "server")


def environment_token() -> str | None:
    """The token in SALMONN_LIVE_TOKEN; None if it is not set.

    Raises:
        ConfigError: a header cannot hold the token; the message does not show it.
    """
    text = os.environ.get(TOKEN)
    try:
        return None if text is None else usable_token(text)
    except ValueError as error:
        raise ConfigError(f"{TOKEN}: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def told_to_end() -> asyncio.Event:
    """Set when the process is told to end."""
    over = asyncio.Event()
    for which in _endings():
        asyncio.get_running_loop().add_signal_handler(which, over.set)
    return over


async def serve_home_assistant(
    offer: "Offer",
    config: ServerConfig,
    places: "Places",
    listening: "Listening",
    console: Console,
    stack: AsyncExitStack,
    *,
    announce: bool = True,
) -> None:
    """Serve Home Assistant until `stack` is closed, and say where."""
    from streaming.wyoming.build import serving

    service = serving(offer, config, places, listening, announce=announce)
    port, name = await stack.enter_async_context(service)
    console.print(f"Home Assistant: Wyoming Protocol, port [bold]{port}[/].", highlight=False)
    if name is not None:
        console.print(f"It finds it by itself, as {name.partition('.')[0]}.", style="dim")


async def _run(
    assistant: "Assistant",
    config: ServerConfig,
    listening: "Listening",
    console: Console,
    home: "tuple[Offer, Listening] | None" = None,
) -> None:
    from streaming.server.app import running

    over = told_to_end()
    async with AsyncExitStack() as stack:
        app, server = await stack.enter_async_context(running(assistant, config, listening))
        if home is not None:
            offer, beside = home
            await serve_home_assistant(offer, config, app.places, beside, console, stack)
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "http" if config.certificate is None else "https"
        host = f"[{config.host}]" if ":" in config.host else config.host
        console.print(f"Listening: open [bold]{scheme}://{host}:{port}/[/] and speak.")
        address = f"ws{scheme.removeprefix('http')}://{host}:{port}/v1/realtime"
        console.print(f"OpenAI Realtime clients: {address}", style="dim", highlight=False)
        await over.wait()
        with contextlib.suppress(OSError):  # the terminal may be what is gone
            console.print("Finishing what is being said ...", style="dim")
        await app.drain(DRAIN_S)


def _endings() -> list[signal.Signals]:
    """Signals that end the server; a closed terminal does, unless it was started with `nohup`."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else [])]
