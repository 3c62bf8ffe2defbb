"""The `salmonn-live` command: where everything is put together."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from assistant.config import LoraConfig
from assistant.errors import AssistantError, ConfigError
from assistant.presets import read_yaml, shipped_config, validate
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

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file.", show_default="as shipped")
]
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
    return Config(config.preset, config.model.model_copy(update={"llm": llm}), config.endpointing)


def _load(config: Config) -> "Salmonn":
    """The model, with a word on stderr about weights that found no place in it."""
    from assistant.model import load

    model = load(config.model)
    if left := model.leftover:
        names = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        message = f"{config.model.checkpoint}: {len(left)} keys have no place here: {names}"
        errors.print(message, style="yellow", highlight=False, markup=False, soft_wrap=True)
    return model


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
    words = instruction(question, task, fill)
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
    file: Annotated[Path, typer.Argument(help="A recording: wav, flac, ogg, opus or mp3.")],
    instruction: InstructionOption = None,
    task: TaskOption = None,
    question: QuestionOption = None,
    realtime: Annotated[bool, typer.Option(help="Keep to the pace of the audio.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One event per line on stdout, nothing else.")
    ] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
    lora_scale: LoraScaleOption = None,
) -> None:
    """Hear a recording as if it came from a microphone, and answer every utterance in it."""
    from assistant import audio
    from assistant.conversation import Conversation
    from assistant.prompt import instruction as choose
    from streaming.replay import replay as run
    from streaming.session import Session
    from streaming.show import Screen, to_json
    from streaming.vad import Endpointer, webrtc

    settings = _configure(config, preset, lora_scale)
    pcm = audio.to_pcm16(audio.load(file))
    words = choose(instruction, task, question)
    model = _load(settings)
    endpointing = settings.endpointing
    session = Session(
        Endpointer(webrtc(endpointing.aggressiveness), endpointing),
        Conversation(model, words),
        lookback_frames=endpointing.pre_roll_frames + endpointing.min_speech_frames,
    )
    screen = Screen(Console())
    for event in run(session, pcm, realtime=realtime):
        if as_json:
            typer.echo(to_json(event))
            sys.stdout.flush()
        else:
            screen.show(event)
    if not as_json:
        screen.close()


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A published .pth, or a trainer's state.pt.")],
    folder: Annotated[Path, typer.Argument(help="Where to write our format.")],
    preset: Annotated[str, typer.Option(help="Preset the weights belong to.")],
    card: Annotated[
        Path | None,
        typer.Option(help="YAML with training_data, figures, licence and notes for the card."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Turn a checkpoint into our folder: safetensors (fp16) and a card."""
    from assistant.checkpoint import fit, read_trained, write_folder
    from assistant.components import describe

    model = load_config(config or shipped_config(), preset).model
    weights = fit(read_trained(source), model, str(source))
    parts = {"speech_encoder": model.speech_encoder, "llm": model.llm}
    if model.audio_encoder is not None:
        parts["audio_encoder"] = model.audio_encoder
    told: dict[str, object] = {"notes": f"from {source.name}"}
    told |= read_yaml(card) if card is not None else {}
    told["preset"] = preset
    told["components"] = {name: describe(part.weights) for name, part in parts.items()}
    written = write_folder(folder, weights, told)
    typer.echo(
        f"{folder}: {len(weights.aligner)} aligner and {len(weights.lora)} LoRA tensors, "
        f"sha256 {written.weights_sha256[:16]}"
    )
    for key in weights.leftover:
        typer.echo(f"left out: {key}")


RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of data, features and runs.")]


@app.command()
def data(
    recipe: Annotated[Path, typer.Argument(help="assistant/training/nano-0-data.yaml or yours.")],
    source: Annotated[Path, typer.Option("--data", help="Folder with text/ and speech/.")],
    runs: RunsOption = Path("runs"),
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    config: ConfigOption = None,
) -> None:
    """Make the recordings and features that training reads; goes on where it stopped."""
    from assistant.training.prepare import load_data_config, prepare

    wanted = load_data_config(recipe)
    model = load_config(config or shipped_config(), wanted.preset).model
    prepare(wanted, model, source, runs, workers)


@app.command()
def train(
    stage: Annotated[Path, typer.Argument(help="A stage, such as assistant/training/*.yaml.")],
    runs: RunsOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Train a stage, or go on with it; its run is named after the file."""
    from assistant.training.config import load_stage
    from assistant.training.run import run_stage

    settings = load_stage(stage)
    model = load_config(config or shipped_config(), settings.preset).model
    folder = run_stage(model, settings, runs, stage.stem)
    typer.echo(f"{folder}: state.pt, log.csv, figures.csv")


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
