"""The commands of those who train and judge models: train, convert, eval."""

from functools import cache
from pathlib import Path
from typing import Annotated, TypeVar, cast, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from streaming.config_file import load_config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file.", show_default="as shipped")
]


def convert(
    source: Annotated[Path, typer.Argument(help="A published .pth, or a trainer's state.pt.")],
    folder: Annotated[Path, typer.Argument(help="Where to write our format.")],
    preset: Annotated[str, typer.Option(help="Preset the weights belong to.")],
    config: ConfigOption = None,
) -> None:
    """Turn a checkpoint into our folder: safetensors (fp16) and a card."""
    from assistant.parts.checkpoint import fit, read_trained, write_folder
    from assistant.parts.components import described

    model = load_config(config or shipped_config(), preset).model
    weights = fit(read_trained(source), model, str(source))
    card: dict[str, object] = {"notes": f"from {source.name}", "preset": preset}
    card["components"] = described(model)
    written = write_folder(folder, weights, card)
    typer.echo(
        f"{folder}: {len(weights.aligner)} aligner and {len(weights.lora)} LoRA tensors, "
        f"sha256 {written.weights_sha256[:16]}"
    )
    for key in weights.leftover:
        typer.echo(f"left out: {key}")


RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of everything that is made.")]
DataOption = Annotated[Path, typer.Option("--data", help="Folder with text/, speech/ and sound/.")]


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe: lab/recipes/shipped.yaml or yours.")],
    step: Annotated[
        list[str] | None,
        typer.Option("--step", help="Only this and what it needs.", show_default="what ships"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    source: DataOption = Path("../shared/data"),
    runs: RunsOption = Path("runs"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that make corpora.")] = 2,
    config: ConfigOption = None,
) -> None:
    """Make what a recipe describes and is not there yet; goes on where it was interrupted."""
    from lab.recipe.graph import steps_of
    from lab.recipe.perform import Setup, lock, perform
    from lab.recipe.plan import plan as planned
    from lab.recipe.plan import table
    from lab.recipe.recipe import load_recipe

    wanted, file = load_recipe(recipe), config or shipped_config()
    steps = steps_of(wanted, cache(lambda name: load_config(file, name).model), runs, step)
    Console(emoji=False).print(table(planned(wanted, steps, runs)))
    if not plan:
        with lock(runs):
            perform(steps, Setup(source, workers, wanted.material, typer.echo))


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
            help="offline, streamed, captions, Whisper, cascade, bare cascade, text oracle; of "
            "everyday: live, live with tools, cascade, text oracle, bare LLM.",
            show_default="all",
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Rows of a set at most.")] = 200,
    half: Annotated[
        str,
        typer.Option("--half", help="report, or choose: the recordings that choose weights."),
    ] = "report",
    source: DataOption = Path("../shared/data"),
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
    from lab.evaluation.everyday import CHOOSE, QUESTIONS
    from lab.evaluation.live import Live
    from lab.evaluation.recorded import recordings
    from lab.evaluation.run import evaluate as judge
    from lab.evaluation.sets import Half, own_set
    from lab.evaluation.talks import SET, every
    from lab.evaluation.talks import judge as judge_talks

    report.check_files(json_file, plot_file)
    if half not in get_args(Half):
        raise ConfigError(f"--half: no {half}; there are {', '.join(get_args(Half))}")
    which = cast(Half, half)
    wanted, made = load_config(config or shipped_config(), preset), runs / "data"
    names = _split(sets)
    asked_of = QUESTIONS if which == "report" else CHOOSE
    talks = (
        every(clips, file=asked_of) if manifest is None and (names is None or SET in names) else []
    )
    if manifest is not None:
        found = [own_set(manifest, clips)]
    else:
        heard = None if names is None else [name for name in names if name != SET]
        found = [] if heard == [] else made_sets(source, made, clips, which, heard)
    known = {s.name: s for s in found} | ({SET: None} if manifest is None else {})
    found = [one for one in _chosen(known, names, "--sets").values() if one is not None]
    model = load(wanted.model)
    makers, talkers = (
        system_makers(model),
        talk_makers(model, lambda tools: Live(model, wanted, tools=tools)),
    )
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
    for command in (convert, train):
        app.command()(command)
    app.command("eval")(evaluate)
