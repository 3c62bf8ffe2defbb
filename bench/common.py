"""What every measurement shares: its options, the recordings, and how results are kept."""

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from lab import manifest
from lab.manifest import Row, from_speechocean

SPEECHOCEAN = Path("../shared/data/speech/speechocean762")


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is said in it."""

    samples: Samples
    text: str


def parser(description: str | None, clips: int = 50) -> argparse.ArgumentParser:
    """Options that every script takes."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", type=Path, help="write all figures to this file")
    options.add_argument("--manifest", type=Path, help="recordings in the manifest format")
    options.add_argument("--clips", type=int, default=clips, help="recordings used")
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    return options


def read_clips(options: argparse.Namespace) -> list[Clip]:
    """The recordings to measure on: of `--manifest`, else held-out speakers of speechocean762."""
    if options.manifest is not None:
        rows, folder = manifest.read(options.manifest), options.manifest.parent
    else:
        rows, folder = from_speechocean(SPEECHOCEAN, "dev"), Path()
    step = max(1, len(rows) // options.clips)  # spread over all speakers
    return [_clip(row, folder) for row in rows[::step][: options.clips]]


def _clip(row: Row, folder: Path) -> Clip:
    samples = recording.load(folder / row.audio)
    end = None if row.length is None else row.offset + row.length
    return Clip(samples[row.offset : end], row.answer)


def lengthened(clips: list[Clip], seconds: float) -> Samples:
    """Speech of exactly this length: clips end to end."""
    joined = np.concatenate([clip.samples for clip in clips])
    wanted = int(seconds * SAMPLE_RATE)
    return np.resize(joined, wanted)


def median_ms(run: Callable[[], float], times: int) -> float:
    """Median of `times` runs of something that returns seconds."""
    return 1000 * statistics.median(run() for _ in range(times))


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table, its columns named by the first row, in as many parts as the terminal needs.

    No word and no number is broken. A single row is printed as lines of names and values; columns
    for which there is no room follow in a table below, which begins with the first column again.

    Args:
        title: stands above the first part; "" for none.
        rows: cells by their columns' names; the same names in every row.
    """
    console = Console()
    if len(rows) == 1:
        rows = [{"figure": name, "value": value} for name, value in rows[0].items()]
    label, *columns = (_Column(name, [cell(row[name]) for row in rows]) for name in rows[0])
    if title:
        console.print(Text(title, style="italic"))
    while True:
        part = [label, *columns[:1]]
        del columns[:1]
        while columns and _width([*part, columns[0]]) <= console.width:
            part.append(columns.pop(0))
        console.print(_table(part))
        if not columns:
            return


def without(column: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, but for a column that the terminal is not to show."""
    return [{name: value for name, value in row.items() if name != column} for row in rows]


def cell(value: Any) -> str:
    """A figure as tables show it: fractions with three digits, or all before the point."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


HEADING = 12
"""Characters of a heading's line; more where a word or a figure of its column is longer."""


class _Column:
    """A column as wide as its widest cell, its heading on as many lines as that needs."""

    def __init__(self, name: str, cells: list[str]) -> None:
        widest = max(map(len, [*cells, *name.split()]))
        room = max(widest, HEADING)
        lines = wrap(name, room, break_long_words=False, break_on_hyphens=False)
        self.heading = "\n".join(lines)
        self.cells = cells
        self.width = max(map(len, [*cells, *lines]))


def _width(columns: list[_Column]) -> int:
    """Of a table, in characters: lines between its columns and blanks beside them included."""
    return sum(column.width + 3 for column in columns) + 1


def _table(columns: list[_Column]) -> Table:
    table = Table()
    for i, column in enumerate(columns):
        table.add_column(
            Text(column.heading), justify="right" if i else "left", width=column.width, no_wrap=True
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells))
    return table


def keep(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write figures, with the machine they were measured on, where `--json` says."""
    if options.json is None:
        return
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": options.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    options.json.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
