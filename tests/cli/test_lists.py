"""`salmonn-live lists`."""

import json
from pathlib import Path

import pytest

from streaming.shell import kept_lists
from tests.cli.call import Call


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALMONN_LIVE_CACHE", str(tmp_path))


def test_lists_are_written_as_markdown_and_as_json(call: Call) -> None:
    store = kept_lists()
    store.add("shopping", ["milk", "Käse"])
    store.add("notes", ["the locker is 19"])
    markdown = "# shopping\n\n- milk\n- Käse\n\n# notes\n\n- the locker is 19\n"
    assert call("lists") == (0, markdown, "")
    code, out, told = call("lists", "--json")
    assert (code, told) == (0, "")
    assert json.loads(out) == {"shopping": ["milk", "Käse"], "notes": ["the locker is 19"]}
    assert "Käse" in out


def test_where_there_are_none_nothing_is_written(call: Call) -> None:
    assert call("lists") == (0, "", "")
    assert call("lists", "--json") == (0, "{}\n", "")


def test_a_file_that_holds_no_lists_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "lists.sqlite").write_text("something else, and long enough to be read" * 40)
    code, out, told = call("lists")
    assert (code, out) == (1, "")
    assert "lists.sqlite: file is not a database" in told
