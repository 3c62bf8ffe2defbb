"""Made recordings: texts, questions, roughening, scenes, mixtures. No speech engine is needed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab import manifest
from lab.corpora import kokoro, mixtures, scenes, sounds
from lab.corpora.credits import credits
from lab.corpora.disguise import disguise
from lab.corpora.instruments import PROGRAMS, InstrumentMaker
from lab.corpora.library import Clip
from lab.corpora.mixtures import KINDS, MixtureMaker
from lab.corpora.questions import all_asked
from lab.corpora.recordings import write_corpus
from lab.corpora.rough import (
    CUT_S,
    Surroundings,
    cut_off,
    excerpt,
    gain_for_snr,
    in_quiet,
    make_rooms,
    roughen,
    telephone,
)
from lab.corpora.scenes import JoinMaker, RoughMaker, SoundMaker, fade, loudest
from lab.corpora.sounds import Sound, phrase, read_sounds
from lab.corpora.synth import NOISE_ONLY, Line, Nobody, Script
from lab.corpora.texts import TRIVIA, general_texts, split_texts, trivia
from lab.corpora.voices import NEURAL_VOICES, TRAIN_VOICES, UNSEEN_VOICES, WIDE_VOICES, Voice
from lab.manifest import Row
from lab.score import right

DATA = Path("../shared/data")
shared = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def tone(hz: float, seconds: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * hz * time).astype(np.float32)


# --- texts and questions


def test_trivia_without_their_choices(tmp_path: Path) -> None:
    for name in TRIVIA:
        (tmp_path / "trivia").mkdir(exist_ok=True)
        (tmp_path / "trivia" / name).write_text("")
    (tmp_path / "trivia" / "general").write_text(
        "#Q Who wrote Hamlet?\n^ Shakespeare\nA Shakespeare\nB Bacon\n\n"
        "#Q Which of these is a fruit?\n^ Apple\nA Apple\n\n"
        "#Q This drink contains caffeine.\n^ Coffee\nA Coffee\n\n"
        "#Q What is the year of the fire of London?\n^ 1666\nA 1666\n\n"
        "#Q What is the capital of Mongolia?\n^ A city that has a very long name\nA No\n"
    )
    assert trivia(tmp_path) == {"who wrote hamlet": "Shakespeare"}


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


@pytest.mark.parametrize(("live", "shortest", "longest"), [(False, 1.1, 2.5), (True, 0.97, 4.5)])
def test_rough_speech_is_a_function_of_its_seed_and_never_clips_over(
    live: bool, shortest: float, longest: float
) -> None:
    around = Surroundings(make_rooms(3), [tone(50, 2.0)])
    for seed in range(30):
        first, again = (
            roughen(tone(200, 1.0), around, np.random.default_rng(seed), live) for _ in "ab"
        )
        assert np.array_equal(first, again)
        assert np.abs(first).max() <= 1.0
        assert SAMPLE_RATE * shortest <= len(first) <= SAMPLE_RATE * longest + 1
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


def test_a_disguised_speaker_is_not_the_voice() -> None:
    voice = Voice("flite", "slt")
    for share, speaker in ((0.0, "flite/slt"), (1.0, "flite/slt disguised")):
        script = Script([Line("go on", "go on")], (voice,), 3, 1, None, "train", share)
        assert {row.speaker for i in range(3) for row in script.rows(i)} == {speaker}


def test_no_voice_is_in_both_splits() -> None:
    held_out = UNSEEN_VOICES + NEURAL_VOICES
    train, unseen = (
        {(v.engine, v.name) for v in vs} for vs in (TRAIN_VOICES + WIDE_VOICES, held_out)
    )
    assert train
    assert unseen
    assert not train & unseen


def test_a_kind_of_speakers_holds_none_that_only_evaluation_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*kokoro.UNSEEN, "af_heart", "am_puck", "bf_emma", "jf_alpha"):
        np.zeros(510 * kokoro.STYLE, np.float32).tofile(tmp_path / f"{name}.bin")
    monkeypatch.setenv(kokoro.FOLDER, str(tmp_path))
    kinds = {kind: kokoro.speakers(kind) for kind in ("af", "am", "bf", "bm", "other")}
    assert kinds == {
        "af": ["af_heart"], "am": ["am_puck"], "bf": ["bf_emma"], "bm": [], "other": ["jf_alpha"],
    }  # fmt: skip


def test_a_missing_folder_of_speakers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kokoro.FOLDER, raising=False)
    with pytest.raises(FileNotFoundError, match="KOKORO_VOICES"):
        kokoro.speakers("af")


# --- other speakers


def voiced(hz: float, seconds: float = 1.0) -> Samples:
    """A buzz of so many pulses per second, with a vowel's resonances."""
    pulses = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    pulses[:: round(SAMPLE_RATE / hz)] = 1.0
    time = np.arange(400) / SAMPLE_RATE
    formants = np.array([[700], [1200], [2500]])
    vowel = (np.exp(-300 * time) * np.sin(2 * np.pi * formants * time)).sum(0)
    return np.convolve(pulses, vowel)[: len(pulses)].astype(np.float32)


