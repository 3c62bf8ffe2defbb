"""An LLM's own chat template, cut into the pieces that go into its context one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from assistant.errors import ConfigError
from assistant.tools.form import Form, form_of
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

    closed: str
    """After it, where something else comes next."""

    begun: str
    """Before a reply to anything else than what a user says: `closed` and it are `asked`."""

    calls: Form | None
    """How calls of functions are written; None: the template knows none."""

    returned: tuple[str, str, str]
    """Before, between and after what came of calls."""

    note: tuple[str, str]
    """Around a system message between others; where the template has none, as around a user's."""


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
    found = _between(text)
    if found is None:
        raise ConfigError("prompt.template: auto: this LLM's chat template changes what is said")
    start, asked, between, _ = found
    # What the second turn begins with, the token that ends a reply left out, begins the first, too.
    opening = _common_end(start, between)
    ends = [token for token in tokenizer.all_special_tokens if opening.startswith(token)]
    end = max(ends, key=len, default="")
    opening = opening.removeprefix(end)
    closed, note = _without_reply(tokenizer, opening)
    closed = end if closed is None else closed
    begun = asked.removeprefix(closed)
    if note is None:
        note = opening, closed
    calls = form_of(tokenizer)
    returned = ("", "", "") if calls is None else _returned(tokenizer, calls, end, begun)
    return Chat(start.removesuffix(opening), opening, asked, closed, begun, calls, returned, note)


def _returned(
    tokenizer: PreTrainedTokenizerBase, calls: Form, end: str, begun: str
) -> tuple[str, str, str]:
    """What is around the results of two calls; `end` ends the message with the calls."""
    asked, first, second = MARKS
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": "", "tool_calls": [call, call]},
        {"role": "tool", "content": first},
        {"role": "tool", "content": second},
    ]
    found = _between(_applied(tokenizer, talk))
    if found is None:
        raise ConfigError("prompt.template: auto: this LLM's chat template changes results")
    _, before, between, after = found
    before = before.rpartition(calls.closing)[2].removeprefix(end)
    return before, between, after.removesuffix(begun)


def _without_reply(
    tokenizer: PreTrainedTokenizerBase, opening: str
) -> tuple[str | None, tuple[str, str] | None]:
    """What ends a user's message that something else follows, and what is around a system message
    after it; None where the template knows no such thing."""
    first, second, third = MARKS
    closed = note = None
    try:
        talk = [("user", first), ("user", second), ("user", third)]
        if found := _between(_rendered(tokenizer, talk)):
            closed = found[1].removesuffix(opening)
        talk[1] = "system", second
        if closed is not None and (found := _between(_rendered(tokenizer, talk))):
            note = found[1].removeprefix(closed), found[2].removesuffix(opening)
    except TemplateError:  # it wants them in turn
        pass
    return closed, note


def _between(text: str) -> list[str] | None:
    """What stands before, between and after the marks; None unless each is there once, in order."""
    parts = []
    for mark in MARKS:
        if text.count(mark) != 1:
            return None
        part, text = text.split(mark)
        parts.append(part)
    return [*parts, text]


def _common_end(first: str, second: str) -> str:
    pairs = zip(reversed(first), reversed(second), strict=False)
    length = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return first[len(first) - length :]


def _rendered(
    tokenizer: PreTrainedTokenizerBase, talk: list[tuple[str, str]], tools: Sequence[Tool] = ()
) -> str:
    return _applied(tokenizer, [{"role": role, "content": text} for role, text in talk], tools)


def _applied(
    tokenizer: PreTrainedTokenizerBase, talk: list[dict[str, Any]], tools: Sequence[Tool] = ()
) -> str:
    shown: list[Any] | None = [tool.shown() for tool in tools] or None
    return str(
        tokenizer.apply_chat_template(talk, tools=shown, tokenize=False, add_generation_prompt=True)
    )
