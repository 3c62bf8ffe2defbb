"""The sound corpora of `data/sound`: one list of recordings, each with its class and its split.

ESC-10 keeps its official folds (fold 4 is held out). Elsewhere whole source recordings are held
out, never slices of one that training hears.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

CORPORA = ("esc10", "noise-of-life", "moodist", "blanket", "lomiri-sounds", "music", "noise")

HELD_OUT_SHARE = 5
"""One source recording in so many is held out, those with the fewest slices first, and at least one
where a class has two."""

NAMES = {
    "phone ring (melodic ringtone)": "phone ringing",
    "crowd/cafe babble": "crowd talking",
    "traffic/cars": "traffic",
    "stream/river": "river",
    "washing machine/dryer": "washing machine",
    "kitchen noise": "dishes clattering",
    "bird": "birds singing",
    "dog bark": "dog barking",
    "rooster": "rooster crowing",
    "adult crying": "person crying",
    "scream": "person screaming",
    "cough": "person coughing",
    "sneeze": "person sneezing",
    "yawn": "person yawning",
    "laughter": "person laughing",
    "breathing": "person breathing",
    "clapping": "hands clapping",
    "paper": "paper rustling",
    "cow": "cow mooing",
    "cat": "cat purring",
    "sheep": "sheep bleating",
    "wolf": "wolf howling",
    "horse": "horse galloping",
    "train": "train passing",
    "wind": "wind blowing",
    "boat": "boat engine",
    "fireworks": "fireworks exploding",
    "construction": "construction work",
}
"""Names of nano's classes in answers, if they differ from the labels in the data. The classes of
`small` are in `lab/classes.yaml`."""


NO_ARTICLE = {
    "rain", "sea waves", "crickets", "music", "thunder", "traffic", "footsteps", "wind chimes",
    "birds singing", "hands clapping", "dishes clattering", "keys jangling", "fireworks exploding",
    "construction work", "keyboard typing", "paper rustling", "running water", "boiling water",
    "fire crackling", "glass breaking", "wind blowing",
}  # fmt: skip


def phrase(label: str) -> str:
    """A class as it stands in a sentence: "a dog barking", "an airplane", "rain"."""
    if label in NO_ARTICLE or label.endswith(" music"):
        return label
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording of one class of sound."""

    path: Path
    label: str
    """Its name in answers."""

    recording: str
    """What it is a slice of."""

    split: str
    """train or dev."""

    licence: str


def read_sounds(folder: Path) -> list[Sound]:
    """Every recording of `data/sound`, in a fixed order."""
    entries = [
        (corpus, json.loads(line))
        for corpus in CORPORA
        for line in (folder / f"{corpus}.jsonl").read_text().splitlines()
    ]
    held_out = _held_out(
        [(c, e["label"], e["recording"]) for c, e in entries if c not in ("esc10", "noise")]
    )
    return [
        Sound(
            folder / corpus / entry["file"],
            NAMES.get(entry["label"], entry["label"]),
            f"{corpus}/{entry['recording']}",
            entry["split"]
            if corpus == "esc10"
            else "dev"
            if (corpus, entry["recording"]) in held_out
            else "train",
            entry["licence"],
        )
        for corpus, entry in entries
    ]


def _held_out(entries: list[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The (corpus, recording) that only evaluation hears."""
    of_class: dict[str, set[tuple[str, str]]] = defaultdict(set)
    slices = Counter((corpus, recording) for corpus, _, recording in entries)
    for corpus, label, recording in entries:
        of_class[label].add((corpus, recording))
    chosen: set[tuple[str, str]] = set()
    for label in sorted(of_class):
        for corpus, group in groupby(sorted(of_class[label]), key=lambda place: place[0]):
            recordings = list(group)
            if corpus == "noise-of-life":
                # Its files carry no source: neighbours may be of one. The last of each class go.
                chosen.update(recordings[-max(1, len(recordings) // HELD_OUT_SHARE) :])
        others = sorted(
            (p for p in of_class[label] if p[0] != "noise-of-life"),
            key=lambda place: (slices[place], place),
        )
        if len(others) > 1:
            chosen.update(others[: max(1, len(others) // HELD_OUT_SHARE)])
    return chosen
