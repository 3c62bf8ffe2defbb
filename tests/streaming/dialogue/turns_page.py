"""Draws docs/turns.md and docs/turns.svg from the turn's table. `make golden` writes them anew.

python -m tests.streaming.dialogue.turns_page
"""

import re
from dataclasses import fields
from pathlib import Path

from streaming.dialogue import turn
from streaming.dialogue.turn import LEADS_TO, STATES, TABLE, Action, State

PAGE = Path(__file__).parents[3] / "docs" / "turns.md"
PICTURE = PAGE.with_suffix(".svg")

COLUMN, ROW, TOP, EDGE = 120, 32, 44, 60
"""Pixels: between states, between arrows, above the first arrow, beside the outer states."""

LETTER = 5.6
"""Width of a letter of the arrows' labels, about."""

HAPPENINGS = list(dict.fromkeys(happening for _, happening in TABLE))


def words(action: Action) -> str:
    """As the page writes it: `GO_ON`, go on."""
    return action.name.lower().replace("_", " ")


def drawn() -> str:
    """The page."""
    theory = (turn.__doc__ or "").strip().split("\n", 2)[2].strip()
    theory = re.sub(r"\n\nEvery state is .*", "", theory, flags=re.DOTALL)
    parts = [
        "# Turns",
        "Drawn from `streaming.dialogue.turn` by `python -m tests.streaming.dialogue.turns_page`.",
        theory,
        "## States",
        "\n".join(["| state | meaning | fields |", "|---|---|---|", *map(described, STATES)]),
        "Each arrow leads from a state to the next one; above it stands what happens. A session "
        "begins at the dot.",
        f"![States of a turn, and what leads from one to another]({PICTURE.name})",
        "## What is done",
        "The action for each state and each happening. ·: nothing is done; –: it cannot happen.",
        table(),
        "## Happenings",
        "\n".join(f"- **{h.__name__}**: {first_line(h)}" for h in HAPPENINGS),
        "## Actions",
        "\n".join(f"- **{words(action)}**: {action.value}" for action in Action),
    ]
    return "\n\n".join(parts) + "\n"


def first_line(thing: type) -> str:
    return " ".join((thing.__doc__ or "").split("\n\n")[0].split())


def described(state: type[State]) -> str:
    named = ", ".join(f"`{field.name}`" for field in fields(state)) or "none"
    return f"| {state.__name__} | {first_line(state)} | {named} |"


def arrows() -> dict[tuple[str, str], list[str]]:
    """From one state to another: what happens then."""
    found: dict[tuple[str, str], list[str]] = {}
    for (state, happening), action in TABLE.items():
        for to in LEADS_TO.get(action, ()):
            if to is not state:
                labels = found.setdefault((state.__name__, to.__name__), [])
                labels.append(happening.__name__)
    return found


def picture() -> str:
    """The states as columns, and each arrow in a row of its own, as SVG."""
    names = [state.__name__ for state in STATES]
    rows = sorted(arrows().items(), key=lambda row: [names.index(name) for name in row[0]])
    width, height = 2 * EDGE + COLUMN * (len(names) - 1), TOP + ROW * (len(rows) + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for column, name in enumerate(names):
        x = EDGE + COLUMN * column
        lines += [
            f'<line x1="{x}" y1="{TOP - 16}" x2="{x}" y2="{height - 8}" stroke="#cccccc"/>',
            f'<rect x="{x - 44}" y="8" width="88" height="22" rx="6" fill="#009688"/>',
            f'<text x="{x}" y="23" fill="white" text-anchor="middle">{name}</text>',
        ]
    lines.append(f'<circle cx="{EDGE - 50}" cy="19" r="4" fill="#333333"/>')
    for row, ((begin, end), labels) in enumerate(rows, 1):
        of, to = (EDGE + COLUMN * names.index(name) for name in (begin, end))
        lines += arrow(of, to, TOP + ROW * row, ", ".join(labels), width)
    return "\n".join([*lines, "</svg>"]) + "\n"


def arrow(begin: int, end: int, y: int, label: str, width: int) -> list[str]:
    """An arrow between two columns, and its label above it where there is room."""
    tip = end - 7 if begin < end else end + 7
    x = max(4.0, min(min(begin, end) + 8, width - 4 - LETTER * len(label)))
    return [
        f'<text x="{x:.0f}" y="{y - 5}" fill="#333333" stroke="white" stroke-width="3" '
        f'paint-order="stroke">{label}</text>',
        f'<circle cx="{begin}" cy="{y}" r="3" fill="#333333"/>',
        f'<line x1="{begin}" y1="{y}" x2="{tip}" y2="{y}" stroke="#333333"/>',
        f'<path d="M{end} {y} L{tip} {y - 4} L{tip} {y + 4} Z" fill="#333333"/>',
    ]


def table() -> str:
    marks = {Action.IGNORE: "·", Action.CANNOT: "–"}
    rows = ["| | " + " | ".join(state.__name__ for state in STATES) + " |", "|---" * 7 + "|"]
    for happening in HAPPENINGS:
        cells = [TABLE[state, happening] for state in STATES]
        shown = " | ".join(marks.get(cell) or words(cell) for cell in cells)
        rows.append(f"| **{happening.__name__}** | {shown} |")
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(drawn())
    PICTURE.write_text(picture())
