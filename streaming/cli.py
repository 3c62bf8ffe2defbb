"""The `salmonn-live` command: where everything is put together."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from assistant.config import LoraConfig
from assistant.errors import AssistantError, ConfigError
from assistant.presets import shipped_config, validate
from streaming.cli_serve import serve_commands
from streaming.cli_talk import talk_commands
from streaming.cli_tape import TAPE, replay_tape, tape_commands
from streaming.cli_training import ConfigOption, training_commands
from streaming.config import Config, load_config

if TYPE_CHECKING:  # importing it takes seconds
    from assistant.model import Salmonn

app = typer.Typer(
    help="An assistant that hears: speech, sounds and music, answered while you listen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)

ALONE = ("data", "train", "average")
"""Commands that work through the night, with the machine to themselves."""


@app.callback()
def prepare(context: typer.Context) -> None:
    """Where others are busy on the same cores, threads that spin while they wait for each other
    make every step hundreds of milliseconds late; asleep they cost an idle machine some
    milliseconds a block. Read by libgomp when torch is loaded, which is later.
    """
    if context.invoked_subcommand not in ALONE:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


PresetOption = Annotated[
    str | None, typer.Option("--preset", help="Preset to run instead of the file's choice.")
]
InstructionOption = Annotated[
    str | None, typer.Option("--instruction", help="What to do with what is heard.")
]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="A named task of assistant/prompts.yaml instead.")
]
QuestionOption = Annotated[
    str | None, typer.Option("--question", help="Fills {question} in a task's words.")
]
LoraScaleOption = Annotated[
    float | None, typer.Option("--lora-scale", help="LoRA scale; lower is freer (SALMONN 4.3).")
]


def _configure(path: Path | None, preset: str | None, lora_scale: float | None) -> Config:
    config = load_config(path or shipped_config(), preset)
    if lora_scale is None:
        return config
    lora = config.model.llm.lora
    if lora is None:
        raise ConfigError(f"--lora-scale: preset {config.preset} has no LoRA")
    if config.model.checkpoint is None:
        raise ConfigError(f"--lora-scale: preset {config.preset} has no checkpoint, so no LoRA")
    scaled = validate(LoraConfig, {**lora.model_dump(), "scale": lora_scale}, "--lora-scale")
    llm = config.model.llm.model_copy(update={"lora": scaled})
    return replace(config, model=config.model.model_copy(update={"llm": llm}))


def _load(config: Config) -> "Salmonn":
    """The model, with a word on stderr about weights that found no place in it."""
    from assistant.model import load

    model = load(config.model)
    if left := model.leftover:
        names = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        message = f"{config.model.checkpoint}: {len(left)} keys have no place here: {names}"
        errors.print(message, style="yellow", highlight=False, markup=False, soft_wrap=True)
    return model


training_commands(app)
tape_commands(app)
serve_commands(app)
talk_commands(app)


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
    """Answer about a whole recording (the offline path: everything is encoded first)."""
    from assistant import audio
    from assistant.prompt import instruction

    settings = _configure(config, preset, lora_scale)
    samples = audio.load(file)
    words = instruction(question, task, fill, settings.model.prompt.default_task)
    model = _load(settings)
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
        errors.print(
            f"The model had nothing to say about these {len(samples) / audio.SAMPLE_RATE:.0f} s. "
            "A long recording is better heard with `salmonn-live replay`, utterance by utterance.",
            style="yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


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
        bool, typer.Option("--explain", help="Draw under each reply what was computed when.")
    ] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="The same as a picture.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One event per line on stdout, nothing else.")
    ] = False,
    recut: Annotated[
        int | None, typer.Option(help="Of a tape: a seed; cut its audio at other places.")
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
) -> None:
    """Hear a recording as if it came from a microphone, and answer every utterance in it."""
    from assistant import audio
    from assistant.prompt import instruction as choose
    from streaming import timeline
    from streaming.build import build_session
    from streaming.explain import chart
    from streaming.ledger import Latency
    from streaming.replay import Step
    from streaming.replay import replay as run
    from streaming.session import one_each
    from streaming.show import INDENT, Screen, line

    if file.suffix == TAPE:
        settled = instruction, task, question, preset, lora_scale, svg, explain or None
        if any(given is not None for given in settled):
            raise ConfigError(f"{file}: a tape says itself how its session was made")
        replay_tape(file, config, recut, as_json, realtime)
        return
    if recut is not None:
        raise ConfigError("--recut: only a tape (jsonl) can be cut at other places")
    if explain and as_json:
        raise ConfigError("--explain: not with --json, which prints nothing but events")
    settings = _configure(config, preset, lora_scale)
    pcm = audio.to_pcm16(audio.load(file))
    words = choose(instruction, task, question, settings.model.prompt.default_task)
    model = _load(settings)
    session = build_session(model, settings, words, pace=one_each)
    console = Console()
    screen = Screen(console)
    trace: list[Step] = []
    drawn = 0  # steps that were
    for event in run(session, pcm, realtime=realtime, trace=trace):
        if as_json:
            typer.echo(line(event))
            sys.stdout.flush()
        else:
            screen.show(event)
        if explain and isinstance(event, Latency):
            console.print(Padding(chart(trace[drawn:], console.width - INDENT), (0, 0, 0, INDENT)))
            drawn = len(trace)
    if not as_json:
        screen.close()
    if svg is not None:
        svg.write_text(timeline.draw(trace, pcm), encoding="utf-8")


@app.command()
def tasks() -> None:
    """List the named tasks and their instructions."""
    from assistant.prompt import tasks as named

    table = Table("task", "instruction", box=None)
    for name, words in named().items():
        table.add_row(name, words)
    Console().print(table)


def main() -> None:
    """Entry point: errors meant for the user are one line on stderr and exit code 1."""
    try:
        app()
    except AssistantError as error:
        errors.print(
            f"salmonn-live: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
