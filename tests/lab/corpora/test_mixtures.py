"""Recordings in which sounds and speech meet."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.rates import SAMPLE_RATE
from lab.corpora import mixtures
from lab.corpora.mixtures import KINDS, MixtureMaker
from lab.corpora.sounds import Sound
from lab.corpora.synth import Line
from lab.corpora.voices import Voice
from lab.score import right
from tests.lab.corpora.tones import tone

LABELS = ("dog barking", "rain", "music")
LINES = ("what is two plus two", "go on")


@pytest.fixture
def mixing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MixtureMaker:
    """Three sounds of 0.8 s and a voice that is a tone."""
    made = []
    for i, label in enumerate(LABELS):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, tone(400 + 300 * i, 0.8), SAMPLE_RATE)
        made.append(Sound(path, label, f"r{i}", "train", "CC0"))
    monkeypatch.setattr(mixtures, "sounds_of", lambda folder, split: made)
    monkeypatch.setattr(
        mixtures, "speak", lambda voice, text, rng, other: tone(150, 0.1 * len(text.split()))
    )
    lines = [Line("what is two plus two", "4.", task="listen", key="4"), Line("go on", "go on")]
    return MixtureMaker(tmp_path, "train", lines, (Voice("none", "none"),), seed=1)


def test_mixtures_of_every_kind(mixing: MixtureMaker) -> None:
    kinds: Counter[str] = Counter()
    for index in range(120):
        rows = mixing.rows(index)
        kinds[rows[0].speaker] += 1
        for row in rows:
            assert row.answer
            assert row.task != "QA" or row.instruction
            assert not row.key or right(row.answer, row.key), row
    assert set(kinds) == set(KINDS)
    for index in range(20):
        samples = mixing.make(index)
        assert np.abs(samples).max() <= 1.0
        assert np.array_equal(samples, mixing.make(index))


def test_counted_events_sound_as_often_as_the_answer_says(mixing: MixtureMaker) -> None:
    for index in range(200):
        rows = mixing.rows(index)
        if rows[0].speaker != "count":
            continue
        times = rows[0].text.count("(")
        assert rows[0].answer == ("Once." if times == 1 else f"{times} times.")


def test_a_mixture_says_what_it_was_made_from(mixing: MixtureMaker) -> None:
    """Its sounds and what is said in it; a question about it is nobody's own."""
    for index in range(120):
        (first, *_) = mixing.rows(index)
        sounds = {f"r{i}" for i, label in enumerate(LABELS) if f"({label})" in first.text}
        said = {line for line in LINES if line in first.text and first.speaker in ("over", "said")}
        assert set(first.sources) == sounds | said, first
