"""A recipe: one file that says how weights are made, from recordings to the files that ship.

It describes a graph. Corpora are made; ears hear them; runs train on what they heard, and start
from other runs; means are of runs; what ships is some files of these. Nobody says in which order.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from assistant.config import Section
from assistant.files.presets import read_yaml, validate
from lab.corpora.corpus import ROWS, CorpusConfig
from lab.features import Kind
from lab.training.config import StageConfig
from lab.training.run import BEATS, TAGGER

WEIGHTS = "weights.safetensors"

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""Lower case, digits and hyphens: it is part of a folder's name."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EarConfig(Section):
    """How corpora are heard."""

    preset: str
    """Preset of `config.yaml` whose encoders hear, and which is trained."""

    features: Kind = "encoders"
    """What is kept of what is heard."""

    audio_encoder: str | None = None
    """A run of stage `tag` whose encoder hears instead of the preset's own."""


class RunConfig(StageConfig):
    """A run: a stage of training, and how its corpora are heard."""

    ear: str

    minutes: PositiveFloat | None = None
    """What it took when it was last done; plans go by it."""

    machine: str = ""
    """The machine that took so long."""

    otherwise: str = ""
    """What was not as this file says when the weights that ship were made, and cannot be again."""


class TaggerConfig(Section):
    """A sound tagger of spans (`lab.training.names`)."""

    ear: str
    train: dict[str, PositiveFloat]
    """Corpora it learns from, and the weight of a block of each."""

    still: str
    """One of them: nothing may begin in its recordings without a sound."""

    choose: str
    """The corpus that chooses what is sure enough to be named."""

    minutes: PositiveFloat | None = None
    machine: str = ""
    otherwise: str = ""


class ShippedConfig(Section):
    """A file that ships."""

    of: str
    """The run, the mean or the tagger it comes from."""

    sha256: Sha256
    """Of the file in the folder that ships."""


class BesidesConfig(Section):
    """A file that ships and that commands make, not the recipe."""

    commands: list[str]
    sha256: Sha256
    """Of the file in the folder that ships."""


class CardConfig(Section):
    """What the card beside weights says of them."""

    licence: str
    training_data: list[str]
    figures: dict[str, float]
    notes: str


class ShipConfig(Section):
    """A folder that ships."""

    preset: str
    folder: str
    """Where the files lie in the repository."""

    files: dict[str, ShippedConfig]
    besides: dict[str, BesidesConfig] = Field(default={})
    report: list[str] = Field(default=[])
    """Corpora that figures of it are of: nothing that it comes from was trained on them or chosen
    by them, nor by anything they share a clip or a source with."""

    card: CardConfig | None = None
    """Beside `weights.safetensors`."""


class TookConfig(Section):
    """What it took to make and to hear several corpora, which were made together."""

    corpora: list[str]
    minutes: PositiveFloat
    machine: str


class RecipeConfig(Section):
    """A recipe."""

    preset: str
    """Preset of `config.yaml` whose LLM replies and tells stories in corpora."""

    material: dict[str, Sha256] = Field(default={})
    """What is not made but there: files and folders under `--data`, with their digests (of a folder
    that of all its files' names and digests)."""

    ears: dict[Name, EarConfig]
    corpora: dict[Name, CorpusConfig]
    runs: dict[Name, RunConfig] = Field(default={})
    means: dict[Name, dict[str, PositiveFloat]] = Field(default={})
    """The mean of the weights of runs, each with its share."""

    taggers: dict[Name, TaggerConfig] = Field(default={})
    ships: dict[Name, ShipConfig] = Field(default={})
    took: list[TookConfig] = Field(default=[])

    dev_reports: str = ""
    """Why corpora of split `dev`, which figures were reported of, may choose, too, and what ships
    need not name others that report. Without a reason they may not, and it has to."""

    @model_validator(mode="after")
    def _resolves(self) -> Self:
        for problem in chain(_names(self), _references(self), _splits(self)):  # first things first
            raise ValueError(problem)
        try:
            TopologicalSorter(dict(_arrows(self))).prepare()
        except CycleError as error:
            raise ValueError(f"a circle: {' > '.join(reversed(error.args[1]))}") from None
        return self


def load_recipe(path: Path) -> RecipeConfig:
    """Read a recipe.

    Raises:
        ConfigError: naming the key that is wrong.
    """
    return validate(RecipeConfig, read_yaml(path), path.name)


def _names(recipe: RecipeConfig) -> Iterator[str]:
    """No two things of a recipe have one name."""
    seen: set[str] = set()
    for section in (recipe.corpora, recipe.runs, recipe.means, recipe.taggers, recipe.ships):
        for name in section:
            if name in seen:
                yield f"{name}: is the name of two things"
            seen.add(name)


