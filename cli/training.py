"""The commands of those who train and judge models: data, train, average, convert, eval."""

from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assistant.errors import ConfigError
from assistant.files.presets import read_yaml, shipped_config
from streaming.config_file import load_config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file.", show_default="as shipped")
]


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
    from assistant.parts.checkpoint import fit, read_trained, write_folder
    from assistant.parts.components import describe

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


def data(
    recipe: Annotated[Path, typer.Argument(help="lab/recipes/nano-0-data.yaml or yours.")],
    source: Annotated[Path, typer.Option("--data", help="Folder with text/ and speech/.")],
    runs: RunsOption = Path("runs"),
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    config: ConfigOption = None,
) -> None:
    """Make the recordings and features that training reads; goes on where it stopped."""
    from lab.corpora.corpus import load_data_config
    from lab.corpora.prepare import prepare

    wanted = load_data_config(recipe)
    model = load_config(config or shipped_config(), wanted.preset).model
    prepare(wanted, model, source, runs, workers)


def train(
    stage: Annotated[Path, typer.Argument(help="A stage, such as lab/recipes/*.yaml.")],
    runs: RunsOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Train a stage, or go on with it; its run is named after the file."""
    from lab.training.config import load_stage
    from lab.training.run import run_stage

    settings = load_stage(stage)
    model = load_config(config or shipped_config(), settings.preset).model
    folder = run_stage(model, settings, runs, stage.stem)
    typer.echo(f"{folder}: state.pt, log.csv, figures.csv")


def average(
    states: Annotated[list[str], typer.Argument(help="RUN/state.pt:SHARE of each, 1 if not told.")],
    to: Annotated[Path, typer.Option("--to", help="File to write, another state.pt.")],
) -> None:
    """The mean of the weights of several runs that began from the same ones."""
    from lab.training.average import average as mean

    left_out = mean([_with_share(state) for state in states], to)
    typer.echo(f"{to}: the mean of {len(states)} runs")
    for name in left_out:
        typer.echo(f"left out, as not all have it: {name}")


def _with_share(state: str) -> tuple[Path, float]:
    path, colon, share = state.rpartition(":")
    try:
        return (Path(path), float(share)) if colon else (Path(state), 1.0)
    except ValueError as error:
        raise ConfigError(f"{state}: a share is a number") from error


def evaluate(
    sets: Annotated[
        str | None, typer.Option(help="Names with commas between them.", show_default="all")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Judge these recordings instead: JSON lines.")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(
            help="offline, streamed, Whisper, cascade, bare cascade, text oracle; of everyday: "
            "live, cascade, text oracle, bare LLM.",
            show_default="all",
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Rows of a set at most.")] = 200,
    source: Annotated[
        Path, typer.Option("--data", help="Folder with text/, speech/ and sound/.")
    ] = Path("../shared/data"),
    runs: RunsOption = Path("runs"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all answers there.")
    ] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw a PNG or SVG.")] = None,
    preset: Annotated[str | None, typer.Option(help="Preset to judge.")] = None,
    config: ConfigOption = None,
) -> None:
    """Measure a model on held-out recordings beside baselines made of the same parts."""
    from assistant.model import load
    from lab.evaluation import report
    from lab.evaluation.build import made_sets, system_makers, talk_makers
    from lab.evaluation.live import Live
    from lab.evaluation.recorded import recordings
    from lab.evaluation.run import evaluate as judge
    from lab.evaluation.sets import own_set
    from lab.evaluation.talks import SET, every
    from lab.evaluation.talks import judge as judge_talks

    report.check_files(json_file, plot_file)
    wanted, made = load_config(config or shipped_config(), preset), runs / "data"
    names = _split(sets)
    talks = every(clips) if manifest is None and (names is None or SET in names) else []
    if manifest is not None:
        found = [own_set(manifest, clips)]
    else:
        found = [] if names == [SET] else made_sets(source, made, clips)
    known = {s.name: s for s in found} | ({SET: None} if manifest is None else {})
    found = [one for one in _chosen(known, names, "--sets").values() if one is not None]
    model = load(wanted.model)
    makers, talkers = system_makers(model), talk_makers(model, lambda: Live(model, wanted))
    asked = _chosen(makers | talkers, _split(systems), "--systems")
    built = {name: makers[name]() for name in asked if name in makers and found}
    results = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=sum(len(s.rows) for s in found) + len(talks))
        for one in found:
            progress.update(bar, description=one.name)
            results += judge(one, built, lambda: progress.advance(bar))
            if json_file is not None:  # after each set: a later one may fail
                report.write_json(results, json_file)
        if talks:
            progress.update(bar, description=SET)
            results += judge_talks(
                recordings(talks, source, made / SET),
                [make() for name, make in talkers.items() if name in asked],
                lambda: progress.advance(bar),
            )
            if json_file is not None:
                report.write_json(results, json_file)
    Console(emoji=False).print(report.table(results))
    if plot_file is not None:
        report.plot(results, plot_file)


def _split(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",")]


Thing = TypeVar("Thing")


def _chosen(known: dict[str, Thing], names: list[str] | None, option: str) -> dict[str, Thing]:
    """Those of `known` that an option names; all, if it was not given."""
    if names is None:
        return known
    if strange := [name for name in names if name not in known]:
        raise ConfigError(f"{option}: no {', '.join(strange)}; there are {', '.join(known)}")
    return {name: known[name] for name in names}


def training_commands(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (convert, data, train, average):
        app.command()(command)
    app.command("eval")(evaluate)
