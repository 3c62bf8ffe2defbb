"""Excerpts: a function of their index, whole blocks, and what their rows say is where it sounds."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.ear.tagger import UNKNOWN_SOUND
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora import excerpts
from lab.corpora.excerpts import (
    BLOCK_S,
    SPEECH,
    ExcerptMaker,
    coloured,
    held_out,
    trimmed,
    whole_clips,
)
from lab.corpora.library import Clip
from lab.corpora.sounds import CORPORA
from lab.training.names import doubts, spans


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two known classes and an unknown one; a beep between quiet stretches each."""
    sound, speech = tmp_path / "sound", tmp_path / "speech"
    (sound / "more").mkdir(parents=True)
    speech.mkdir()
    for corpus in CORPORA:
        (sound / f"{corpus}.jsonl").write_text("")
    lines = []
    (sound / "moodist").mkdir()
    labels = [("rain", i) for i in range(30)] + [("dog bark", i) for i in range(30)]
    labels += [(f"odd {i}", i) for i in range(30)]
    for label, i in labels:
        file = f"{label} {i}.flac"
        beep(sound / "moodist" / file, 300 + 40 * i)
        lines.append({"file": file, "label": label, "recording": file, "licence": "CC0"})
    (sound / "moodist.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in SPEECH:
        (speech / name).mkdir()
        beep(speech / name / "a.flac", 150)
        (speech / f"{name}.jsonl").write_text(json.dumps({"file": "a.flac", "split": "train"}))
    return tmp_path


def beep(path: Path, hertz: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    samples = np.pad(0.5 * np.sin(2 * np.pi * hertz * time), 8000).astype(np.float32)
    soundfile.write(path, samples, SAMPLE_RATE)


@pytest.fixture
def maker(data: Path, monkeypatch: pytest.MonkeyPatch) -> ExcerptMaker:
    doubted = data / "doubts.json"
    heard = {str(data / "sound" / "moodist" / f"rain {i}.flac"): ["birds singing", "rain", "water"]
             for i in range(30)}  # fmt: skip
    doubted.write_text(json.dumps(heard))
    monkeypatch.setattr(excerpts, "make_rooms", lambda count: [np.ones(1, np.float32)])
    made = ExcerptMaker(data, [], doubted, 3)
    made.start()
    return made


def test_an_excerpt_is_its_indexs_alone_and_whole_blocks(maker: ExcerptMaker) -> None:
    for index in range(40):
        samples = maker.make(index)
        assert len(samples) in (round(BLOCK_S * SAMPLE_RATE), 2 * round(BLOCK_S * SAMPLE_RATE))
        assert samples.dtype == np.float32
        assert float(np.abs(samples).max()) <= 1.0
        if index < 3:
            assert np.array_equal(samples, maker.make(index))
            assert maker.rows(index) == maker.rows(index)


def test_rows_say_what_is_heard_when_and_what_is_in_doubt(maker: ExcerptMaker) -> None:
    texts = set()
    for index in range(80):
        (row,) = maker.rows(index)
        texts.add(row.text)
        names = [name for name, _, _ in spans(row)]
        assert set(names) <= {"rain", "dog barking", UNKNOWN_SOUND}
        assert all(0 <= since < until <= 2 * BLOCK_S + 0.01 for _, since, until in spans(row))
        assert {f"({name})" in row.text for name in names} <= {True}
        # the teacher's own word for what is labelled is no doubt, and no more is its family
        assert doubts(row) == (["birds singing", "water"] if "rain" in names else [])
        assert row.split == "train"
    assert {"", "someone speaks", "(rain)", f"({UNKNOWN_SOUND})"} <= texts


def test_a_sound_is_where_its_row_says(data: Path) -> None:
    loud = np.zeros(SAMPLE_RATE, np.float32)
    loud[2000:6000] = loud[12000:14000] = 0.5
    clip = Clip(data, "", "rain", "", "", "train", False, "")
    (first, last) = excerpts._spans(excerpts.Sounding(clip, loud, at=SAMPLE_RATE))
    assert first == pytest.approx((1 + 2000 / SAMPLE_RATE, 1 + 6000 / SAMPLE_RATE), abs=0.021)
    assert last == pytest.approx((1 + 12000 / SAMPLE_RATE, 1 + 14000 / SAMPLE_RATE), abs=0.021)


def test_another_microphone_keeps_the_length_and_the_order_of_loudness() -> None:
    rng = np.random.default_rng(1)
    quiet, loud = rng.standard_normal(9000) * 0.001, rng.standard_normal(9000)
    heard = coloured(np.concatenate([quiet, loud]).astype(np.float32), rng)
    assert len(heard) == 18000
    assert np.std(heard[:8500]) < 0.1 * np.std(heard[9500:])


def test_quiet_ends_are_cut() -> None:
    samples: Samples = np.pad(np.ones(50, np.float32), (30, 40))
    assert len(trimmed(samples)) == 50
    assert len(trimmed(np.zeros(7, np.float32))) == 7


def test_what_is_held_out_is_told_as_it_is(data: Path) -> None:
    report, choose = held_out(data, "report"), held_out(data, "choose")
    assert [{row.split for row in rows} for rows in (report, choose)] == [{"report"}, {"choose"}]
    assert not {row.audio for row in report} & {row.audio for row in choose}
    assert UNKNOWN_SOUND in {row.key for row in report}
    assert all(row.speaker.startswith("recording ") for row in report)


def test_talk_has_speech_before_each_sound(data: Path, maker: ExcerptMaker) -> None:
    talk = ExcerptMaker(data, [], data / "doubts.json", 3, excerpts.TALK)
    for index in range(20):
        (row,) = talk.rows(index)
        assert row.text.startswith("someone speaks (")
        assert min(since for _, since, _ in spans(row)) >= 1.0
        samples = talk.make(index)
        assert len(samples) == 3 * round(BLOCK_S * SAMPLE_RATE)
        assert float(np.abs(samples).max()) <= 1.0


def test_whole_clips_are_those_to_learn_from(data: Path, maker: ExcerptMaker) -> None:
    rows = whole_clips(data, data / "doubts.json")
    assert not {row.audio for row in rows} & {r.audio for r in held_out(data, "report")}
    assert not {row.audio for row in rows} & {r.audio for r in held_out(data, "choose")}
    assert {row.split for row in rows} == {"train"}
    rain = [row for row in rows if "rain" in row.text]
    assert rain
    for row in rain:
        ((name, since, until),) = spans(row)
        assert name == "rain"
        assert since == pytest.approx(0.5, abs=0.03)
        assert until == pytest.approx(1.5, abs=0.03)
        assert doubts(row) == ["birds singing", "water"]
