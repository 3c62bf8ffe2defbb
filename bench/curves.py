"""Learning curves of training runs as a picture.

    python -m bench.curves runs/trained/align-* runs/trained/read-* --plot docs/curves.svg

Each run is a row: its loss (mean of 20 steps, and smoothed), and the figures after each epoch.
"""

import argparse
import csv
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes

matplotlib.use("Agg")
from matplotlib import pyplot

SMOOTHED = 25
"""Lines of the log that the smooth curve averages."""


def read(path: Path) -> dict[str, list[float]]:
    """The columns of a CSV file by name."""
    with path.open() as stream:
        lines = list(csv.DictReader(stream))
    return {name: [float(line[name]) for line in lines] for name in (lines[0] if lines else {})}


def draw_loss(axis: Axes, run: Path) -> None:
    log = read(run / "log.csv")
    steps, loss = log["step"], log["loss"]
    axis.plot(steps, loss, color="0.8", linewidth=0.7)
    smooth = [
        sum(loss[max(0, i - SMOOTHED + 1) : i + 1]) / min(SMOOTHED, i + 1) for i in range(len(loss))
    ]
    axis.plot(steps, smooth, color="black")
    axis.set(title=f"{run.name}: loss", xlabel="step")


def draw_figures(axis: Axes, run: Path) -> None:
    figures = read(run / "figures.csv")
    for name in figures:
        if name not in ("epoch", "step"):
            axis.plot(figures["step"], figures[name], marker="o", markersize=3, label=name)
    axis.set(title=f"{run.name}: figures on held-out recordings", xlabel="step", ylim=(0, None))
    axis.legend(fontsize=7)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    options.add_argument("--plot", type=Path, required=True, help="SVG or PNG to write")
    chosen = options.parse_args()
    rows = len(chosen.runs)
    figure, axes = pyplot.subplots(
        rows, 2, figsize=(10, 3 * rows), squeeze=False, layout="constrained"
    )
    for run, (left, right) in zip(chosen.runs, axes, strict=True):
        draw_loss(left, run)
        draw_figures(right, run)
    figure.savefig(chosen.plot)


if __name__ == "__main__":
    main()
