"""Sets that choose and sets that report: of the library, and of what is made for each half."""

import json
from pathlib import Path
from typing import get_args

import pytest

from lab import manifest
from lab.corpora.library import SOURCES_SHARE, share
from lab.corpora.prepare import Order
from lab.corpora.sounds import CORPORA
from lab.evaluation import build
from lab.evaluation.build import made_corpora
from lab.evaluation.kept import kept_sets
from lab.evaluation.sets import MADE, Half


def test_without_the_library_there_are_none(tmp_path: Path) -> None:
    assert kept_sets(tmp_path, 9, "report") == []


@pytest.mark.parametrize(("clips", "counts"), [(99, [3, 12, 2, 5]), (4, [3, 4, 2, 3])])
def test_sets_are_by_source_by_recording_and_by_what_is_unknown(
    tmp_path: Path, clips: int, counts: list[int]
) -> None:
    folder = tmp_path / "sound"
    (folder / "more").mkdir(parents=True)
    kept = next(str(i) for i in range(99) if share(f"more/{i}") < SOURCES_SHARE)
    odd = [name for i in range(99) for name in [f"odd {i}"] if share(f"label {name}") < 0.4][:5]
    rain = [n for i in range(999) for n in [f"r{i}"] if share(f"moodist/{n}") < 0.1][:12]
    lines = {
        f"more/{kept}": [("rain", str(i)) for i in range(3)],
        "moodist": [("rain", name) for name in rain] + [(label, "x") for label in odd],
        "esc10": [("dog bark", "fold3:1"), ("dog bark", "fold3:2"), ("dog bark", "fold1:3")],
    }
    for source in {*CORPORA, *lines}:
        entries = [
            json.dumps({"file": f"{i}.opus", "label": label, "recording": name, "licence": ""})
            for i, (label, name) in enumerate(lines.get(source, []))
        ]
        (folder / f"{source}.jsonl").write_text("\n".join(entries))
    sets = kept_sets(tmp_path, clips, "report")
    assert [s.name for s in sets] == ["sources", "library", "fold3", "unknown"]
    assert [s.measure for s in sets] == ["right", "right", "right", "silent"]
    assert [len(s.rows) for s in sets] == counts
    assert {row.key for row in sets[2].rows} == {"dog barking"}
    reported = {source for one in sets for row in one.rows for source in row.sources}
    chose = [row for one in kept_sets(tmp_path, clips, "choose") for row in one.rows]
    assert not {source for row in chose for source in row.sources} & reported


def test_what_is_made_for_a_half_is_of_that_half() -> None:
    every = made_corpora()
    for half, corpora in (("choose", every.choose), ("report", every.report)):
        assert set(corpora) == set(MADE)
        assert {corpus.split for corpus in corpora.values()} == {half}
    assert every.choose.keys() == every.report.keys()


def test_recordings_are_made_once_for_each_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Order] = []

    def make(order: Order) -> None:
        made.append(order)
        manifest.write(order.source, [])

    monkeypatch.setattr(build, "make", make)
    (tmp_path / "speech").mkdir()
    for name in ("speechocean762", "coffee-orders"):
        (tmp_path / "speech" / f"{name}.jsonl").write_text("")
    for _ in range(2):
        for half in get_args(Half):
            build.made_sets(tmp_path, tmp_path / "made", 9, half)
    assert sorted(order.name for order in made) == sorted([*MADE, *MADE])
    assert len({order.source for order in made}) == len(made)
