"""README and docs name only what exists, and all that has to be named."""

import re
import subprocess
from functools import cache
from pathlib import Path
from shutil import which
from typing import TypeGuard, get_args

import pytest
from pydantic import BaseModel
from typer.main import get_command

from assistant.config import ModelConfig
from assistant.files.presets import read_yaml, shipped_config
from assistant.prompt.prompt import tasks
from cli import main as cli
from lab.corpora.corpus import CorpusConfig
from lab.training.config import StageConfig
from streaming.config import EndpointingConfig, ServerConfig, TurnsConfig

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
PACKAGES = ("assistant", "streaming", "clients", "cli", "lab")
SECTIONS: dict[str, type[BaseModel]] = {
    "endpointing": EndpointingConfig, "turns": TurnsConfig, "server": ServerConfig,
}  # fmt: skip

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


def found(pattern: str, text: str) -> list[str]:
    return [match[1] for match in re.finditer(pattern, text, re.MULTILINE)]


def code(path: Path) -> str:
    """What stands in backticks, in lines of their own or not."""
    blocks = re.split(r"^```.*$", path.read_text(), flags=re.MULTILINE)
    spans = [span for prose in blocks[::2] for span in found(r"`([^`]+)`", prose)]
    return "\n".join([*blocks[1::2], *spans])


# --- the table of files


def listed() -> dict[str, list[str]]:
    """Package -> names in the row of docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `([a-z_/]+)/` \|[^|]*\|(.*)\|$", text, re.MULTILINE)
    return {package: found(r"`([^`]+)`", cells) for package, cells in rows}


def modules(package: str) -> set[str]:
    return {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}


def test_every_package_has_a_row() -> None:
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert listed().keys() == packages


@pytest.mark.parametrize("package", listed())
def test_every_module_has_a_place_in_the_table_and_only_one(package: str) -> None:
    names = listed()[package]
    others = {name for name in names if "." in name or "/" in name}
    assert sorted(set(names) - others) == sorted(modules(package))
    assert len(names) == len(set(names))
    for other in others:
        assert (ROOT / package / other).exists(), other


# --- what can be typed


@cache
def commands() -> set[str]:
    return set(get_command(cli.app).commands)  # type: ignore[attr-defined]  # it is a group


@documents
def test_every_command_exists(path: Path) -> None:
    assert set(found(r"salmonn-live ([a-z]+)\b", code(path))) <= commands()


def test_the_readme_shows_how_to_talk_and_to_hear() -> None:
    shown = set(found(r"salmonn-live ([a-z]+)\b", code(ROOT / "README.md")))
    assert {"serve", "talk", "listen", "send", "replay", "ask", "record", "tasks"} <= shown


@documents
def test_every_module_that_is_run_exists(path: Path) -> None:
    for module in found(
        r"(?:python -m |`)((?:bench|tests|assistant|lab)\.[\w.]+)", path.read_text()
    ):
        place = ROOT.joinpath(*module.split("."))
        inside = place.parent.with_suffix(".py")  # of a class: `assistant.llm.llm.Llm`
        name = rf"^(?:class |def )?{place.name}\b"
        assert (
            place.with_suffix(".py").is_file()
            or place.is_dir()
            or (inside.is_file() and found(f"({name})", inside.read_text()))
        ), module


@pytest.mark.parametrize("page", ["figures", "latency"])
def test_figures_name_their_commands(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = set(found(r"python -m (bench\.\w+)", text))
    expected = {
        "figures": {
            "bench.spoken",
            "bench.listening",
            "bench.streams",
            "bench.soak",
            "bench.engine",
        },
        "latency": {"bench.spoken", "bench.latency", "bench.cascade"},
    }
    assert expected[page] <= named


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("docs/training.md", 120)])
def test_a_first_page_stays_short(page: str, most: int) -> None:
    assert len((ROOT / page).read_text().splitlines()) <= most


def test_the_demo_that_the_readme_shows_is_the_one_that_make_runs() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndemo:")[2].partition("\n\n")[0]
    assert "demo/evening.flac" in recipe
    settings = read_yaml(shipped_config())
    assert f"| `{settings['preset']}` (default) |" in (ROOT / "README.md").read_text()


@pytest.mark.skipif(which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("preset", [None, "small", "mini", "nano"])
@pytest.mark.parametrize("target", ["run", "demo"])
def test_make_installs_and_runs_a_preset(target: str, preset: str | None) -> None:
    given = [] if preset is None else [f"PRESET={preset}"]
    asked = ["make", "--dry-run", "--always-make", target, *given]
    steps = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    chosen = preset or read_yaml(shipped_config())["preset"]
    assert f"--preset {chosen}\n" in steps
    assert "-r requirements/nano.txt" in steps
    assert f"-r requirements/{chosen}.txt" in steps


def test_what_the_page_asks_of_a_microphone_is_documented() -> None:
    asked = (ROOT / "clients" / "browser" / "microphone.js").read_text()
    said = " ".join((ROOT / "docs" / "clients.md").read_text().split())
    assert "echoCancellation: cancelsEcho, noiseSuppression: false, autoGainControl: true" in asked
    assert "noise suppression is off. Echo cancellation is on only while answers are spoken" in said


def test_the_readme_counts_the_tasks() -> None:
    (count,) = found(r"the (\d+) named tasks", (ROOT / "README.md").read_text())
    assert int(count) == len(tasks())


# --- where links and keys lead


@documents
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in found(r"\]\(([^)\s]+)\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            place, _, part = target.partition("#")
            file = path.parent / place if place else path
            assert file.exists(), target
            if part:
                assert part in map(slug, found(r"^#+ (.+)$", file.read_text())), target


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def is_section(part: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(part, type) and issubclass(part, BaseModel)


def keys(schema: type[BaseModel], prefix: str = "") -> set[str]:
    """Every key of a section of the configuration, with dots between."""
    names = set()
    for name, field in schema.model_fields.items():
        names.add(f"{prefix}{name}")
        for part in (field.annotation, *get_args(field.annotation)):
            if is_section(part):
                names |= keys(part, f"{prefix}{name}.")
    return names


@cache
def known() -> set[str]:
    """Every key that a file of ours may have, as docs write it: from its section on."""
    every = {f"{name}.{key}" for name, schema in SECTIONS.items() for key in keys(schema)}
    return every | keys(ModelConfig) | keys(StageConfig) | keys(CorpusConfig)


@documents
def test_every_key_exists(path: Path) -> None:
    sections = {key.split(".")[0] for key in known() if "." in key}
    for key in found(r"^([a-z_]+(?:\.[a-z_0-9]+)+)\b(?!\()", code(path)):
        if key.split(".")[0] in sections:
            assert key in known(), key


def test_docs_name_keys() -> None:
    named = {key for path in DOCUMENTS for key in found(r"^([a-z_.]+)", code(path))}
    assert {"turns.rejoin_s", "server.resume_s", "llm.quantisation"} <= named & known()
