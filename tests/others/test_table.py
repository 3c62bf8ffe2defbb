"""docs/compatibility.md names the clients of others as they are tried."""

import re
from pathlib import Path

from tests.others.table import CLIENTS, NOT

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text()


def test_the_table_has_every_client_and_the_version_that_is_tried() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \|.*\| ?(.*?) ?\|$", PAGE.split("## Clients of others")[1], re.M
    )
    found = {name.replace("`", ""): (versions, fails) for name, versions, fails in rows}
    for name, parts in CLIENTS.items():
        (row,) = (row for known, row in found.items() if known.startswith(name))
        assert row[0] == ", ".join(f"`{part}` {version}" for part, version in parts.items())
        assert bool(row[1]) == bool(NOT.get(name)), name
