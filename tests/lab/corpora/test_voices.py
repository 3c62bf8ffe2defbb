"""Synthetic voices, and speakers that are made of them."""

from pathlib import Path

import numpy as np
import pytest

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora import kokoro
from lab.corpora.disguise import disguise
from lab.corpora.synth import Line, Script
from lab.corpora.voices import NEURAL_VOICES, TRAIN_VOICES, UNSEEN_VOICES, WIDE_VOICES, Voice


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
