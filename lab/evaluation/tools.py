"""Whether a preset calls the right tool with the right arguments, given what is said as text.

    python -m lab.evaluation.tools [--preset small] [--half chosen|reported] [--without-router]

A session that is offered our tools, as `serve` offers them.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import torch

from assistant.conversation import Conversation
from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load
from assistant.own_tools import OwnTools, names
from assistant.prompt.prompt import instruction
from assistant.toolbox.lists import Memory
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.tool import Tool, ToolCall
from lab.classes import sound_classes
from lab.evaluation.commands import NONE, NOW, Call, Command, commands

MOST_TEXT, MOST_TOKENS = 40, 160
"""Letters of an answer that calls nothing, which is not judged, and tokens of one that does."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What was called."""

    command: Command
    calls: tuple[Call, ...]
    text: str
    """What was said before calls, or in their place."""

    complete: bool
    """Every call that was begun is complete."""


class Caller:
    """A preset that is offered our tools, in a session of its own for each command."""

    def __init__(self, model: Salmonn) -> None:
        """`model`: of a preset whose LLM reads words and has a template for calls."""
        self._model = model
        self._words = instruction(None, None, None, model.config.prompt.default_task)

    def answer(self, command: Command) -> Answered:
        """What is called for a command that is the first thing of a talk."""
        own = OwnTools(names(), (), [*sound_classes().classes], self._model.calls)
        talk = Conversation(self._model, self._words, own=own)
        talk.configure(max_new_tokens=MOST_TOKENS)
        talk.write("said", "user", command.say)
        talk.open(talk.heard, typed=True)
        talk.pause()
        talk.ask()
        calls: list[Call] = []
        said = ""
        while len(said) < MOST_TEXT and (piece := talk.token()) is not None:
            if isinstance(piece, ToolCall):
                calls.append((piece.name, json.loads(piece.arguments)))
            else:
                said += piece
        return Answered(command, tuple(calls), said, not talk.cut_short())


@dataclass(slots=True)
class Figures:
    """Shares in percent."""

    right: float
    """Of commands that a tool fits: the right call, with the right arguments."""

    tool: float
    """The right tool, whatever the arguments."""

    quiet: float
    """Of what no tool fits: nothing was called."""

    valid: float
    """Calls that are complete and fit their schema."""

    by_section: dict[str, str] = field(default_factory=dict)
    """Right ones of all, by the tool that was meant."""


def figures(answers: Sequence[Answered], tools: Sequence[Tool]) -> Figures:
    """What is reported of answers to somebody who was told of `tools`."""
    schemas = {tool.name: tool.parameters for tool in tools}
    fitting = [a for a in answers if a.command.section != NONE]
    others = [a for a in answers if a.command.section == NONE]
    called = [a for a in answers if a.calls or not a.complete]
    all_of = Counter(a.command.section for a in answers)
    right = Counter(a.command.section for a in answers if a.command.is_right(a.calls))
    return Figures(
        _share(fitting, lambda a: a.command.is_right(a.calls)),
        _share(fitting, lambda a: a.command.has_right_tools(a.calls)),
        _share(others, lambda a: not a.calls and a.complete),
        _share(called, lambda a: a.complete and _fit(a.calls, schemas)),
        {section: f"{right[section]}/{count}" for section, count in all_of.items()},
    )


def _fit(calls: Sequence[Call], schemas: dict[str, dict[str, Any]]) -> bool:
    return all(jsonschema.Draft202012Validator(schemas[n]).is_valid(a) for n, a in calls)


def _share(answers: Sequence[Answered], holds: Callable[[Answered], bool]) -> float:
    return round(100 * sum(map(holds, answers)) / max(1, len(answers)), 1)


def offered() -> tuple[Tool, ...]:
    """Those of our tools that the commands are about."""
    meant = {command.section for half in commands() for command in half}
    return tuple(tool for tool in ours() if tool.name in meant)


def ours() -> tuple[Tool, ...]:
    """All of our tools, as sessions offer them."""
    return Toolbox(NOW, Memory(), [*sound_classes().classes]).tools


def main() -> None:
    """Ask, and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--preset", default="small", help="whose LLM: small or mini")
    options.add_argument("--half", default="reported", choices=["chosen", "reported"])
    options.add_argument("--without-router", action="store_true", help="tools in every turn")
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    options.add_argument("--json", type=Path, help="write all answers to this file")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(load_preset(shipped_config(), chosen.preset)[1])
    caller = Caller(replace(model, router=None) if chosen.without_router else model)
    tools, answers = ours(), []
    for command in commands()[chosen.half == "reported"]:
        answered = caller.answer(command)
        answers.append(answered)
        if not command.is_right(answered.calls):
            print(f"- {command.say}\n    {answered.calls or answered.text!r}", flush=True)
    print(json.dumps(asdict(figures(answers, tools)), indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps([_row(answered) for answered in answers], indent=1))


def _row(answered: Answered) -> dict[str, Any]:
    command = answered.command
    return {
        "section": command.section, "say": command.say, "calls": answered.calls,
        "text": answered.text, "right": command.is_right(answered.calls),
    }  # fmt: skip


if __name__ == "__main__":
    main()
