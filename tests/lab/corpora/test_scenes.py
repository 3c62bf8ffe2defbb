"""Recordings made of others: joined, roughened, in which nobody speaks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.rates import SAMPLE_RATE
from lab import manifest
from lab.corpora import scenes
from lab.corpora.recordings import write_corpus
from lab.corpora.scenes import JoinMaker, RoughMaker, fade, loudest
from lab.corpora.synth import NOISE_ONLY, Line, Nobody, Script
from lab.corpora.voices import Voice
from lab.manifest import Row
from tests.lab.corpora.tones import tone


def test_the_loud_part_is_found_and_cuts_do_not_click() -> None:
    samples = np.zeros(10 * SAMPLE_RATE, np.float32)
    samples[6 * SAMPLE_RATE : 7 * SAMPLE_RATE] = 1.0
    for seed in range(10):
        part = loudest(samples, 2 * SAMPLE_RATE, np.random.default_rng(seed))
        assert len(part) == 2 * SAMPLE_RATE
        assert part.max() == 1.0
        assert fade(part)[0] == fade(part)[-1] == 0.0
    assert len(loudest(samples[:100], 200, np.random.default_rng(0))) == 100


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    rows = []
    for i, text in enumerate(["one two", "three", "four five six"]):
        soundfile.write(tmp_path / f"{i}.flac", tone(200 + 100 * i, 0.5 + 0.1 * i), SAMPLE_RATE)
        rows.append(Row(f"{i}.flac", text, text=text))
    manifest.write(tmp_path / "manifest.jsonl", rows)
    return tmp_path / "manifest.jsonl"


def test_joined_recordings_say_all_their_texts(spoken: Path) -> None:
    maker = JoinMaker([spoken], seed=1)
    texts = {row.text for row in manifest.read(spoken)}
    for index in range(10):
        (row,), samples = maker.rows(index), maker.make(index)
        assert any(text in row.text for text in texts)
        assert row.answer == row.text
        assert len(samples) >= 2 * 0.5 * SAMPLE_RATE
        assert np.array_equal(samples, maker.make(index))


def test_rough_copies_keep_what_is_said(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "read_noises", lambda folder: [tone(50, 2.0)])
    maker = RoughMaker(spoken, Path("none"), seed=1)
    maker.start()
    assert [maker.rows(i)[0].text for i in range(4)] == [
        "one two", "three", "four five six", "one two",
    ]  # fmt: skip
    assert not np.array_equal(maker.make(0), maker.make(3))


def test_a_corpus_resumes_and_does_not_depend_on_how_many_write_it(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert list(write_corpus(Nobody(3, "train"), 6, whole, 1)) == [1, 2, 3, 4, 5, 6]
    steps = write_corpus(Nobody(3, "train"), 6, cut, 2)
    next(steps)
    steps.close()
    list(write_corpus(Nobody(3, "train"), 6, cut, 2))
    assert manifest.read(cut / "manifest.jsonl") == manifest.read(whole / "manifest.jsonl")
    assert len(manifest.read(whole / "manifest.jsonl")) == 12  # two rows a recording
    for path in whole.glob("*.flac"):
        assert (cut / path.name).read_bytes() == path.read_bytes()


def test_silence_and_noise_are_told_apart() -> None:
    maker = Nobody(5, "train")
    for index in range(20):
        answers = [row.answer for row in maker.rows(index)]
        silent = not maker.make(index).any()
        assert answers == ["There is no speech.", "I heard no sound." if silent else NOISE_ONLY]


@pytest.mark.parametrize("split", ["train", "dev"])
def test_made_rows_say_their_split(split: str) -> None:
    line, voice = Line("go on", "go on"), Voice("none", "none")
    script = Script([line], (voice,), count=1, seed=1, noises=None, split=split)
    assert [row.split for row in script.rows(0) + Nobody(5, split).rows(0)] == [split] * 3
