"""`salmonn-live wyoming`."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.options import (
    InstructionOption,
    LoraScaleOption,
    PresetOption,
    TaskOption,
    configure,
    load_model,
)
from cli.serve import (
    ending_in_order,
    home_assistant_config,
    serve_home_assistant,
    serve_until_told,
    server_config,
    told_to_end,
)
from cli.training import ConfigOption
from streaming.config import ServerConfig

if TYPE_CHECKING:  # importing it takes a while
    from streaming.server.listen import Listening
    from streaming.wyoming.connection import Offer

PORT = 10_800
"""Where Home Assistant is served, unless another port is wished."""


def wyoming_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(wyoming)


def wyoming(
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int, typer.Option(help="Port; 0: any.")] = PORT,
    allow_public: Annotated[
        bool, typer.Option("--open", help="Let others in; the protocol has no tokens.")
    ] = False,
    announce: Annotated[
        bool, typer.Option(help="Let Home Assistant find it in the network.")
    ] = True,
    instruction: InstructionOption = None,
    task: TaskOption = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
) -> None:
    """Serve Home Assistant: speech to text, conversation and text to speech."""
    from streaming.server.listen import listen

    settings = configure(config, preset, lora_scale)
    server = home_assistant_config(server_config(settings, host, port, allow_public), port)
    with (
        ending_in_order(),
        listen(server) as listening,
    ):  # what is wrong is told before torch is there
        from assistant.prompt.prompt import instruction as choose
        from streaming.wyoming.build import build_offer

        words = choose(instruction, task, None, settings.model.prompt.default_task)
        console = Console(emoji=False)
        console.print(f"Loading {settings.preset} ...", style="dim")
        offer = build_offer(load_model(settings), settings, words)
        serve_until_told(_run(offer, server, listening, console, announce=announce))


async def _run(
    offer: "Offer",
    config: ServerConfig,
    listening: "Listening",
    console: Console,
    *,
    announce: bool,
) -> None:
    from streaming.server.places import Places

    over = told_to_end()
    places = Places(config.sessions)
    try:
        async with AsyncExitStack() as stack:
            await serve_home_assistant(
                offer, config, places, listening, console, stack, announce=announce
            )
            await over.wait()
    finally:
        places.stop()
