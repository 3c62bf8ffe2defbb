"""An LLM's own chat template, cut into the pieces that go into its context one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from assistant.errors import ConfigError
from assistant.tools.tool import Tool

MARKS = "\ue000\ue001", "\ue002\ue003", "\ue004\ue005"
"""Stand for what is said; from Unicode's private use area, so that no template has them."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Text around what is said."""

    system: str
    """What a conversation begins with."""

    opening: str
    """Before what the user says."""

    asked: str
    """After it; the reply comes next, and a token that ends it."""


Message = tuple[str, str]
"""Who says what: `user` or `assistant`, and the text."""


def chat(
    tokenizer: PreTrainedTokenizerBase,
    system: str,
    examples: Sequence[Message] = (),
    tools: Sequence[Tool] = (),
) -> Chat:
    """The template of `tokenizer`.

    Args:
        tokenizer: of the LLM.
        system: its system message; left out where it is empty.
        examples: said before all else, by the user and the assistant in turn.
        tools: that the LLM is told of, where its template has a place for them.

    Raises:
        ConfigError: the tokenizer has no template, or one that changes what is said.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("prompt.template: auto needs an LLM with a chat template")
    said, reply, next_said = MARKS
    talk = [*examples, ("user", said), ("assistant", reply), ("user", next_said)]
    try:
        text = _rendered(tokenizer, [("system", system), *talk] if system else talk, tools)
    except TemplateError:  # some take no system message
        text = _rendered(tokenizer, [("user", f"{system}\n\n{talk[0][1]}"), *talk[1:]], tools)
    if any(text.count(mark) != 1 for mark in MARKS):
        raise ConfigError("prompt.template: auto: this LLM's chat template changes what is said")
    start, rest = text.split(said)
    asked, rest = rest.split(reply)
    between, _ = rest.split(next_said)
    # What the second turn begins with, the token that ends a reply left out, begins the first, too.
    opening = _common_end(start, between)
    ends = [token for token in tokenizer.all_special_tokens if opening.startswith(token)]
    opening = opening.removeprefix(max(ends, key=len, default=""))
    return Chat(start.removesuffix(opening), opening, asked)


def _common_end(first: str, second: str) -> str:
    pairs = zip(reversed(first), reversed(second), strict=False)
    length = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return first[len(first) - length :]


def _rendered(
    tokenizer: PreTrainedTokenizerBase, talk: list[tuple[str, str]], tools: Sequence[Tool]
) -> str:
    messages = [{"role": role, "content": content} for role, content in talk]
    shown = [tool.shown() for tool in tools] or None
    return str(
        tokenizer.apply_chat_template(
            messages, tools=shown, tokenize=False, add_generation_prompt=True
        )
    )
