"""The trainer of the judgement whether a speaker has finished, on pauses that are made up."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.end_of_turn import MARKS, load_end_of_turn, save_end_of_turn
from lab.training.ends import Pauses, area, figures, probabilities, read_pauses, train
from lab.training.pauses import part_of, with_silence

WIDTH = 6


def made_up(count: int = 300) -> Pauses:
    """Ends have a larger first sign; the others are noise."""
    rng = np.random.default_rng(3)
    ended = np.arange(count) % 2 == 0
    signs = rng.standard_normal((count, WIDTH + MARKS)).astype(np.float32)
    signs[:, 0] += 3 * ended
    seconds = np.where(ended, np.inf, np.linspace(0.2, 1.2, count))
    spoken = np.arange(count) % 3 == 0
    return Pauses(torch.from_numpy(signs), ended, seconds, spoken, np.full(count, "train"))


def test_what_tells_ends_is_learnt_and_written(tmp_path: Path) -> None:
    pauses = made_up()
    judge = train(pauses)
    found = probabilities(judge, pauses)
    told = (found > 0.5) == pauses.ended
    assert told.mean() > 0.9
    save_end_of_turn(judge, tmp_path / "e.safetensors")
    again = load_end_of_turn(tmp_path / "e.safetensors")
    assert again.width == WIDTH
    assert probabilities(again, pauses).tolist() == found.tolist()


def test_signs_that_are_not_used_have_no_weight() -> None:
    pauses = made_up()
    judge = train(pauses, slice(-MARKS, None))
    changed = pauses.signs.clone()
    changed[:, :WIDTH] = 9.0
    other = Pauses(changed, pauses.ended, pauses.seconds, pauses.spoken, pauses.part)
    assert probabilities(judge, other).tolist() == probabilities(judge, pauses).tolist()


def test_a_pause_counts_as_cut_short_between_0_4_and_1_second_alone() -> None:
    ended = np.array([True, False, False, False, False])
    seconds = np.array([np.inf, 0.3, 0.5, 0.9, 1.2])
    spoken, part = np.array([False, False, False, True, False]), np.full(5, "report")
    pauses = Pauses(torch.zeros(5, WIDTH + MARKS), ended, seconds, spoken, part)
    hangovers = np.array([0.4, 0.2, 0.6, 0.6, 0.6])
    assert figures(pauses, hangovers) == "0.0 | 100.0 | 50.0 | 400 | 400 | 400 | 400"


def test_signs_that_tell_all_have_the_whole_area() -> None:
    pauses = made_up()
    assert area(pauses, pauses.ended.astype(float)) == "1.000 | 1.000 | 100"


def test_pauses_are_read_without_readings(tmp_path: Path) -> None:
    (tmp_path / "signs").mkdir()
    lines = []
    for corpus, length in (("minds14", None), ("librispeech", 8000), ("spoken-lists", 16_000)):
        np.save(tmp_path / "signs" / f"{corpus}.npy", np.zeros(WIDTH + MARKS, np.float16))
        row = {"corpus": corpus, "length": length, "set": "train", "signs": f"{corpus}.npy"}
        lines.append(json.dumps(row))
    (tmp_path / "pauses.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pauses = read_pauses(tmp_path)
    assert pauses.ended.tolist() == [True, False]
    assert pauses.seconds.tolist() == [np.inf, 1.0]
    assert pauses.spoken.tolist() == [False, True]
    assert len(pauses.of("report").ended) == 0


def test_a_speaker_is_in_one_set_and_all_sets_are_used() -> None:
    sets = [part_of(f"speaker {n}") for n in range(1000)]
    assert sets == [part_of(f"speaker {n}") for n in range(1000)]
    shares = [sets.count(name) / 1000 for name in ("train", "choose", "report")]
    assert shares == pytest.approx([0.5, 0.2, 0.3], abs=0.05)


def test_a_recording_goes_on_with_its_own_quiet() -> None:
    loud = np.ones(16_000, np.float32)
    loud[3200:6400] = 0.01
    found = with_silence(loud, 0.5)
    assert len(found) == 24_000
    assert found[16_000:].max() == pytest.approx(0.01)
