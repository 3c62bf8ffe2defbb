"""The page of what clients send names tests that exist."""

import re
from functools import cache

import pytest

from tests.docs.test_embedding import ROOT

PAGE = (ROOT / "docs" / "compatibility.md").read_text().split("## Clients of others")[0]
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what is sent")
]


@cache
def known_tests() -> set[str]:
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return set(re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=[row[2:50] for row in ROWS])
def test_every_row_names_tests_that_exist(row: str) -> None:
    sent, here, kept = (cell.strip() for cell in row.strip("| ").split(" | "))
    assert sent
    assert here
    named = re.findall(r"`(test_\w+)`", kept)
    assert named
    assert set(named) <= known_tests()


def test_no_row_is_lost() -> None:
    assert len(ROWS) >= 45
