"""A plan says what is there, and how long the rest may take, by what was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import ConfigError
from lab.recipe.plan import Line, plan, table
from lab.recipe.steps import CARD, Step
from tests.lab.recipe.toy import Change, recipe, steps


def lines(runs: Path, change: Change | None = None) -> dict[str, Line]:
    return {line.name: line for line in plan(recipe(change), steps(runs, change), runs)}


def finish(step: Step, **made: object) -> None:
    step.place.mkdir(parents=True)
    card = {"units": step.units, "rate": step.rate, "seconds": 0.0, **made}
    (step.place / CARD).write_text(json.dumps(card))


def find(runs: Path, name: str, change: Change | None = None) -> list[Step]:
    return [step for step in steps(runs, change) if step.name == name]


def timed(values: dict[str, Any]) -> None:
    values["runs"]["one"] |= {"minutes": 30.0, "steps": 10}
    values["corpora"]["more"] = {"kind": "nobody", "count": 12, "seed": 2}
    values["runs"]["one"]["train"]["more"] = 1.0
    values["took"] = [{"corpora": ["still", "more"], "minutes": 8.0, "machine": "a toy"}]


def test_nothing_is_there_at_first_and_everything_in_the_end(tmp_path: Path) -> None:
    assert {line.state for line in lines(tmp_path).values()} == {"missing"}
    for step in steps(tmp_path):
        finish(step)
    found = lines(tmp_path)
    assert {line.state for line in found.values()} == {"there"}
    assert [line.minutes for line in found.values()] == [0.0] * len(found)


def test_all_that_is_made_of_a_corpus_is_one_line(tmp_path: Path) -> None:
    recordings, bank, encoders = find(tmp_path, "still")
    finish(recordings)
    (tmp_path / "x").mkdir()
    line = lines(tmp_path)["still"]
    assert (line.what, line.state) == ("nobody, fbank, features", "begun")
    assert line.digests.split() == [recordings.digest, bank.digest, encoders.digest]


def test_minutes_are_those_that_were_recorded(tmp_path: Path) -> None:
    found = lines(tmp_path, timed)
    assert found["one"].minutes == 30.0
    assert (found["still"].minutes, found["more"].minutes) == (2.0, 6.0)
    assert found["two"].minutes is None
    assert found["both"].minutes == 0.0


def test_of_a_run_that_was_begun_the_rest_is_left(tmp_path: Path) -> None:
    (run,) = find(tmp_path, "one", timed)
    run.place.mkdir(parents=True)
    (run.place / "log.csv").write_text("step,loss\n2,1.0\n4,1.0\n")
    line = lines(tmp_path, timed)["one"]
    assert line.state == "begun"
    assert line.minutes == pytest.approx(18.0)


def test_what_has_no_record_goes_by_its_like(tmp_path: Path) -> None:
    """12 recordings of the same kind took 6 s, and hearing them 12."""

    def other(values: dict[str, Any]) -> None:
        timed(values)
        del values["took"]

    recordings, features = find(tmp_path, "more", other)
    finish(recordings, seconds=6.0)
    finish(features, seconds=12.0)
    still = lines(tmp_path, other)["still"]
    assert still.minutes is None  # its filter bank is of another kind
    for step in find(tmp_path, "still", other)[1:2]:
        finish(step, units=4, seconds=0.0)
    assert lines(tmp_path, other)["still"].minutes == pytest.approx((4 * 0.5 + 4 * 1.0) / 60)


def test_a_table_sums_up(tmp_path: Path) -> None:
    shown = table(list(lines(tmp_path, timed).values()))
    assert shown.row_count == len(lines(tmp_path, timed))
    assert str(shown.title).startswith(f"0 of {shown.row_count} are there; about 0.6 hours are le")
    assert "of unknown length" in str(shown.title)


def test_only_what_is_asked_for_is_planned(tmp_path: Path) -> None:
    found = [step.name for step in steps(tmp_path, None, ["align"])]
    assert set(found) == {"align", "beats", "words", "still", "watched", "reported"}
    assert found[-1] == "align"
    with pytest.raises(ConfigError, match="--step: no alien; there are toy, both, beats"):
        steps(tmp_path, None, ["alien"])


def test_what_two_corpora_have_in_common_is_made_once(tmp_path: Path) -> None:
    def twice(values: dict[str, Any]) -> None:
        values["corpora"]["same"] = {**values["corpora"]["still"]}
        values["corpora"]["read"] = {**values["corpora"]["still"], "transcribe": 2}
        values["runs"]["two"]["train"] = {"still": 1.0, "same": 1.0, "read": 1.0}

    found = [(type(step).__name__, step.name) for step in steps(tmp_path, twice)]
    assert ("Recordings", "same") not in found
    assert ("Features", "same") not in found
    assert [kind for kind, name in found if name == "read"] == ["Transcripts"]
    first, second = steps(tmp_path), steps(tmp_path, twice)
    assert first[0].place == second[0].place
    assert first[-1].digest != second[-1].digest