def pitch_of(samples: Samples) -> float:
    """Of the middle of a recording, by autocorrelation."""
    middle = samples[len(samples) // 2 - 2000 : len(samples) // 2 + 2000].astype(np.float64)
    related = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = np.arange(SAMPLE_RATE // 500, SAMPLE_RATE // 60)
    return float(SAMPLE_RATE / lags[related[lags].argmax()])


def test_another_speaker_has_another_pitch_and_pace() -> None:
    source = voiced(120)
    made = [disguise(source, np.random.default_rng(seed)) for seed in range(6)]
    assert all(np.abs(m).max() == pytest.approx(1.0) for m in made)
    assert all(0.7 < len(m) / len(source) < 1.45 for m in made)
    pitches = [pitch_of(m) for m in made]
    assert max(pitches) > 1.5 * min(pitches)
    assert all(60 < p < 400 for p in pitches)
    assert np.array_equal(made[0], disguise(source, np.random.default_rng(0)))


def test_what_has_no_pitch_stays_as_it_is() -> None:
    silent = np.zeros(SAMPLE_RATE, np.float32)
    assert disguise(silent, np.random.default_rng(0)) is silent


def test_a_word_is_cut_off_at_one_end() -> None:
    quiet, speech = np.zeros(4000, np.float32), tone(200, 2.0) + 2.0
    least, most = (int(s * SAMPLE_RATE) for s in CUT_S)
    for seed in range(8):
        cut = cut_off(np.concatenate([quiet, speech, quiet]), np.random.default_rng(seed))
        kept = cut[cut > 0]
        assert least <= len(speech) - len(kept) <= most
        assert np.array_equal(kept, speech[: len(kept)]) or np.array_equal(
            kept, speech[-len(kept) :]
        )
        assert len(cut) == len(kept) + len(quiet)


def test_a_short_word_is_not_cut() -> None:
    word = tone(200, 0.3) + 2.0
    assert all(cut_off(word, np.random.default_rng(seed)) is word for seed in range(8))


# --- credits


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


# --- instruments


def test_every_instrument_is_played_in_turn_and_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played: list[list[dict[str, object]]] = []

    def play(track: list[object], font: str) -> Samples:
        played.append([vars(message) for message in track])
        return tone(200, 7.0)

    monkeypatch.setattr("lab.corpora.instruments.play", play)
    maker = InstrumentMaker("train", 5)
    for index, label in enumerate(PROGRAMS):
        (first, *_) = maker.rows(index)
        assert (first.key, first.text) == (label, f"({label})")
        samples = maker.make(index)
        assert SAMPLE_RATE < len(samples) < 7 * SAMPLE_RATE
        assert np.array_equal(samples, maker.make(index))
        score, again = played[-2:]
        assert score == again
        notes = [m for m in score if m["type"] == "note_on"]
        programs = {m["program"] for m in score if m["type"] == "program_change"}
        assert notes
        assert programs <= set(PROGRAMS[label])
        assert bool(programs) == (label != "drum music")


def test_held_out_instruments_are_asked_about_once() -> None:
    (row,) = InstrumentMaker("dev", 5).rows(0)
    assert (row.task, row.split, row.key) == ("QA", "dev", "piano music")


# --- mixtures


@pytest.fixture
def mixing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MixtureMaker:
    """Three sounds of 0.8 s and a voice that is a tone."""
    made = []
    for i, label in enumerate(["dog barking", "rain", "music"]):
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
