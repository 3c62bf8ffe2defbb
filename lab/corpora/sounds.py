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

UNSORTED = "noise-of-life"
"""Its files name no source, and neighbours may be of one."""

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


TWINS = {
    "esc10/00137.opus": "noise-of-life/00425.opus",
    "esc10/00188.opus": "more/antum-sounds/00033.opus",
    "noise-of-life/00640.opus": "noise-of-life/00614.opus",
    "noise-of-life/00877.opus": "noise-of-life/00869.opus",
    "noise-of-life/00878.opus": "noise-of-life/00852.opus",
    "noise-of-life/00879.opus": "noise-of-life/00853.opus",
    "noise-of-life/00880.opus": "noise-of-life/00854.opus",
    "noise-of-life/00881.opus": "noise-of-life/00855.opus",
    "noise-of-life/00882.opus": "noise-of-life/00871.opus",
}
"""Recordings that chose or reported, and what they share a stretch with that is trained on
(`twins`): they are used for nothing."""


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


def sounds_of(folder: Path, split: str) -> list[Sound]:
    """The recordings of a split, in a fixed order.

    Args:
        folder: `data/sound`.
        split: train; dev: those held out; choose or report: half of these, so that each class
            that has two source recordings has some in both halves, and none that is in another
            corpus, too (`TWINS`).
    """
    every = read_sounds(folder)
    if split in ("train", "dev"):
        return [sound for sound in every if sound.split == split]
    twins = {*TWINS, *TWINS.values()}
    held_out = [
        sound for sound in every
        if sound.split == "dev" and sound.path.relative_to(folder).as_posix() not in twins
    ]  # fmt: skip
    chosen = _half(held_out, split)
    return [sound for sound in held_out if sound.recording in chosen]


def _half(held_out: list[Sound], split: str) -> set[str]:
    """The source recordings that are in a half of those held out."""
    half: dict[str, str] = {}
    of_class: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for sound in held_out:
        recordings = of_class[sound.label, sound.recording.startswith(UNSORTED)]
        if sound.recording not in recordings:
            recordings.append(sound.recording)
    for (_, unsorted), recordings in sorted(of_class.items()):
        if unsorted:  # neighbours may be of one source: one between the halves is left out
            middle = len(recordings) // 2
            half |= dict.fromkeys(recordings[middle + 1 :], "report")
            half |= dict.fromkeys(recordings[:middle], "choose")
            if len(recordings) < 3:
                half |= dict.fromkeys(recordings, "report")
            continue
        for place, name in enumerate(sorted(set(recordings) - half.keys())):
            half[name] = ("report", "choose")[place % 2]
    return {name for name, found in half.items() if found == split}


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
            if corpus == UNSORTED:
                # Its files carry no source: neighbours may be of one. The last of each class go.
                chosen.update(recordings[-max(1, len(recordings) // HELD_OUT_SHARE) :])
        others = sorted(
            (p for p in of_class[label] if p[0] != UNSORTED),
            key=lambda place: (slices[place], place),
        )
        if len(others) > 1:
            chosen.update(others[: max(1, len(others) // HELD_OUT_SHARE)])
    return chosen
