"""What may be used for what: nothing that reports has a twin, a source or a label in training."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab.classes import sound_classes
from lab.corpora.library import UNKNOWN, Clip, read_library, share
from lab.corpora.sounds import CORPORA, TWINS
from lab.corpora.twins import find_twins

SOUNDS = Path("../shared/data/sound")


def made(folder: Path, sources: dict[str, list[tuple[str, str]]]) -> list[Clip]:
    """The library of sources with (label, recording) of each file."""
    (folder / "more").mkdir()
    for source in {*CORPORA, *sources}:
        lines = [
            json.dumps({"file": f"{i}.opus", "label": label, "recording": recording, "licence": ""})
            for i, (label, recording) in enumerate(sources.get(source, []))
        ]
        (folder / f"{source}.jsonl").write_text("\n".join(lines))
    return read_library(folder)


def test_a_share_is_the_texts_alone() -> None:
    shares = [share(str(i)) for i in range(2000)]
    assert shares == [share(str(i)) for i in range(2000)]
    assert 0 <= min(shares) < 0.01 < 0.99 < max(shares) < 1
    assert sum(s < 0.25 for s in shares) / 2000 == pytest.approx(0.25, abs=0.03)


def test_slices_of_a_recording_stay_together(tmp_path: Path) -> None:
    clips = made(tmp_path, {"more/a": [("rain", f"rain{i // 3}") for i in range(120)]})
    uses = defaultdict(set)
    for clip in clips:
        uses[clip.recording].add(clip.use)
    assert all(len(found) == 1 for found in uses.values())
    assert {clip.use for clip in clips} == {"train", "choose", "report"}


def test_a_source_is_kept_whole_and_its_unknown_sounds_teach_nothing(tmp_path: Path) -> None:
    kept = next(f"more/{i}" for i in range(99) if share(f"more/{i}") < 0.16)
    heard = [("rain", f"r{i}") for i in range(50)] + [("gong", f"g{i}") for i in range(9)]
    clips = made(tmp_path, {kept: heard, "moodist": [("rain", "other")] * 2})
    own = [clip for clip in clips if clip.source == kept]
    assert {clip.use for clip in own if clip.name == "rain"} == {"report"}
    assert not any(clip.use == "train" for clip in own)


def test_folds_of_esc10(tmp_path: Path) -> None:
    clips = made(tmp_path, {"esc10": [("dog bark", f"fold{i}:7") for i in range(1, 5)]})
    assert [(c.name, c.use) for c in clips] == [
        ("dog barking", "train"),
        ("dog barking", "train"),
        ("dog barking", "report"),
        ("dog barking", "choose"),
    ]


def test_files_without_a_source_are_kept_in_a_row(tmp_path: Path) -> None:
    clips = made(tmp_path, {"noise-of-life": [("sneeze", f"s{i}") for i in range(40)]})
    assert [c.use for c in clips] == ["train"] * 34 + ["choose"] * 2 + ["report"] * 4


def test_a_class_of_one_recording_is_trained_on(tmp_path: Path) -> None:
    kept = next(i for i in range(999) if 0.1 <= share(f"moodist/boat/{i}") < 0.15)
    (clip,) = made(tmp_path, {"moodist": [("boat", f"boat/{kept}")]})
    assert (clip.name, clip.use) == ("boat engine", "train")


def test_unknown_labels_report_or_teach(tmp_path: Path) -> None:
    labels = [f"label {i}" for i in range(40) for _ in range(2)]
    clips = made(tmp_path, {"moodist": [(label, f"{i}") for i, label in enumerate(labels)]})
    uses = defaultdict(set)
    for clip in clips:
        assert clip.name == UNKNOWN
        uses[clip.label].add(clip.use)
    assert all(len(found) == 1 for found in uses.values())
    assert {use for found in uses.values() for use in found} == {"train", "choose", "report"}


def noise(seconds: float, seed: int) -> Samples:
    """Chirps: a signal with peaks."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = [
        np.sin(2 * np.pi * f * time) * (np.abs(time - at) < 0.1)
        for f, at in zip(rng.uniform(200, 7000, 60), rng.uniform(0, seconds, 60), strict=True)
    ]
    return np.asarray(np.sum(tones, 0) + rng.standard_normal(len(time)) * 0.01, np.float32)


def test_twins_are_found_whatever_the_cut_and_the_level() -> None:
    one, other = noise(6.0, 1), noise(6.0, 2)
    again = one[16_000 : 4 * SAMPLE_RATE] * 0.2 + noise(3.0, 3) * 0.005
    assert find_twins([one, other, again]) == {(0, 2)}
    assert find_twins([one, other, np.zeros(10, np.float32)]) == set()


def test_what_was_found_to_be_twins_are_twins_and_used_for_nothing() -> None:
    if not SOUNDS.is_dir():
        pytest.skip("needs ../shared/data")
    uses = {f"{c.source}/{c.path.name}": c.use for c in read_library(SOUNDS)}
    for kept, taught in TWINS.items():
        assert (uses[kept], uses[taught]) == ("none", "train")
        assert find_twins([load(SOUNDS / taught), load(SOUNDS / kept)]) == {(0, 1)}


def test_the_data_has_what_is_kept_apart() -> None:
    if not SOUNDS.is_dir():
        pytest.skip("needs ../shared/data")
    clips = read_library(SOUNDS)
    used = defaultdict(set)
    for clip in clips:
        used[clip.recording, clip.name if clip.source == "noise-of-life" else ""].add(clip.use)
    assert all(len(uses - {"none"}) == 1 for uses in used.values() if uses != {"none"})
    held = {clip.source for clip in clips if clip.held_source}
    assert not any(clip.use in ("train", "choose") for clip in clips if clip.source in held)
    taught = {clip.name for clip in clips if clip.use == "train"}
    assert taught - {UNKNOWN} <= set(sound_classes().classes)
    reported = {c.name for c in clips if c.use == "report" and c.held_source} & taught
    assert len(reported - {UNKNOWN}) >= 80
    unknown = {use: {c.label for c in clips if not c.name and c.use == use} for use in
               ("train", "choose", "report")}  # fmt: skip
    assert not unknown["report"] & (unknown["train"] | unknown["choose"])
