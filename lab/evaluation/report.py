"""Results as a table, as JSON and as a picture."""

import json
import os
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table

from assistant.errors import ConfigError
from lab.evaluation.run import Result
from lab.score import right

PICTURES = (".png", ".svg", ".pdf")


def check_files(json_file: Path | None, plot_file: Path | None) -> None:
    """See that what is measured can be kept, before it is.

    Raises:
        ConfigError: a file cannot be written, or is no picture; the option is named.
    """
    for option, path in (("--json", json_file), ("--plot", plot_file)):
        if path is None:
            continue
        if path.is_dir():
            raise ConfigError(f"{option}: {path}: is a folder")
        if not path.parent.is_dir():
            raise ConfigError(f"{option}: {path.parent}: no such folder")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ConfigError(f"{option}: {path}: cannot be written")
    if plot_file is not None:
        if plot_file.suffix.lower() not in PICTURES:
            raise ConfigError(f"--plot: {plot_file}: needs to end in {', '.join(PICTURES)}")
        if find_spec("matplotlib") is None:
            raise ConfigError("--plot: needs matplotlib; pip install 'salmonn-live[eval]'")


def table(results: list[Result]) -> Table:
    """One line per set, one column per system, and nano's share of the oracle's figure.

    Raises:
        ConfigError: there are no results.
    """
    systems = _systems(results)
    shown = Table("set", "recordings", *systems, "of oracle", title="in percent; of oracle: "
                  "streamed (or else offline) / text oracle", title_justify="left")  # fmt: skip
    for name in dict.fromkeys(r.set.name for r in results):
        of_set = {r.system: r for r in results if r.set.name == name}
        any_one = next(iter(of_set.values()))
        cells = [f"{of_set[s].figure:.1f}" if s in of_set else "" for s in systems]
        share = _of_oracle(of_set)
        shown.add_row(any_one.set.title, str(any_one.recordings), *cells,
                      "" if share is None else f"{share:.0f}")  # fmt: skip
    return shown


def _systems(results: list[Result]) -> list[str]:
    if not results:
        raise ConfigError("--systems: none of them can be asked about these sets")
    return list(dict.fromkeys(r.system for r in results))


def _of_oracle(of_set: dict[str, Result]) -> float | None:
    """Nano's figure in percent of the text oracle's, where both were judged by right answers."""
    nano, oracle = of_set.get("streamed", of_set.get("offline")), of_set.get("text oracle")
    if nano is None or oracle is None or nano.set.measure != "right" or not oracle.figure:
        return None
    return 100 * nano.figure / oracle.figure


def write_json(results: list[Result], path: Path) -> None:
    """All figures, and every answer beside what was expected."""
    content = [
        {
            "set": r.set.name,
            "title": r.set.title,
            "measure": r.set.measure,
            "system": r.system,
            "rows": len(r.answers),
            "recordings": r.recordings,
            "percent": round(r.figure, 2),
            "answers": [
                {"audio": a.row.audio, "task": a.row.task, "speaker": a.row.speaker,
                 "said": a.row.text, "expected": a.row.key or a.row.answer, "answer": a.text}
                | ({} if a.right is None else {"right": a.right})
                for a in r.answers
            ],
        }
        for r in results
    ]  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n")


def plot(results: list[Result], path: Path) -> None:
    """Bars per set and, for the classes of sound, which were taken for which.

    Raises:
        ConfigError: there are no results.
    """
    systems = _systems(results)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sounds = next((r for r in results if r.set.name == "sounds"), None)
    height = 0.55 * len({r.set.name for r in results}) + 1.5
    rows = 1 if sounds is None else 2
    shares = [height] if sounds is None else [height, 9.0]
    figure, axes = pyplot.subplots(
        rows, 1, figsize=(9, sum(shares)), height_ratios=shares, squeeze=False, layout="constrained"
    )
    _bars(axes[0][0], results, systems)
    if sounds is not None:
        _confusion(axes[1][0], sounds)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bars(axis: "object", results: list[Result], systems: list[str]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    names = list(dict.fromkeys(r.set.name for r in results))
    width = 0.8 / len(systems)
    for i, system in enumerate(systems):
        found = [(names.index(r.set.name), r.figure) for r in results if r.system == system]
        places = [place + i * width for place, _ in found]
        drawn = axis.barh(places, [value for _, value in found], width, label=system)
        axis.bar_label(drawn, fmt="%.0f", padding=2, fontsize=7)
    titles = {r.set.name: r.set.title for r in results}
    axis.set_yticks([i + 0.4 - width / 2 for i in range(len(names))], [titles[n] for n in names])
    axis.tick_params(labelsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("percent")
    axis.legend(fontsize=8)


def _confusion(axis: "object", result: Result) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    labels = sorted({a.row.key for a in result.answers})
    counts = Counter((a.row.key, _named(a.text, labels)) for a in result.answers)
    columns = [*labels, "other"]
    totals = Counter(a.row.key for a in result.answers)
    shares = [[counts[row, column] / totals[row] for column in columns] for row in labels]
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axis.set_yticks(range(len(labels)), labels, fontsize=7)
    axis.set_xlabel("answered")
    axis.set_ylabel("was")


def _named(answer: str, labels: list[str]) -> str:
    return next((label for label in labels if right(answer, label)), "other")
