"""Replies that call functions, of an LLM whose wishes are written down here."""

from typing import Any

import pytest
import torch

from assistant.config import GenerationConfig
from assistant.reply import Reply
from assistant.tools.form import BARE, HERMES, Form
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.tools.tool import AUTO, Tool, ToolCall, ToolChoice
from tests.assistant.tools.tokenizers import tokenizers

TOKENIZER = tokenizers()["marked"]
STOP = 1
STOP_IT = Tool("stop", "", {"type": "object", "properties": {}})
WEATHER = Tool("weather", "", {"type": "object", "properties": {}})


class WrittenDown:
    """A KV cache whose LLM says the first of some texts; where it may not, the next one."""

    context, stop_ids, tokenizer, device = None, frozenset({STOP}), TOKENIZER, "cpu"

    def __init__(self, *texts: str) -> None:
        self.texts, self.said = texts, list[int]()
        self.forced: list[int] = []

    @property
    def length(self) -> int:
        return 7 + len(self.said)

    @property
    def chosen(self) -> str:
        """What it said by its own choice."""
        left = [token for place, token in enumerate(self.said) if place not in self.forced]
        return str(TOKENIZER.decode(left))

    def detokenizer(self) -> Any:
        class Bytes:
            def push(self, token: int) -> str:
                return str(TOKENIZER.decode([token]))

            def flush(self) -> str:
                return ""

        return Bytes()

    def _wishes(self) -> list[int]:
        place = len(self.said)
        texts = [[*TOKENIZER.encode(t, add_special_tokens=False), STOP] for t in self.texts]
        return [ids[place] for ids in texts if ids[:place] == self.said and place < len(ids)]

    def share(self, mask: torch.Tensor) -> float:
        return float(mask[[*self._wishes(), STOP][0]])

    def next_token(self, config: Any, random: Any, mask: torch.Tensor | None) -> int:
        may = [token for token in self._wishes() if mask is None or mask[token]]
        only = [] if mask is None else mask.nonzero().flatten().tolist()
        token = int([*may, *only][0])
        self.said += [token] if token != STOP else []
        return token

    def force(self, tokens: list[int]) -> None:
        self.forced += range(len(self.said), len(self.said) + len(tokens))
        self.said += tokens

    def mark(self) -> int:
        return len(self.said)

    def back(self, mark: int) -> None:
        del self.said[mark:]


def reply(
    *texts: str,
    form: Form = HERMES,
    tools: tuple[Tool, ...] = (STOP_IT,),
    choice: ToolChoice = AUTO,
) -> tuple[str, list[ToolCall]]:
    return made(WrittenDown(*texts), form, tools, choice)


def made(
    llm: Any,
    form: Form = HERMES,
    tools: tuple[Tool, ...] = (STOP_IT,),
    choice: ToolChoice = AUTO,
    most: int = 300,
) -> tuple[str, list[ToolCall]]:
    words = Vocabulary(TOKENIZER, len(TOKENIZER), {STOP}, form)
    writing = Grammar(words, tools, choice).start()
    reply = Reply(llm, llm, GenerationConfig(), most, 0, writing)
    pieces: list[str | ToolCall] = []
    while (piece := reply.token()) is not None:
        pieces.append(piece)
    calls = [piece for piece in pieces if isinstance(piece, ToolCall)]
    return "".join(piece for piece in pieces if isinstance(piece, str)), calls


def call(name: str, form: Form = HERMES) -> str:
    return form.written(name, "{}")


def test_a_call_that_is_repeated_word_for_word_ends_the_reply() -> None:
    again = call("stop") + "\n" + call("stop")
    text, calls = reply("Yes." + again + "\n" + call("weather"), tools=(STOP_IT, WEATHER))
    assert text == "Yes."
    assert [made.name for made in calls] == ["stop"]
    two = call("stop") + "\n" + call("weather")
    assert [made.name for made in reply(two, tools=(STOP_IT, WEATHER))[1]] == ["stop", "weather"]


@pytest.mark.parametrize("form", [HERMES, BARE])
def test_a_function_that_nobody_declared_is_not_turned_into_another(form: Form) -> None:
    wished = call("set_timer", form)
    assert reply(wished, "I can't.", form=form) == ("I can't.", [])
    assert reply(call("stops", form), "I can't.", form=form) == ("I can't.", [])
    _, calls = reply(call("stop", form), "I can't.", form=form)
    assert [made.name for made in calls] == ["stop"]


def test_what_a_call_says_in_any_case_is_not_asked_for() -> None:
    text = Tool("note", "", {"type": "object", "properties": {"text": {"type": "string"}},
                             "required": ["text"]})  # fmt: skip
    wished = BARE.written("note", '{"text": "milk"}')
    llm = WrittenDown(wished)
    ((call,), said) = made(llm, BARE, (text, STOP_IT))[::-1]
    assert (call.name, call.arguments, said) == ("note", '{"text": "milk"}', "")
    assert TOKENIZER.decode(llm.said) == wished
    assert llm.chosen == '{"note",milk"', "the name, and the text"


@pytest.mark.parametrize("most", [1, 3, 9, 20, 21])
def test_what_is_not_asked_for_counts_as_tokens(most: int) -> None:
    llm = WrittenDown(call("stop", BARE))
    _, calls = made(llm, BARE, most=most)
    whole = len(TOKENIZER.encode(call("stop", BARE), add_special_tokens=False))
    assert len(llm.said) == min(most, whole)
    assert bool(calls) == (most >= whole)


def test_where_a_call_is_required_one_that_was_declared_is_made() -> None:
    _, calls = reply(call("set_timer"), "I can't.", choice=ToolChoice("required"))
    assert [made.name for made in calls] == ["stop"]


@pytest.mark.parametrize("form", [HERMES, BARE])
def test_where_none_may_be_called_no_call_is_said_as_text(form: Form) -> None:
    never = ToolChoice("none")
    for begun in (call("stop", form), '{"name": "stop"}', '{ "name": 1}', '{{"name"'):
        assert reply(begun, "I can't.", form=form, choice=never) == ("I can't.", [])


def test_there_is_one_call_in_a_reply_where_json_alone_is_one() -> None:
    two = call("stop", BARE) + "\n" + call("weather", BARE)
    _, calls = reply(two, form=BARE, tools=(STOP_IT, WEATHER))
    assert [made.name for made in calls] == ["stop"]
