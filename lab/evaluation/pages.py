"""Tables of figures in `docs/experiments`, written from what `salmonn-live eval --json` recorded.

    python -m lab.evaluation.pages --keep COLUMN=FILE.json ... --to lab/results/NAME.json
    python -m lab.evaluation.pages

The first keeps the figures of several recorded files, without their answers; the second writes the
table below every line `<!-- figures: NAME.json -->` of the pages anew.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS, PAGES = ROOT / "lab" / "results", ROOT / "docs" / "experiments"

_MARK = re.compile(r"^<!-- figures: (\S+\.json) -->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)

KEPT = ("set", "title", "system", "recordings", "percent")
"""Of each result that `eval` records."""


def keep(columns: dict[str, Path], to: Path) -> None:
    """Write the figures of recorded files.

    Args:
        columns: what each is called in tables, and its file.
        to: JSON: for each column its results.
    """
    content = {
        name: [{key: result[key] for key in KEPT} for result in json.loads(path.read_text())]
        for name, path in columns.items()
    }
    to.write_text(json.dumps(content, indent=1) + "\n")


def table(path: Path) -> str:
    """The table of kept figures: a line for each set, a column for each file and system."""
    content = json.loads(path.read_text())
    columns = [
        (name, system)
        for name, results in content.items()
        for system in dict.fromkeys(result["system"] for result in results)
    ]
    figures = {
        (result["set"], name, result["system"]): result
        for name, results in content.items()
        for result in results
    }
    titles = {r["set"]: r["title"] for results in content.values() for r in results}
    head = [f"{name}, {system}" for name, system in columns]
    lines = [_line(["in %, recordings in brackets", *head]), _line(["---"] * (1 + len(head)))]
    for one, title in titles.items():
        found = [figures.get((one, *column)) for column in columns]
        cells = ["" if r is None else f"{r['percent']:.0f} ({r['recordings']})" for r in found]
        lines.append(_line([title, *cells]))
    return "".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def written(page: str, results: Path) -> str:
    """A page with its tables as the results have them."""
    return _MARK.sub(
        lambda mark: f"<!-- figures: {mark[1]} -->\n\n{table(results / mark[1])}", page
    )


def main() -> None:
    """Keep figures, or write all pages."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", nargs="+", metavar="COLUMN=FILE")
    options.add_argument("--to", type=Path)
    chosen = options.parse_args()
    if chosen.keep:
        columns = dict(column.split("=", 1) for column in chosen.keep)
        keep({name: Path(path) for name, path in columns.items()}, chosen.to)
        return
    for path in sorted(PAGES.glob("*.md")):
        path.write_text(written(path.read_text(), RESULTS))


if __name__ == "__main__":
    main()
