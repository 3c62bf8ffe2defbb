"""Draws the timeline of a reply in a terminal: when speech was heard, and when work was done."""

import math
from dataclasses import dataclass

from rich.text import Text

from streaming.events import ReplyDelta, ReplyStarted
from streaming.instruments.replay import Step
from streaming.instruments.timeline import COLOURS, LANES, Placed, lay_out, utterances

BEFORE_S = 0.3
"""Seconds that are drawn before speech begins."""

SHADES = " ░▒▓█"
"""Shades for the share of a column's time that was spent on work, from none to all."""

COLOUR_OF_SPEECH = "#ddaa33"

NAMES = max(len(name) for name in LANES) + 1
"""Columns for the lanes' names."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps seconds to columns of the terminal."""

    begin: float
    per_column: float
    columns: int

    def column(self, seconds: float) -> int:
        """The column of a moment, which may lie outside the chart."""
        return math.floor((seconds - self.begin) / self.per_column + 1e-6)


def chart(steps: list[Step], columns: int) -> Text:
    """Draw one reply.

    Args:
        steps: from `replay`, since the last reply.
        columns: width of the terminal.

    Returns:
        Lines of at most `columns` characters: a lane for speech and the wait for the endpoint, and
        one for each kind of work, shaded by its share of the column's time; | marks the first text.
    """
    placed = lay_out(steps)
    spoken = utterances(placed)
    begin = max(0.0, spoken[0][0] - BEFORE_S if spoken else placed[0].begin)
    width = max(20, columns - NAMES)
    end = max(placed[-1].end, begin + 1e-3)
    scale = _Scale(begin, (end - begin) / width, width)
    text = Text(no_wrap=True)
    _line(text, "speech", _speech(spoken, scale), COLOUR_OF_SPEECH)
    first = _first_text(placed)
    for lane in ("listen", "prefill", "reply", "captions"):
        cells = _busy([p for p in placed if COLOURS[p.step.work][0] == lane], scale)
        if lane == "reply" and first is not None:
            cells[min(scale.column(first), width - 1)] = "|"
        if any(cell != " " for cell in cells):
            _line(text, lane, cells, next(c for name, c in COLOURS.values() if name == lane))
    _line(text, "", _axis(scale), "dim")
    text.rstrip()
    return text


def _line(text: Text, name: str, cells: list[str], style: str) -> None:
    text.append(name.ljust(NAMES), "dim")
    text.append("".join(cells).rstrip(), style)
    text.append("\n")


def _speech(spoken: list[tuple[float, float, float]], scale: _Scale) -> list[str]:
    cells = [" "] * scale.columns
    for begun, end, decided in spoken:
        for first, last, mark in ((begun, end, "━"), (end, decided, "┄")):
            for column in range(max(0, scale.column(first)), scale.column(last)):
                cells[min(column, scale.columns - 1)] = mark
    return cells


def _first_text(placed: list[Placed]) -> float | None:
    """Time of the first text, in seconds; None if there is none."""
    asked = False
    for place in placed:
        for event in place.step.events:
            asked = asked or isinstance(event, ReplyStarted)
            if asked and isinstance(event, ReplyDelta):
                return place.end
    return None


def _busy(placed: list[Placed], scale: _Scale) -> list[str]:
    shares = [0.0] * scale.columns
    for place in placed:
        first, last = scale.column(place.begin), scale.column(place.end)
        for column in range(max(0, first), min(last, scale.columns - 1) + 1):
            start = scale.begin + column * scale.per_column
            overlap = min(place.end, start + scale.per_column) - max(place.begin, start)
            shares[column] += max(0.0, overlap) / scale.per_column
    # What took any time worth a look is seen: rounded up from a twentieth of a column.
    steps = len(SHADES) - 1
    return [SHADES[min(steps, int(share * steps + 0.8))] for share in shares]


def _axis(scale: _Scale) -> list[str]:
    cells = [" "] * scale.columns
    for second in range(
        int(scale.begin) + 1, int(scale.begin + scale.columns * scale.per_column) + 1
    ):
        label = f"{second} s"
        column = scale.column(second)
        if 0 <= column <= scale.columns - len(label):
            cells[column : column + len(label)] = label
    return cells
