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

import torch

from assistant.files.presets import load_preset, shipped_config
from assistant.llm.llm import Llm
from assistant.parts.build import build_llm
from assistant.prompt.chat import Message, chat
from assistant.prompt.words import in_words
from assistant.toolbox.lists import Memory
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.form import HERMES
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.tools.tool import Tool
from lab.classes import sound_classes
from lab.evaluation.commands import NONE, NOW, Call, Command, commands

MOST_TEXT, MOST_TOKENS = 8, 160
"""Tokens of an answer that calls nothing, which is not judged, and of one that does."""

AT_ONCE = 64
"""Tokens of the prompt that are put in together."""

SYSTEM = """\
You are a voice assistant that talks and listens. Answer in one or two short spoken sentences."""

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "Set a timer for eight minutes.": ("set_timer", {"duration": "eight minutes"}),
    "What's thirty one plus sixty?": ("calculate", {"expression": "31 + 60"}),
    "Has the phone rung?": ("sounds_heard", {"sound": "phone ringing"}),
}

SAID = {
    "Which animal is the fastest on land?": "The cheetah, it runs at over a hundred kilometres an hour.",
    "Switch the heating on.": "I can't do that, I have no tool for it.",
    "I had a lovely walk today.": "That sounds nice, where did you go?",
}

EXAMPLES: list[Message] = []
for (asked, (name, arguments)), (other, answer) in zip(CALLS.items(), SAID.items(), strict=True):
    call = (
        HERMES.mark
        + HERMES.opening
        + name
        + HERMES.between
        + json.dumps(arguments)
        + HERMES.closing
    )
    EXAMPLES += [("user", in_words(NONE, asked)), ("assistant", call)]
    EXAMPLES += [("user", in_words(NONE, other)), ("assistant", answer)]


@dataclass(frozen=True, slots=True)
class Answered:
    """What was called."""

    command: Command
    calls: tuple[Call, ...]
    text: str
    """What was said before calls, or in their place."""

    valid: bool
    """Every call that was begun is complete and fits its schema."""

    probability: float
    """Of a call, at the answer's first token."""


class Caller:
    """An LLM that was told of tools."""

    def __init__(
        self, llm: Llm, tools: Sequence[Tool], system: str, examples: Sequence[Message]
    ) -> None:
        """Args:
        llm: with a chat template.
        tools: that it is told of, and may call.
        system: its system message.
        examples: turns that it is shown.
        """
        self._llm, self._chat = llm, chat(llm.tokenizer, system, examples, tools)
        size = int(llm.model.config.vocab_size)
        self._grammar = Grammar(Vocabulary(llm.tokenizer, size, llm.stop_ids), tools)
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
        (mark,) = self._grammar.vocabulary.mark
        probability = float(self._cache.logits().softmax(-1)[mark])
        for _ in range(MOST_TOKENS):
            token = self._next(writing.mask())
            if token in self._llm.stop_ids or len(said) >= MOST_TEXT:
                break
            said += writing.push([token])
            forced = writing.forced()
            said += writing.push(forced)
            self._put([token, *forced])
        calls = tuple((name, json.loads(arguments)) for name, arguments in writing.calls)
        text = self._llm.tokenizer.decode([*said, *writing.flush()])
        return Answered(command, calls, text, writing.complete, probability)

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
    """Of commands that a tool fits: the right calls, with the right arguments."""

    tool: float
    """The right tools, whatever the arguments."""

    quiet: float
    """Of what no tool fits: nothing was called."""

    valid: float
    """Calls that are complete and fit their schema."""

    by_section: dict[str, str] = field(default_factory=dict)


def figures(answers: Sequence[Answered]) -> Figures:
    """What is reported of answers."""
    fitting = [a for a in answers if a.command.section != NONE]
    others = [a for a in answers if a.command.section == NONE]
    right, all_of = Counter[str](), Counter(a.command.section for a in answers)
    right.update(a.command.section for a in answers if a.command.is_right(a.calls))
    return Figures(
        _share(fitting, lambda a: a.command.is_right(a.calls)),
        _share(fitting, lambda a: a.command.has_right_tools(a.calls)),
        _share(others, lambda a: not a.calls and a.valid),
        _share([a for a in answers if a.calls or not a.valid], lambda a: a.valid),
        {section: f"{right[section]}/{count}" for section, count in all_of.items()},
    )


def _share(answers: Sequence[Answered], holds: Callable[[Answered], bool]) -> float:
    return round(100 * sum(map(holds, answers)) / max(1, len(answers)), 1)


def offered() -> tuple[Tool, ...]:
    """All tools of ours."""
    return Toolbox(NOW, Memory(), [*sound_classes().classes]).tools


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--preset", default="small", help="whose LLM: small or mini")
    options.add_argument("--half", default="reported", choices=["chosen", "reported"])
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    options.add_argument("--json", type=Path, help="write all answers to this file")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    llm = build_llm(load_preset(shipped_config(), chosen.preset)[1])
    caller = Caller(llm, offered(), SYSTEM, EXAMPLES)
    print(f"{caller.prefix} tokens before all turns")
    answers = []
    for command in commands()[chosen.half == "reported"]:
        answered = caller.answer(command)
        answers.append(answered)
        if not command.is_right(answered.calls):
            print(f"- {command.say}\n    {answered.calls or answered.text!r}", flush=True)
    print(json.dumps(asdict(figures(answers)), indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps([_row(answered) for answered in answers], indent=1))


def _row(answered: Answered) -> dict[str, Any]:
    command = answered.command
    return {
        "section": command.section, "say": command.say, "calls": answered.calls,
        "text": answered.text, "right": command.is_right(answered.calls),
        "probability": answered.probability,
    }  # fmt: skip


if __name__ == "__main__":
    main()
