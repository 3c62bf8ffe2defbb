"""Recordings of sounds: their names, their splits, and who is credited."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.rates import SAMPLE_RATE
from lab.corpora import sounds
from lab.corpora.credits import credits
from lab.corpora.library import Clip
from lab.corpora.scenes import SoundMaker
from lab.corpora.sounds import Sound, phrase, read_sounds

DATA = Path("../shared/data")

shared = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def test_credits_name_what_training_hears_once() -> None:
    place = Path("x.opus")
    page = credits("nano", [
        Sound(place, "rain", "esc10/fold1:7", "train", "CC BY"),
        Sound(place, "rain", "esc10/fold1:7", "train", "CC BY"),
        Sound(place, "rain", "esc10/fold4:9", "dev", "CC BY"),
        Sound(place, "bird", "blanket/birds", "train", "CC0"),
    ])  # fmt: skip
    assert page.count("fold1:7") == 1
    assert "fold4:9" not in page
    assert (
        page.index("Blanket") < page.index("birds") < page.index("ESC-10") < page.index("fold1:7")
    )
    kept = Clip(place, "gong", "", "more/a", "more/a/one", "report", True, "CC0")
    page = credits("small", [kept, replace(kept, use="train", recording="more/a/two/b")])
    assert "## More/a\n\nLicence: CC0\n\ntwo/b\n" in page


def test_labels_stand_in_sentences() -> None:
    assert [phrase(x) for x in ("dog barking", "airplane", "rain")] == [
        "a dog barking", "an airplane", "rain",
    ]  # fmt: skip


@shared
def test_no_source_recording_is_in_both_splits() -> None:
    found = read_sounds(DATA / "sound")
    splits: dict[str, set[str]] = {}
    for sound in found:
        splits.setdefault(sound.recording, set()).add(sound.split)
    both = {name for name, where in splits.items() if len(where) > 1}
    assert both == set()
    labels = {split: {s.label for s in found if s.split == split} for split in ("train", "dev")}
    assert labels["dev"] <= labels["train"]
    assert len(labels["dev"]) >= 30
    esc = [s for s in found if s.recording.startswith("esc10/") and s.split == "dev"]
    assert len(esc) == 80
    assert all(s.recording.startswith("esc10/fold4") for s in esc)


@shared
def test_a_sound_brings_four_rows() -> None:
    maker = SoundMaker(DATA / "sound", seed=1)
    rows = maker.rows(0)
    assert [row.task for row in rows] == ["audiocaption", "QA", "asr", "QA"]
    assert len({replace(r, task="", answer="", instruction="", key="") for r in rows}) == 1
    samples = maker.make(0)
    assert 0.8 * SAMPLE_RATE <= len(samples) <= 8.5 * SAMPLE_RATE
    assert sounds.NAMES["dog bark"] == rows[0].key


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Lists of recordings: rain from ten sources, coughs in files that name none."""
    lines: dict[str, list[dict[str, str]]] = {name: [] for name in sounds.CORPORA}
    for i in range(30):
        lines["moodist"].append({"file": f"{i}.opus", "label": "rain", "recording": f"r{i // 3}"})
        lines["noise-of-life"].append({"file": f"{i}.opus", "label": "cough", "recording": f"{i}"})
    twin, other = next(iter(sounds.TWINS.items()))
    for place in (twin, other):
        corpus, _, file = place.rpartition("/")
        if corpus == "esc10":
            entry = {"file": file, "label": "baby crying", "recording": "fold4:1", "split": "dev"}
            lines[corpus].append(entry)
    for name, entries in lines.items():
        text = "".join(json.dumps({"licence": "", **entry}) + "\n" for entry in entries)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return tmp_path


def test_halves_of_what_is_held_out_share_no_source(library: Path) -> None:
    train, dev, choose, report = (
        {sound.recording for sound in sounds.sounds_of(library, split)}
        for split in ("train", "dev", "choose", "report")
    )
    assert choose
    assert report
    assert not choose & report
    assert choose | report < dev
    assert not train & dev


def test_files_that_name_no_source_are_split_where_no_neighbours_are(library: Path) -> None:
    files = {
        split: sorted(
            int(s.recording.partition("/")[2])
            for s in sounds.sounds_of(library, split)
            if s.label == "person coughing"
        )
        for split in ("choose", "report")
    }
    assert max(files["choose"]) + 1 < min(files["report"])


def test_what_two_libraries_have_in_common_is_in_no_half(library: Path) -> None:
    assert "esc10/fold4:1" in {sound.recording for sound in sounds.sounds_of(library, "dev")}
    for split in ("choose", "report"):
        held_out = {sound.recording for sound in sounds.sounds_of(library, split)}
        assert "esc10/fold4:1" not in held_out


@shared
def test_every_class_reports() -> None:
    dev, report = (sounds.sounds_of(DATA / "sound", split) for split in ("dev", "report"))
    assert {sound.label for sound in dev} == {sound.label for sound in report}
