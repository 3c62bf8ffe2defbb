"""The `salmonn-live` command: where everything is put together."""

import os
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from assistant.errors import AssistantError, ConfigError
from assistant.rates import SAMPLE_RATE
from assistant.voice.voice import NONE
from cli.lists import lists_commands
from cli.options import (
    InstructionOption,
    LoraScaleOption,
    PresetOption,
    TaskOption,
    configure,
    load_model,
    tell,
)
from cli.serve import serve_commands
from cli.talk import talk_commands
from cli.tape import TAPE, replay_tape, tape_commands
from cli.training import ConfigOption, training_commands
from cli.wyoming import wyoming_commands

app = typer.Typer(
    help="An assistant that hears: speech, sounds and music, answered while you listen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ALONE = "train"
"""The command that works through the night, with the machine to itself."""

IN_LAB = (ALONE, "eval")
"""Commands that need what is only in the source checkout."""


@app.callback()
def prepare(context: typer.Context) -> None:
    """Let waiting threads sleep, and check that the command is installed.

    When other programs use the same cores, threads that spin while they wait for each other delay
    every step by hundreds of milliseconds. Sleeping costs some milliseconds a block on an idle
    machine. libgomp reads the setting when torch is loaded, which is later.

    Raises:
        ConfigError: the command is only in the source checkout.
    """
    if context.invoked_subcommand in IN_LAB and find_spec("lab") is None:
        raise ConfigError(
            f"{context.invoked_subcommand}: needs the source checkout, where `lab/` is; run "
            "`pip install -e .` there"
        )
    if context.invoked_subcommand != ALONE:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


QuestionOption = Annotated[
    str | None, typer.Option("--question", help="Fills {question} in a task's words.")
]


training_commands(app)
tape_commands(app)
serve_commands(app)
wyoming_commands(app)
talk_commands(app)
lists_commands(app)


@app.command()
def ask(
    file: Annotated[Path, typer.Argument(help="A recording: wav, flac, ogg, opus or mp3.")],
    question: Annotated[str | None, typer.Argument(help="What you want to know.")] = None,
    task: TaskOption = None,
    fill: QuestionOption = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
    beams: Annotated[int | None, typer.Option(min=1, help="Beams to search.")] = None,
) -> None:
    """Answer a question about a whole recording (offline: everything is encoded first)."""
    settings = configure(config, preset, lora_scale)  # a wrong key is told before torch is there
    from assistant.prompt.prompt import instruction
    from assistant.sound import recording

    samples = recording.load(file)
    words = instruction(question, task, fill, settings.model.prompt.default_task)
    model = load_model(settings)
    generation = settings.model.generation
    if beams is not None:
        generation = generation.model_copy(update={"beams": beams})
    answered = False
    for text in model.ask(samples, words, generation):
        answered = answered or bool(text.strip())
        typer.echo(text, nl=False)
        sys.stdout.flush()
    typer.echo()
    if not answered:
        seconds = len(samples) / SAMPLE_RATE
        tell(
            f"The model had nothing to say about these {seconds:.0f} s. A long recording is "
            "better heard with `salmonn-live replay`, utterance by utterance.",
            "yellow",
        )


@app.command()
def replay(
    file: Annotated[
        Path, typer.Argument(help="A recording: wav, flac, ogg, opus or mp3; or a tape: jsonl.")
    ],
    instruction: InstructionOption = None,
    task: TaskOption = None,
    question: QuestionOption = None,
    realtime: Annotated[bool, typer.Option(help="Keep to the pace of the audio.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Draw a timeline of the work under each reply.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Write the timeline as a picture.")
    ] = None,
    speak: Annotated[
        Path | None,
        typer.Option("--speak", help="Write a wav of both sides: the recording and the answers."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One event per line on stdout, nothing else.")
    ] = False,
    recut: Annotated[
        int | None, typer.Option(min=0, help="A seed: cut a tape's audio at other places.")
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
) -> None:
    """Hear a recording as if it came from a microphone, and answer every utterance in it."""
    if file.suffix == TAPE:
        settled = instruction, task, question, preset, lora_scale, svg, speak, explain or None
        if any(given is not None for given in settled):
            raise ConfigError(f"{file}: a tape says itself how its session was made")
        replay_tape(file, config, recut, as_json, realtime)
        return
    if recut is not None:
        raise ConfigError("--recut: only a tape (jsonl) can be cut at other places")
    if explain and as_json:
        raise ConfigError("--explain: not with --json, which prints nothing but events")
    settings = configure(config, preset, lora_scale)
    if speak is not None and settings.voice.name == NONE:
        raise ConfigError("--speak: voice.name is none, so nothing would be said")
    if speak is not None and not speak.parent.is_dir():
        raise ConfigError(f"--speak: there is no folder {speak.parent}")
    from assistant.prompt.prompt import instruction as choose
    from assistant.sound.recording import load_pcm16
    from streaming.build import build_session, offered
    from streaming.dialogue.session import one_each
    from streaming.instruments import timeline
    from streaming.instruments.both_sides import BothSides, write
    from streaming.instruments.explain import chart
    from streaming.instruments.ledger import Latency
    from streaming.instruments.replay import Step
    from streaming.instruments.replay import replay as run
    from streaming.instruments.show import INDENT, Screen, line
    from streaming.shell import now, shell_of

    pcm = load_pcm16(file)
    words = choose(instruction, task, question, settings.model.prompt.default_task)
    sides = None if speak is None else BothSides()
    console = Console(emoji=False)
    screen = Screen(console)
    trace: list[Step] = []
    drawn = 0  # steps that were
    with closing(shell_of(settings)) as shell:
        model = load_model(settings)
        tools = offered(model, settings, shell.functions.values())
        aloud = speak is not None
        session = build_session(
            model, settings, words, aloud=aloud, tools=tools, sleeps=True, pace=one_each
        )
        if tools is not None:
            session.control(now())
        calls = shell.calls().run
        for event in run(session, pcm, realtime=realtime, trace=trace, sides=sides, calls=calls):
            if as_json:
                typer.echo(line(event))
                sys.stdout.flush()
            else:
                screen.show(event)
            if explain and isinstance(event, Latency):
                drawing = chart(trace[drawn:], console.width - INDENT)
                console.print(Padding(drawing, (0, 0, 0, INDENT)))
                drawn = len(trace)
    if not as_json:
        screen.close()
    if speak is not None and sides is not None:
        write(speak, sides.mix(pcm))
    if svg is not None:
        svg.write_text(timeline.draw(trace, pcm), encoding="utf-8")


@app.command()
def tasks() -> None:
    """List the named tasks and their instructions."""
    from assistant.prompt.prompt import tasks as named

    table = Table("task", "instruction", box=None)
    for name, words in named().items():
        table.add_row(name, words)
    Console(emoji=False).print(table)


def main() -> None:
    """Entry point: errors meant for the user are one line on stderr and exit code 1."""
    try:
        app()
    except AssistantError as error:
        tell(f"salmonn-live: {error}", "red")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
