"""What every measurement shares: its options, the recordings, and how results are kept."""

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from assistant import audio
from assistant.audio import Samples
from assistant.training import manifest
from assistant.training.manifest import Row, from_speechocean

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
    samples = audio.load(folder / row.audio)
    end = None if row.length is None else row.offset + row.length
    return Clip(samples[row.offset : end], row.answer)


def lengthened(clips: list[Clip], seconds: float) -> Samples:
    """Speech of exactly this length: clips end to end."""
    joined = np.concatenate([clip.samples for clip in clips])
    wanted = int(seconds * audio.SAMPLE_RATE)
    return np.resize(joined, wanted)


def median_ms(run: Callable[[], float], times: int) -> float:
    """Median of `times` runs of something that returns seconds."""
    return 1000 * statistics.median(run() for _ in range(times))


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table, its columns named by the first row."""
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)


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
