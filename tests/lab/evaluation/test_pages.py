"""Tables of experiments are what the recorded figures say."""

import json
from pathlib import Path

import pytest

from lab.evaluation.pages import PAGES, RESULTS, keep, table, written


def recorded(path: Path, *figures: tuple[str, str, float]) -> Path:
    results = [
        {"set": name, "title": f"the {name}", "measure": "right", "system": system, "rows": 3,
         "recordings": 2, "percent": percent, "answers": [{"answer": "A dog."}]}
        for name, system, percent in figures
    ]  # fmt: skip
    path.write_text(json.dumps(results))
    return path


def test_a_table_has_a_line_for_each_set_and_a_column_for_each_file(tmp_path: Path) -> None:
    one = recorded(tmp_path / "1.json", ("dogs", "offline", 49.6), ("cats", "offline", 7.0))
    two = recorded(tmp_path / "2.json", ("dogs", "offline", 60.0), ("dogs", "streamed", 61.2))
    keep({"choose": one, "report": two}, tmp_path / "kept.json")
    assert "A dog." not in (tmp_path / "kept.json").read_text()
    assert table(tmp_path / "kept.json").splitlines() == [
        "| in %, recordings in brackets | choose, offline | report, offline | report, streamed |",
        "| --- | --- | --- | --- |",
        "| the dogs | 50 (2) | 60 (2) | 61 (2) |",
        "| the cats | 7 (2) |  |  |",
    ]


def test_a_table_is_written_below_its_line_and_again(tmp_path: Path) -> None:
    keep({"x": recorded(tmp_path / "1.json", ("dogs", "offline", 50.0))}, tmp_path / "kept.json")
    page = "# A page\n\n<!-- figures: kept.json -->\n\nMore.\n\n| another | table |\n|---|---|\n"
    once = written(page, tmp_path)
    assert once.count("| the dogs | 50 (2) |") == 1
    assert once.endswith("\n\nMore.\n\n| another | table |\n|---|---|\n")
    assert written(once, tmp_path) == once


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.name)
def test_a_page_is_what_is_written_from_the_recorded_figures(path: Path) -> None:
    assert written(path.read_text(), RESULTS) == path.read_text()


def test_every_recorded_figure_stands_on_a_page() -> None:
    pages = "".join(path.read_text() for path in PAGES.glob("*.md"))
    for path in RESULTS.glob("*.json"):
        assert f"<!-- figures: {path.name} -->" in pages, path.name
