"""The site is built from docs/ without a warning, and fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAGS = "script|img|iframe|source|link|audio|video"
FETCHED = {
    ".html": rf"""<(?:{TAGS})\b[^>]*\b(?:src|href)=["']?([^"'\s>]+)""",
    ".css": r"""(?:@import\s+|url\()\s*["']?([^"')\s]+)""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("mkdocs") is None and not os.environ.get("CI"):
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        assert (site / page.relative_to(docs).with_suffix(".html")).is_file(), page


@pytest.mark.parametrize("kind", FETCHED)
def test_nothing_is_fetched_from_elsewhere(site: Path, kind: str) -> None:
    files = list(site.rglob(f"*{kind}"))
    assert files
    for file in files:
        for address in re.findall(FETCHED[kind], file.read_text()):
            assert not re.match(r"(?:[a-z]+:)?//", address), (file.name, address)
