"""Manifests: every field is checked, and what is wrong is named."""

from pathlib import Path

import pytest

from assistant.errors import ConfigError
from lab import manifest
from lab.manifest import Row


def test_a_broken_manifest_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio": "a.wav", "answer": "x"}\n{"audio": "b.wav"}\n')
    with pytest.raises(ConfigError, match=r"m\.jsonl:2: answer: "):
        manifest.read(path)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ('"offset": -1', "offset: "),
        ('"offset": "7"', "offset: "),
        ('"length": 0', "length: "),
        ('"length": 1.5', "length: "),
        ('"key": null', "key: "),
        ('"text": 3', "text: "),
        ('"colour": "red"', "colour: "),
        ('"text"', ".*JSON"),
    ],
)
def test_fields_of_a_row_are_checked(tmp_path: Path, more: str, field: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(f'{{"audio": "a.wav", "answer": "x", {more}}}\n')
    with pytest.raises(ConfigError, match=rf"m\.jsonl:1: {field}"):
        manifest.read(path)


def test_a_list_of_recordings_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for read in (manifest.read, lambda path: manifest.entries(path.with_suffix(""))):
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match=r"m\.jsonl: No such file"):
            read(path)
        path.write_bytes(b"\xff\n")
        with pytest.raises(ConfigError, match=r"m\.jsonl: not UTF-8"):
            read(path)
        path.write_text("{\n")
        with pytest.raises(ConfigError, match=r"m\.jsonl:1: "):
            read(path)


def test_a_row_with_every_field_comes_back(tmp_path: Path) -> None:
    rows = [Row("a.wav", "x", "t\u2028u", "h", "k", "QA", "i", 1, 2, "s", "l", "dev"), Row("b", "")]
    manifest.write(tmp_path / "m.jsonl", rows)
    assert manifest.read(tmp_path / "m.jsonl") == rows
