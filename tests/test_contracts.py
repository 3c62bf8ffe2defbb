"""What `pyproject.toml` promises of the packages, where no linter looks."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {found["name"]: found for found in PROJECT["tool"]["importlinter"]["contracts"]}
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_the_core_is_the_lowest_layers() -> None:
    """So a package that is given a place among them is held to the core's contract."""
    layers = CONTRACTS["streaming is layered"]["layers"]
    names = [[name.strip() for name in layer.split("|")] for layer in layers]
    first = next(i for i, layer in enumerate(names) if "realtime" in layer)
    lowest = {f"streaming.{name}" for layer in names[first:] for name in layer}
    assert set(CONTRACTS["The core does no I/O and has no clock"]["source_modules"]) == lowest


def test_no_contract_looks_away() -> None:
    for contract in CONTRACTS.values():
        assert not contract.keys() & {"allow_indirect_imports", "ignore_imports"}
        assert contract["type"] == "forbidden" or contract["exhaustive"]


def test_every_package_has_layers() -> None:
    """So a new file has to be given a place, wherever it is."""
    layered = {
        container for contract in CONTRACTS.values() for container in contract.get("containers", ())
    }
    roots = PROJECT["tool"]["importlinter"]["root_packages"]
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for root in roots
        for path in (ROOT / root).rglob("__init__.py")
    }
    assert layered == packages


def test_all_our_packages_are_looked_at() -> None:
    """What ships, and the lab, which does not."""
    looked_at = PROJECT["tool"]["importlinter"]["root_packages"]
    assert looked_at == [*WHEEL["packages"], "lab"]
    assert {*looked_at, "tests", "bench"} == {*PROJECT["tool"]["mypy"]["packages"]}


def test_the_page_is_in_the_wheel() -> None:
    """A package is in it with all its files, but for those that git ignores or that are named."""
    assert "clients" in WHEEL["packages"]
    assert WHEEL.keys() == {"packages", "force-include"}
    assert PROJECT["tool"]["hatch"]["build"].keys() == {"targets"}
    ignored = (ROOT / ".gitignore").read_text().split()
    page = [path.relative_to(ROOT) for path in (ROOT / "clients" / "browser").rglob("*")]
    parts = {part for path in page for part in path.parts}
    assert {"clients", "browser", "index.html", "app.js"} <= parts
    for pattern in ignored:
        assert not any(Path(part).match(pattern.rstrip("/")) for part in parts), pattern
