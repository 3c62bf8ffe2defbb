"""Draws docs/turns.md from the turn's table. `make golden` writes it anew.

python -m tests.streaming.dialogue.turns_page
"""

import re
from dataclasses import fields
from pathlib import Path

from streaming.dialogue import turn
from streaming.dialogue.turn import LEADS_TO, STATES, TABLE, Action, State

PAGE = Path(__file__).parents[3] / "docs" / "turns.md"

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
        "\n".join(
            ["| state | what it is | its fields |", "|---|---|---|", *map(described, STATES)]
        ),
        "```mermaid\nstateDiagram-v2\n    [*] --> Quiet\n" + "\n".join(arrows()) + "\n```",
        "## What is done",
        "What is done in each state when something happens; ·: nothing, –: it cannot happen.",
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


def arrows() -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for (state, happening), action in TABLE.items():
        for to in LEADS_TO.get(action, ()):
            if to is not state:
                labels = found.setdefault((state.__name__, to.__name__), [])
                labels.append(happening.__name__)
    return [f"    {a} --> {b} : {', '.join(labels)}" for (a, b), labels in found.items()]


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
