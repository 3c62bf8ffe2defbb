"""How an LLM's own chat template writes a call of a tool."""

from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

NAME, KEY = "\ue010\ue011", "\ue012\ue013"
"""Stand for a tool's name and an argument's; from Unicode's private use area."""


@dataclass(frozen=True, slots=True)
class Form:
    """Text around the name and the arguments of a call."""

    mark: str = "<tool_call>"
    """What a call begins with; nothing else that is said does."""

    opening: str = '\n{"name": "'
    """Between the mark and the tool's name."""

    between: str = '", "arguments": '
    """After the name; the arguments come next, a JSON object."""

    closing: str = "}\n</tool_call>"
    """After the arguments."""

    again: str = "\n"
    """Between a call and the mark of the next one."""

    most: int = 8
    """Calls of one reply."""

    def written(self, name: str, arguments: str) -> str:
        """A call; `arguments`: a JSON object, as text."""
        return "".join([self.mark, self.opening, name, self.between, arguments, self.closing])


HERMES = Form()
"""As Qwen and many others write calls."""

BARE = Form('{"', 'name": "', closing="}", again="\n", most=1)
"""For LLMs that write calls, but were never taught their template's mark."""


def form_of(tokenizer: PreTrainedTokenizerBase) -> Form | None:
    """The form of `tokenizer`'s chat template.

    Returns:
        None where the template knows no tools, or no mark tells a call from what is said.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    call = {"type": "function", "function": {"name": NAME, "arguments": {KEY: 1}}}
    asked = {"role": "user", "content": ""}
    shown = {"role": "assistant", "content": "", "tool_calls": [call, call]}
    schema = {"name": NAME, "description": "", "parameters": {"type": "object"}}
    try:
        text = str(
            tokenizer.apply_chat_template(
                [asked, shown], tools=[{"type": "function", "function": schema}], tokenize=False
            )
        )
        alone = str(tokenizer.apply_chat_template([asked], tokenize=False))
    except (TemplateError, TypeError, ValueError):
        return None
    return _between_marks(text, alone)


def _between_marks(text: str, alone: str) -> Form | None:
    """From a talk of a question and two calls, and the question alone."""
    *_, before, first, last = text.rsplit(NAME, 2) if text.count(NAME) > 1 else ("", "", "", "")
    arguments = f'{{"{KEY}": 1}}'
    if first.count(arguments) != 1 or not last.startswith(first.split(arguments)[0]):
        return None
    between, rest = first.split(arguments)
    closing = _common_start(rest, last.removeprefix(between + arguments))
    opening = _common_end(before, rest.removeprefix(closing))
    again = rest.removeprefix(closing).removesuffix(opening)
    mark = opening.lstrip()
    again += opening[: len(opening) - len(mark)]
    end = next((i for i, letter in enumerate(mark) if letter.isspace() or letter == "{"), 0)
    if not end or mark[:end] in alone:
        return None
    return Form(mark[:end], mark[end:], between, closing, again)


def _common_start(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _common_end(one: str, other: str) -> str:
    return _common_start(one[::-1], other[::-1])[::-1]
