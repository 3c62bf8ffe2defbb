"""All labelled recordings of sounds, `data/sound` and `data/sound/more`: the class each is of, and
what it may be used for.

Nothing that reports was trained on or chosen by. Whole sources are kept for `report` (another
library, other microphones), and of the others recordings; ESC-10 gives fold 3. `choose` is what
means, thresholds and trials look at; ESC-10 gives fold 4. Hashes decide, so that nobody does.
Sounds that the tagger does not know are told apart by their labels: those that report are others
than those it was taught not to know.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lab.classes import sound_classes
from lab.corpora.sounds import CORPORA, TWINS, UNSORTED

Use = Literal["train", "choose", "report", "none"]

MORE = "more"
UNKNOWN = ""

SOURCES_SHARE = 0.16
"""Of the sources of `data/sound/more`, kept for `report`."""

REPORT_SHARE, CHOOSE_SHARE = 0.1, 0.05
"""Of the other sources' recordings."""

UNKNOWN_REPORT_SHARE, UNKNOWN_CHOOSE_SHARE = 0.4, 0.15
"""Of the labels that are not known."""

FOLDS: dict[str, Use] = {"fold3": "report", "fold4": "choose"}
"""Of ESC-10."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording."""

    path: Path
    label: str
    """As its corpus calls it."""

    name: str
    """Its class; UNKNOWN: none of those that are known."""

    source: str
    """Corpus it comes from."""

    recording: str
    """What it is a slice of."""

    use: Use
    held_source: bool
    """Whether its whole source is kept for `report`."""

    licence: str


def share(text: str) -> float:
    """A number in [0, 1) that the text alone decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def read_library(folder: Path) -> list[Clip]:
    """Every recording of `data/sound`, in a fixed order.

    Where nothing else of a class is left to learn from, what would be for `choose` is trained on.
    """
    names = {
        label: name
        for name, known in sound_classes().classes.items()
        for label in (name, *known.labels)
    }
    found = []
    for source, path in _sources(folder):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        kept = _kept_of_unsorted(lines) if source == UNSORTED else {}
        for entry in lines:
            name = names.get(entry["label"], UNKNOWN)
            use, held = _use(source, entry, name)
            found.append(
                Clip(
                    path.with_suffix("") / entry["file"], entry["label"], name, source,
                    f"{source}/{entry['recording']}",
                    "none" if f"{source}/{entry['file']}" in TWINS
                    else kept.get(entry["file"], use),
                    held,
                    entry["licence"],
                )
            )  # fmt: skip
    taught = {clip.name for clip in found if clip.use == "train"}
    return [
        replace(clip, use="train") if clip.use == "choose" and clip.name not in taught else clip
        for clip in found
    ]


def _sources(folder: Path) -> list[tuple[str, Path]]:
    more = sorted((folder / MORE).glob("*.jsonl"))
    return [
        *((corpus, folder / f"{corpus}.jsonl") for corpus in CORPORA),
        *((f"{MORE}/{path.stem}", path) for path in more),
    ]


def _use(source: str, entry: dict[str, str], name: str) -> tuple[Use, bool]:
    held = source.startswith(MORE) and share(source) < SOURCES_SHARE
    if name == UNKNOWN:
        use = _drawn(f"label {entry['label']}", UNKNOWN_REPORT_SHARE, UNKNOWN_CHOOSE_SHARE)
        return ("none" if held and use != "report" else use), held
    if held:
        return "report", True
    if source == "esc10":
        return FOLDS.get(entry["recording"].partition(":")[0], "train"), False
    return _drawn(f"{source}/{entry['recording']}", REPORT_SHARE, CHOOSE_SHARE), False


def _drawn(text: str, report: float, choose: float) -> Use:
    number = share(text)
    if number < report:
        return "report"
    return "choose" if number < report + choose else "train"


def _kept_of_unsorted(lines: list[dict[str, str]]) -> dict[str, Use]:
    """Files in a row: the last ones of each label for `report`, those before them for `choose`."""
    kept: dict[str, Use] = {}
    for label in {line["label"] for line in lines}:
        files = [line["file"] for line in lines if line["label"] == label]
        report = max(1, round(len(files) * REPORT_SHARE))
        choose = max(1, round(len(files) * CHOOSE_SHARE))
        for i, file in enumerate(reversed(files)):
            kept[file] = "report" if i < report else "choose" if i < report + choose else "train"
    return kept