def _references(recipe: RecipeConfig) -> Iterator[str]:
    """Every name stands for something, and for something that fits."""
    corpora = set(recipe.corpora)
    recorded = {name for name, corpus in recipe.corpora.items() if corpus.kind not in ROWS}
    taggers = {name for name, run in recipe.runs.items() if run.stage == "tag"}
    states = {name for name, run in recipe.runs.items() if run.stage in ("ctc", "read")}
    states |= set(recipe.means)
    wanted: list[tuple[str, str, set[str], str]] = []

    def want(key: str, names: Iterator[str] | list[str], known: set[str], what: str) -> None:
        wanted.extend((key, name, known, what) for name in names)

    for name, corpus in recipe.corpora.items():
        want(f"corpora.{name}.of", corpus.of, recorded, "corpus with recordings")
    for name, ear in recipe.ears.items():
        encoder = [] if ear.audio_encoder is None else [ear.audio_encoder]
        want(f"ears.{name}.audio_encoder", encoder, taggers, "run of stage tag")
    for name, run in recipe.runs.items():
        heard = _hearing(recipe, "fbank" if run.stage == "tag" else "encoders")
        want(f"runs.{name}.ear", [run.ear], *heard)
        want(f"runs.{name}.train", [*run.train], corpora, "corpus")
        want(f"runs.{name}.watch", [*run.watch], corpora, "corpus")
        want(f"runs.{name}.lead", [run.lead.store] if run.lead else [], recorded, "corpus")
        begun = [] if run.start_from is None else [run.start_from]
        want(f"runs.{name}.start_from", begun, states, "run of stage ctc or read, or mean")
    for name, tagger in recipe.taggers.items():
        want(f"taggers.{name}.ear", [tagger.ear], *_hearing(recipe, "windows"))
        want(f"taggers.{name}.train", [*tagger.train], corpora, "corpus")
        want(f"taggers.{name}.still", [tagger.still], set(tagger.train), "corpus it learns from")
        want(f"taggers.{name}.choose", [tagger.choose], corpora, "corpus")
    for name, parts in recipe.means.items():
        want(f"means.{name}", [*parts], states, "run of stage ctc or read, or mean")
    events = {name for name, run in recipe.runs.items() if run.stage == "events"}
    makers = {WEIGHTS: states, BEATS: taggers, TAGGER: events | set(recipe.taggers)}
    for name, ship in recipe.ships.items():
        want(f"ships.{name}.report", ship.report, recorded, "corpus with recordings")
        for file, shipped in ship.files.items():
            known = makers.get(file, set())
            want(f"ships.{name}.files.{file}", [shipped.of], known, "step that makes this file")
    for i, took in enumerate(recipe.took):
        want(f"took.{i}", took.corpora, corpora, "corpus")
    yield from (f"{key}: no {what} {name!r}" for key, name, known, what in wanted
                if name not in known)  # fmt: skip


def _hearing(recipe: RecipeConfig, features: Kind) -> tuple[set[str], str]:
    found = {name for name, ear in recipe.ears.items() if ear.features == features}
    return found, f"ear with features {features}"


def _splits(recipe: RecipeConfig) -> Iterator[str]:
    """What trains, what chooses and what reports are different corpora."""
    trained: list[tuple[str, str]] = []
    chosen: list[tuple[str, str]] = []
    for name, run in recipe.runs.items():
        trained += [(f"runs.{name}.train", corpus) for corpus in run.train]
        trained += [(f"runs.{name}.lead", run.lead.store)] if run.lead else []
        chosen += [(f"runs.{name}.watch", corpus) for corpus in run.watch]
    for name, tagger in recipe.taggers.items():
        trained += [(f"taggers.{name}.train", corpus) for corpus in tagger.train]
        chosen.append((f"taggers.{name}.choose", tagger.choose))
    reported: list[tuple[str, str]] = []
    for name, ship in recipe.ships.items():
        reported += [(f"ships.{name}.report", corpus) for corpus in ship.report]
        if not ship.report and not recipe.dev_reports:
            yield f"ships.{name}.report: names no corpus that reports"
    for uses, allowed, what in (
        (trained, {"train"}, "trains"),
        (chosen, {"choose", "dev"} if recipe.dev_reports else {"choose"}, "chooses"),
        (reported, {"report"}, "reports"),
    ):
        for key, name in uses:
            split = recipe.corpora[name].split
            if split not in allowed:
                yield f"{key}: {name} is of split {split}, and {what} here"


def needed_by(recipe: RecipeConfig, name: str) -> set[str]:
    """The names of everything that `name` comes from, and its own."""
    arrows, found, left = dict(_arrows(recipe)), set[str](), [name]
    while left:
        if (next_one := left.pop()) not in found:
            found.add(next_one)
            left += arrows[next_one]
    return found


def _arrows(recipe: RecipeConfig) -> Iterator[tuple[str, set[str]]]:
    """Each name, and the names that it needs."""
    for name, corpus in recipe.corpora.items():
        yield name, set(corpus.of)
    for name, run in recipe.runs.items():
        encoder = recipe.ears[run.ear].audio_encoder
        lead = run.lead.store if run.lead else None
        others = {n for n in (run.start_from, encoder, lead) if n is not None}
        yield name, {*run.train, *run.watch, *others}
    for name, parts in recipe.means.items():
        yield name, set(parts)
    for name, tagger in recipe.taggers.items():
        yield name, {*tagger.train, tagger.still, tagger.choose}
    for name, ship in recipe.ships.items():
        yield name, {shipped.of for shipped in ship.files.values()}
