"""Whether an LLM calls what a client declares, by the session's own prompt; what is said is text.

    python -m lab.evaluation.declared [--preset small] [--toolbox]

Commands for four functions, and what none of them is for; with one of the four declared, what the
others would do. --toolbox: the first half of `tools.yaml`, with our tools as a client's.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from assistant.files.presets import load_preset, shipped_config
from assistant.llm.llm import Llm
from assistant.parts.build import build_llm
from assistant.prompt.prompt import Prompt
from assistant.prompt.words import in_words
from assistant.reply import Reply
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.tools.tool import Tool, ToolCall
from lab.evaluation.commands import NONE, Call, commands
from lab.evaluation.tools import offered

AT_ONCE = 64
"""Tokens of the prompt that are put in together."""

MOST_TOKENS = 60
"""Tokens of a reply."""

Judge = Callable[[Sequence[Call]], bool]
"""Whether the calls in a reply are right."""

Said = list[tuple[str, Judge | None]]
"""What is said, and who judges the calls; None: there should be none."""


def function(name: str, description: str, needed: int = 2, **properties: Any) -> Tool:
    """A function; its first `needed` arguments have to be given."""
    schema = {"type": "object", "properties": properties, "required": [*properties][:needed]}
    return Tool(name, description, schema)


WORD = {"type": "string"}
SIZE = {"type": "string", "enum": ["small", "medium", "large"]}
LIGHT = function(
    "set_light", "Switch the light in a room on or off.", room=WORD, on={"type": "boolean"}
)
WEATHER = function("get_weather", "Get the weather in a city.", city=WORD)
PIZZA = function("order_pizza", "Order a pizza.", 1, kind=WORD, size=SIZE)
MESSAGE = function(
    "send_message", "Send a message to one of the user's contacts.", to=WORD, text=WORD
)
FUNCTIONS = (LIGHT, WEATHER, PIZZA, MESSAGE)

FITTING: list[tuple[str, str, Mapping[str, Any]]] = [
    ("Turn the lights off in the kitchen.", "set_light", {"room": "kitchen", "on": False}),
    ("It's too dark in the hall.", "set_light", {"room": "hall", "on": True}),
    ("Could you switch on the bedroom light?", "set_light", {"room": "bedroom", "on": True}),
    ("What is the weather in Graz?", "get_weather", {"city": "Graz"}),
    ("Do I need an umbrella in London today?", "get_weather", {"city": "London"}),
    ("How cold is it in Oslo right now?", "get_weather", {"city": "Oslo"}),
    ("Order a large pizza with mushrooms.", "order_pizza", {"kind": "mushroom", "size": "large"}),
    ("I'd like a margherita, please.", "order_pizza", {"kind": "margherita"}),
    ("Get me a small salami pizza.", "order_pizza", {"kind": "salami", "size": "small"}),
    ("Send a message to Peter that I'm late.", "send_message", {"to": "Peter", "text": "late"}),
    ("Tell Maria that dinner is ready.", "send_message", {"to": "Maria", "text": "is ready"}),
    ("Text my boss that I agree.", "send_message", {"to": "boss", "text": "agree"}),
]
"""What is said, the function, and what its arguments have to contain."""

OTHER = [
    "Play something by the Beatles.", "What's the capital of Norway?", "Wake me at six.",
    "Good evening, how are you doing?", "Thank you, that's all.", "Why do cats purr?",
    "Could you call my mother?", "Set a timer for five minutes.",
]  # fmt: skip
"""What none of the four is for."""

OTHER_THAN_WEATHER = [
    "Order a pizza for me.", "Turn the lights off in the kitchen.", "Tell me a joke.",
    "Send a message to Peter that I'm late.", "Set a timer for five minutes.",
    "Book a table for two tonight.", "Close the blinds in the bedroom, please.", "Call a doctor.",
]  # fmt: skip


class Asked:
    """A preset's LLM whose client declares functions."""

    def __init__(self, llm: Llm, prompt: Prompt, tools: Sequence[Tool]) -> None:
        """Args:
        llm: shared weights.
        prompt: of the preset.
        tools: that are declared.
        """
        form, around = prompt.calls(llm), prompt.roles(llm, "")
        assert form is not None, "the preset's LLM calls none"
        assert around is not None, "the preset has a template of its own"
        self._llm, self._around = llm, around
        self._grammar = Grammar(
            Vocabulary(llm.tokenizer, llm.vocabulary, llm.stop_ids, form), tools
        )
        self._cache = llm.cache()
        for piece in llm.embed(prompt.prefix(llm, "", tuple(tools))).split(AT_ONCE):
            self._cache.extend(piece)
        self.prefix = self._cache.length
        """Tokens that stand before all turns."""

    def answer(self, say: str, generation: Any) -> tuple[list[Call], str]:
        """What is called and said for what is said first."""
        self._cache.truncate(self.prefix)
        turn = self._around.opening + in_words(NONE, say) + self._around.asked
        self._cache.extend(self._llm.embed(self._llm.ids(turn)))
        writing = self._grammar.start()
        reply = Reply(self._llm, self._cache, generation, MOST_TOKENS, 0, writing)
        calls, text = list[Call](), ""
        while (piece := reply.token()) is not None:
            if isinstance(piece, ToolCall):
                calls.append((piece.name, piece.values()))
            else:
                text += piece
        return calls, text


def contains(name: str, arguments: Mapping[str, Any]) -> Judge:
    """Whether one call is made, of `name`, whose arguments contain those given."""

    def judge(calls: Sequence[Call]) -> bool:
        if [called for called, _ in calls] != [name]:
            return False
        given = calls[0][1]
        return all(str(v).lower() in str(given.get(k)).lower() for k, v in arguments.items())

    return judge


def main() -> None:
    """Ask, and print what was not right, what was said in place of calls, and the shares."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--preset", default="small", help="whose LLM: small or mini")
    options.add_argument("--toolbox", action="store_true", help="our own tools")
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_preset(shipped_config(), chosen.preset)[1]
    llm, prompt = build_llm(config), Prompt(config.prompt, words=True)
    fitting: Said = [(say, contains(name, given)) for say, name, given in FITTING]
    sets: list[tuple[str, Sequence[Tool], Said]] = [
        ("one function", (WEATHER,), [(say, None) for say in OTHER_THAN_WEATHER]),
        ("four functions", FUNCTIONS, [*fitting, *((say, None) for say in OTHER)]),
    ]
    if chosen.toolbox:
        half = commands()[0]
        first: Said = [(c.say, None if c.section == NONE else c.is_right) for c in half]
        sets = [("our tools", offered(), first)]
    for name, tools, said in sets:
        asked = Asked(llm, prompt, tools)
        right: dict[str, list[bool]] = {"called right": [], "quiet": []}
        for say, judge in said:
            calls, text = asked.answer(say, config.generation)
            good = judge(calls) if judge else not calls
            right["called right" if judge else "quiet"].append(good)
            if not good or not judge:
                print(f"{'' if good else '- '}{say}\n    {calls or text!r}", flush=True)
        told = {kind: f"{sum(each)} of {len(each)}" for kind, each in right.items()}
        print(json.dumps({"declared": name, "tokens before all turns": asked.prefix, **told}))


if __name__ == "__main__":
    main()
