"""Instruments that a sound font plays."""

import numpy as np
import pytest

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from lab.corpora.instruments import PROGRAMS, InstrumentMaker
from tests.lab.corpora.tones import tone


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
