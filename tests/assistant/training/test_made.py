"""Made recordings: texts, questions, roughening, scenes, mixtures. No speech engine is needed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.audio import SAMPLE_RATE, Samples
from assistant.evaluation.score import right
from assistant.training import manifest, mixtures, scenes, sounds, synth
from assistant.training.manifest import Row
from assistant.training.mixtures import KINDS, MixtureMaker
from assistant.training.questions import all_asked
from assistant.training.recordings import write_corpus
from assistant.training.rough import (
    Surroundings,
    excerpt,
    gain_for_snr,
    in_quiet,
    make_rooms,
    roughen,
    telephone,
)
from assistant.training.scenes import JoinMaker, RoughMaker, SoundMaker, fade, loudest
from assistant.training.sounds import Sound, phrase, read_sounds
from assistant.training.synth import (
    NOISE_ONLY,
    TRAIN_VOICES,
    UNSEEN_VOICES,
    Line,
    Nobody,
    Script,
    Voice,
)
from assistant.training.texts import general_texts, split_texts

DATA = Path("../shared/data")
shared = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def tone(hz: float, seconds: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * hz * time).astype(np.float32)


# --- texts and questions


def test_general_texts_come_out_as_transcripts(tmp_path: Path) -> None:
    gloss = '00001 03 n | a thing; "He read The Times; slowly"; "3 apples"; "alone"\n'
    (tmp_path / "data.noun").write_text(gloss)
    (tmp_path / "wisdom").write_text("A clash is not a disaster.  Go on!\n\t-- Someone\n%\nYes.\n")
    (tmp_path / "wisdom.dat").write_bytes(b"\0")
    assert general_texts(tmp_path, tmp_path) == [
        "a clash is not a disaster", "go on", "he read the times slowly",
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError, match="wordnet-base"):
        general_texts(tmp_path / "no", tmp_path / "no")


def test_a_longer_list_keeps_old_choices() -> None:
    texts = [f"text {i}" for i in range(1000)]
    train, held_out = split_texts(texts)
    assert set(train) | set(held_out) == set(texts)
    assert 10 < len(held_out) < 60
    assert set(split_texts(texts[:500])[1]) == set(held_out) & set(texts[:500])


def test_every_question_can_be_read_and_its_answer_is_right() -> None:
    asked = all_asked()
    assert len({a.text for a in asked}) == len(asked) > 5000
    for one in asked:
        assert set(one.text) <= set("abcdefghijklmnopqrstuvwxyz' "), one
        assert right(one.answer, one.key), one


# --- roughening


def test_signal_to_noise_ratio_is_what_was_asked_for() -> None:
    signal, noise = tone(300, 1.0), tone(1000, 1.0) * 0.01
    scaled = noise * gain_for_snr(signal, noise, 10.0)
    ratio = np.mean(signal**2) / np.mean(scaled**2)
    assert 10 * np.log10(ratio) == pytest.approx(10.0, abs=1e-3)
    assert gain_for_snr(signal, np.zeros_like(signal), 10.0) == 0.0


def test_a_telephone_passes_speech_and_little_else() -> None:
    for hz, least, most in ((1000, 0.6, 0.8), (100, 0.0, 0.05), (5000, 0.0, 0.05)):
        heard = telephone(tone(hz, 1.0))
        assert len(heard) == SAMPLE_RATE
        assert least <= np.sqrt(np.mean(heard**2)) <= most, hz


def test_rough_speech_is_a_function_of_its_seed_and_never_clips_over() -> None:
    around = Surroundings(make_rooms(3), [tone(50, 2.0)])
    for seed in range(30):
        first, again = (roughen(tone(200, 1.0), around, np.random.default_rng(seed)) for _ in "ab")
        assert np.array_equal(first, again)
        assert np.abs(first).max() <= 1.0
        assert SAMPLE_RATE * 1.1 <= len(first) <= SAMPLE_RATE * 2.5 + 1
        quiet = in_quiet(tone(200, 1.0), np.random.default_rng(seed))
        assert np.abs(quiet).max() <= 1.0


def test_rooms_begin_with_the_direct_sound() -> None:
    for room in make_rooms(5):
        assert room[0] == pytest.approx(1.0)
        assert np.abs(room).max() == pytest.approx(1.0)


def test_an_excerpt_goes_round() -> None:
    recording = np.arange(5, dtype=np.float32)
    taken = excerpt(recording, 12, np.random.default_rng(0))
    assert len(taken) == 12
    assert ((np.diff(taken) % 5) == 1).all()


# --- scenes


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


def test_no_voice_is_in_both_splits() -> None:
    train, unseen = ({(v.engine, v.name) for v in vs} for vs in (TRAIN_VOICES, UNSEEN_VOICES))
    assert train
    assert unseen
    assert not train & unseen


# --- mixtures


@pytest.fixture
def mixing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MixtureMaker:
    """Three sounds of 0.8 s and a voice that is a tone."""
    made = []
    for i, label in enumerate(["dog barking", "rain", "music"]):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, tone(400 + 300 * i, 0.8), SAMPLE_RATE)
        made.append(Sound(path, label, f"r{i}", "train", "CC0"))
    monkeypatch.setattr(mixtures, "read_sounds", lambda folder: made)
    monkeypatch.setattr(synth, "speak", lambda voice, text, rng: tone(150, 0.1 * len(text.split())))
    lines = [Line("what is two plus two", "4.", task="listen", key="4"), Line("go on", "go on")]
    return MixtureMaker(tmp_path, "train", lines, (Voice("none", "none"),), seed=1)


def test_mixtures_of_every_kind(mixing: MixtureMaker) -> None:
    kinds = Counter()
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


def test_labels_stand_in_sentences() -> None:
    assert [phrase(x) for x in ("dog barking", "airplane", "rain")] == [
        "a dog barking", "an airplane", "rain",
    ]  # fmt: skip


# --- the real corpora


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
