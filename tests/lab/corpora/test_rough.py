"""Rooms, noise and telephones around a recording, and words that are cut off."""

import numpy as np
import pytest

from assistant.rates import SAMPLE_RATE
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
from tests.lab.corpora.tones import tone


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
