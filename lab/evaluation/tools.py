"""Whether an LLM calls the right tool with the right arguments, given what is said as text.

    python -m lab.evaluation.tools [--preset small] [--half chosen|reported] [--json FILE]

Its own chat template tells it of our tools, masks keep its calls to their schemas, decoding is
greedy.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import torch

from assistant.files.presets import load_preset, shipped_config
from assistant.llm.llm import Llm
from assistant.parts.build import build_llm
from assistant.prompt.chat import chat
from assistant.prompt.words import in_words
from assistant.toolbox.lists import Memory
from assistant.toolbox.prompt import SYSTEM, shown
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.form import BARE
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.tools.tool import Tool
from lab.classes import sound_classes
from lab.evaluation.commands import NONE, NOW, Call, Command, commands

MOST_TEXT, MOST_TOKENS = 8, 160
"""Tokens of an answer that calls nothing, which is not judged, and of one that does."""

AT_ONCE = 64
"""Tokens of the prompt that are put in together."""


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
    """An LLM that was told of tools."""

    def __init__(self, llm: Llm, tools: Sequence[Tool]) -> None:
        """Args:
        llm: with a chat template.
        tools: that it is told of, and may call.
        """
        self._llm, self._chat = llm, chat(llm.tokenizer, SYSTEM, shown(BARE), tools)
        size = int(llm.model.config.vocab_size)
        vocabulary = Vocabulary(llm.tokenizer, size, llm.stop_ids, BARE)
        self._grammar = Grammar(vocabulary, tools, most=1)
        self._cache = llm.cache()
        for piece in llm.embed(llm.ids(self._chat.system)).split(AT_ONCE):
            self._cache.extend(piece)
        self.prefix = self._cache.length
        """Tokens that stand before all turns."""

    def answer(self, command: Command) -> Answered:
        """What is called for a command that is said as the first thing of a talk."""
        self._cache.truncate(self.prefix)
        turn = self._chat.opening + in_words(NONE, command.say) + self._chat.asked
        self._put(self._llm.ids(turn))
        writing, said = self._grammar.start(), list[int]()
        for _ in range(MOST_TOKENS):
            token = self._next(writing.mask())
            said += writing.push([token])
            forced = writing.forced()
            said += writing.push(forced)
            if token in self._llm.stop_ids or len(said) >= MOST_TEXT or writing.calls:
                break
            self._put([token, *forced])
        calls = tuple((name, json.loads(arguments)) for name, arguments in writing.calls)
        text = self._llm.tokenizer.decode([*said, *writing.flush()])
        return Answered(command, calls, text, writing.complete)

    def _put(self, ids: list[int]) -> None:
        self._cache.extend(self._llm.embed(ids))

    def _next(self, mask: torch.Tensor | None) -> int:
        logits = self._cache.logits()
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf)
        return int(logits.argmax())


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
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    options.add_argument("--json", type=Path, help="write all answers to this file")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    llm = build_llm(load_preset(shipped_config(), chosen.preset)[1])
    tools = ours()
    caller = Caller(llm, tools)
    print(f"{caller.prefix} tokens before all turns")
    answers = []
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
