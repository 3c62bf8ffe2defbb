"""What a recipe would do: which steps are there, which are missing, and how long they may take."""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from lab.recipe.recipe import RecipeConfig
from lab.recipe.steps import CARD, Features, Recordings, Run, Step, Tagger, Transcripts

State = Literal["there", "begun", "missing"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing of a recipe: of a corpus all that is made of it."""

    name: str
    what: str
    """The steps that make it."""

    state: State
    minutes: float | None
    """What is left, estimated from what it or its like took before; None: not known."""

    digests: str
    """Of these steps: their folders' names end so."""


def plan(recipe: RecipeConfig, steps: Sequence[Step], runs: Path) -> list[Line]:
    """What the steps of a recipe come to.

    Args:
        recipe: has what its corpora and runs took before.
        steps: of the recipe, in order.
        runs: the folder of everything that is made; steps that were done there tell what others
            of their kind will take.
    """
    rates, recorded = _rates(runs), _recorded(recipe)
    named: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        named[step.name].append(step)
    return [
        Line(
            name,
            ", ".join(map(_what, of_name)),
            _state(of_name),
            _sum([_left(step, recorded, rates) for step in of_name]),
            " ".join(step.digest for step in of_name),
        )
        for name, of_name in named.items()
    ]


def table(lines: Sequence[Line]) -> Table:
    """A plan as a table, with what is left in all in its title."""
    known = sum(line.minutes or 0.0 for line in lines)
    unknown = sum(line.minutes is None for line in lines)
    there = sum(line.state == "there" for line in lines)
    title = f"{there} of {len(lines)} are there; about {known / 60:.1f} hours are left"
    title += f", and {unknown} of unknown length" if unknown else ""
    shown = Table("name", "what", "state", "hours", "digests", title=title, title_justify="left")
    for line in lines:
        hours = "?" if line.minutes is None else f"{line.minutes / 60:.1f}"
        shown.add_row(line.name, line.what, line.state, hours, line.digests)
    return shown


def _what(step: Step) -> str:
    match step:
        case Recordings():
            return step.corpus.kind
        case Features():
            return {"encoders": "features"}.get(step.kind, step.kind)
        case Transcripts():
            return "transcripts"
        case Run():
            return f"run of {step.config.stage}"
        case Tagger():
            return "tagger"
    return "files that ship" if step.folder == "shipped" else "mean"


def _state(steps: Sequence[Step]) -> State:
    if all(step.done for step in steps):
        return "there"
    return "begun" if any(step.place.exists() for step in steps) else "missing"


def _sum(minutes: Sequence[float | None]) -> float | None:
    known = [m for m in minutes if m is not None]
    return sum(known) if len(known) == len(minutes) else None


def _left(step: Step, recorded: Mapping[str, float], rates: Mapping[str, float]) -> float | None:
    if step.done:
        return 0.0
    whole = _whole(step, recorded, rates)
    return None if whole is None else whole * (1 - _share_done(step))


def _whole(step: Step, recorded: Mapping[str, float], rates: Mapping[str, float]) -> float | None:
    """Minutes that a step takes."""
    match step:
        case Run() | Tagger() if step.config.minutes is not None:
            return step.config.minutes
        case Recordings() if step.name in recorded:
            return recorded[step.name]
        case Features() | Transcripts() if step.name in recorded:
            return 0.0  # counted with the recordings
        case Run() | Tagger() | Recordings() | Features() | Transcripts():
            if step.units is None or step.rate not in rates:
                return None
            return step.units * rates[step.rate] / 60
    return 0.0  # seconds


def _share_done(step: Step) -> float:
    """Of a run that was interrupted, by its log."""
    log = step.place / "log.csv"
    if not isinstance(step, Run) or not log.exists():
        return 0.0
    with log.open() as stream:
        lines = list(csv.DictReader(stream))
    total = step.config.stop or step.config.steps
    return float(lines[-1]["step"]) / total if lines and total else 0.0


def _recorded(recipe: RecipeConfig) -> dict[str, float]:
    """Minutes of each corpus, of what several took together, by their numbers of recordings."""
    found: dict[str, float] = {}
    for took in recipe.took:
        counts = {name: recipe.corpora[name].count for name in took.corpora}
        whole = sum(counts.values())
        found |= {name: took.minutes * count / whole for name, count in counts.items()}
    return found


def _rates(runs: Path) -> dict[str, float]:
    """Seconds a unit of each kind of work, of all steps that were done in a folder."""
    seconds: dict[str, float] = defaultdict(float)
    units: dict[str, int] = defaultdict(int)
    for path in sorted(runs.glob(f"*/*/{CARD}")):
        made = json.loads(path.read_text())
        if made["units"]:
            seconds[made["rate"]] += made["seconds"]
            units[made["rate"]] += made["units"]
    return {rate: seconds[rate] / units[rate] for rate in units}
