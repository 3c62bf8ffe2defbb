"""Doing the steps of a recipe: what is there is not made again, what was interrupted goes on."""

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from assistant.config import ModelConfig
from assistant.ear.tagger import save_tagger
from assistant.errors import ConfigError
from assistant.files.weights import sha256
from assistant.parts.checkpoint import fit, read_trained, write_folder
from assistant.parts.components import described
from lab import manifest
from lab.corpora.prepare import Order, make, show
from lab.corpora.transcribe import transcribe
from lab.features import extract, refer, unique
from lab.recipe.apart import require_apart
from lab.recipe.material import READS, check
from lab.recipe.recipe import WEIGHTS
from lab.recipe.steps import (
    FILES,
    Features,
    Mean,
    Recordings,
    Run,
    Ship,
    Step,
    Store,
    Tagger,
    Transcripts,
)
from lab.training.average import average
from lab.training.names import train_names
from lab.training.run import BEATS, TAGGER, run_stage

SPENT = "spent.json"
"""File of a step that is not done: the seconds that were spent on it until it was interrupted."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What steps are done with."""

    data: Path
    """The material."""

    workers: int
    """Processes."""

    material: Mapping[str, str]
    """What the recipe says of it."""

    tell: Callable[[str], None]
    """Receives a line about what is done."""


@contextmanager
def lock(runs: Path) -> Iterator[None]:
    """Keep a folder of runs to one program at a time.

    Raises:
        ConfigError: another one works there.
    """
    runs.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(runs / "lock", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(f"--runs: {runs}: another program is at work there") from error


def perform(steps: list[Step], setup: Setup) -> None:
    """Do, in order, those of `steps` that are not done.

    Raises:
        ConfigError: something is missing, the material is not what the recipe says, or what trains,
            chooses and reports is not apart.
    """
    read = {
        name
        for step in steps
        if isinstance(step, Recordings) and not step.done
        for name in READS[step.corpus.kind]
    }
    check({name: setup.material[name] for name in sorted(read & setup.material.keys())}, setup.data)
    for step in steps:
        if step.done:
            continue
        with _timed(step.place) as seconds:
            told = _do(step, setup)
        content = {
            "name": step.name,
            "made_from": {needed.place.name: needed.folder for needed in step.needs},
            "rate": step.rate,
            "units": step.units,
            "seconds": round(seconds(), 1),
            "machine": _machine(),
            **told,
        }
        fresh = step.card.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=1) + "\n")
        fresh.rename(step.card)
        (step.place / SPENT).unlink()


@contextmanager
def _timed(place: Path) -> Iterator[Callable[[], float]]:
    """Counts the seconds spent on a step, those before an interruption, too."""
    place.mkdir(parents=True, exist_ok=True)
    spent = place / SPENT
    before = float(json.loads(spent.read_text())) if spent.exists() else 0.0
    begin = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - begin

    try:
        yield seconds
    finally:
        fresh = spent.with_suffix(".new")
        fresh.write_text(json.dumps(seconds()))
        fresh.rename(spent)


def _machine() -> str:
    """The processor's name, where the system tells it."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _do(step: Step, setup: Setup) -> dict[str, object]:
    """Do a step; what its card is to say besides."""
    match step:
        case Recordings():
            _record(step, setup)
        case Features():
            _hear(step, setup)
        case Transcripts():
            _transcribe(step, setup)
        case Run():
            _train(step)
        case Mean():
            left_out = average([(part.state, share) for part, share in step.parts], step.state)
            return {"left_out": left_out}
        case Tagger():
            _fit(step)
        case Ship():
            return _ship(step, setup)
    return {}


def _record(step: Recordings, setup: Setup) -> None:
    of = tuple(recordings.manifest for recordings in step.of)
    make(Order(step.name, step.corpus, of, setup.data, step.manifest, setup.workers, step.model))


def _hear(step: Features, setup: Setup) -> None:
    source = step.recordings.manifest
    if step.base is not None:
        refer(source, step.place, step.base.place.name)
        return
    total = len(unique(manifest.read(source))[0])
    model = _with_encoder(step.model, step.encoder)
    show(extract(model, source, step.place, setup.workers, step.kind), f"hearing {step.name}",
         total)  # fmt: skip


def _transcribe(step: Transcripts, setup: Setup) -> None:
    refer(step.features.recordings.manifest, step.place, step.features.place.name)
    model = _with_encoder(step.model, step.encoder)
    steps = transcribe(model, step.place, step.count, setup.workers)
    show(steps, f"transcribing {step.name}", step.count)


def _train(step: Run) -> None:
    lead = [step.config.lead.store] if step.config.lead else []
    _check_apart(step.stores, [*step.config.train, *lead], [*step.config.watch], step.held_out)
    stores = {name: store.place for name, store in step.stores.items()}
    earlier = None if step.earlier is None else step.earlier.state
    model = _with_encoder(step.model, step.encoder)
    run_stage(model, step.config, step.place, stores, earlier)


def _fit(step: Tagger) -> None:
    config, places = step.config, {name: store.place for name, store in step.stores.items()}
    _check_apart(step.stores, [*config.train], [config.choose], step.held_out)
    weights = {places[name]: weight for name, weight in config.train.items()}
    tagger = train_names(step.model, weights, places[config.still], places[config.choose])
    save_tagger(tagger, step.place / TAGGER)


def _check_apart(
    stores: dict[str, Store], train: list[str], choose: list[str], report: tuple[Recordings, ...]
) -> None:
    def manifests(names: list[str]) -> Iterator[tuple[str, Path]]:
        for name in names:
            store = stores[name]
            features = store.features if isinstance(store, Transcripts) else store
            yield name, features.recordings.manifest

    require_apart(manifests(train), manifests(choose), [(r.name, r.manifest) for r in report])


def _with_encoder(model: ModelConfig, run: Run | None) -> ModelConfig:
    """The preset with the audio encoder that a run trained."""
    if run is None or model.audio_encoder is None:
        return model
    weights = {"weights": [str((run.place / BEATS).resolve())]}
    encoder = model.audio_encoder.model_copy(update=weights)
    return model.model_copy(update={"audio_encoder": encoder})


def _ship(step: Ship, setup: Setup) -> dict[str, object]:
    """Write the files that ship, and say which are the same as those that the recipe names."""
    digests: dict[str, str] = {}
    for file, source in step.files.items():
        if file == WEIGHTS:
            assert isinstance(source, Run | Mean)
            _write_weights(step, source)
        else:
            shutil.copyfile(source.place / FILES[file], step.place / file)
        digests[file] = sha256(step.place / file)
        same = digests[file] == step.config.files[file].sha256
        setup.tell(f"{step.place / file}: sha256 {digests[file][:16]}, "
                   f"{'what ships' if same else 'other bits than what ships'}")  # fmt: skip
    return {"sha256": digests}


def _write_weights(step: Ship, source: Run | Mean) -> None:
    weights = fit(read_trained(source.state), step.model, source.name)
    card: dict[str, object] = {"preset": step.config.preset, "components": described(step.model)}
    if step.config.card is not None:
        card |= step.config.card.model_dump()
    write_folder(step.place, weights, card)
