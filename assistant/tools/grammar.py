"""Which tokens an LLM may say next, so that every call of a tool fits the tool's JSON schema.

    vocabulary = Vocabulary(tokenizer, size, stop_ids)   # a second; shared
    grammar = Grammar(vocabulary, tools, AUTO)           # milliseconds; shared
    writing = grammar.start()                            # one reply
    mask = writing.mask()                                # over the vocabulary; None: as it likes
    said = writing.push([token])                         # what of it is text
    writing.spelled()                                    # what comes next whatever the LLM says
    writing.calls                                        # names and arguments, as soon as complete

What may come next depends on the tokens so far, never on how many were pushed at once.
"""

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from assistant.errors import ToolError
from assistant.tools.form import HERMES, Form
from assistant.tools.schema import compiled_form, literals
from assistant.tools.tool import AUTO, Tool, ToolChoice

_BITS = 32

_OPENS = re.compile(rb'[:,\[] ?"$')
"""A text that ends with the quotation mark that begins another. Tokenizers end a token there."""

_UNNAMED = {
    "regex parse error": "pattern",
    "Unable to determine if regex": "pattern",
    "Pointer ": "$ref",
    "Resource ": "$ref",
}
"""How messages begin that do not name the keyword, and the keyword."""


class Vocabulary:
    """An LLM's tokens as masks see them."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        size: int,
        stop_ids: Collection[int],
        form: Form = HERMES,
    ) -> None:
        """Args:
        tokenizer: of the LLM, one that transformers calls fast.
        size: of the vocabulary, as wide as logits are.
        stop_ids: tokens that end an answer.
        form: how calls are written.
        """
        self.size, self.form, self.stop_ids = size, form, frozenset(stop_ids)
        self.tokens = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=size, eos_token=sorted(stop_ids)
        )
        self.mark: list[int] = tokenizer.encode(form.mark, add_special_tokens=False)
        """The tokens of what a call begins with; one, where the LLM has a token for it."""

        brace = [token for token in range(self.tokens.vocab_size) if b"{" in self.bytes_of(token)]
        self.words = ~self.only([*brace, *(self.mark if len(self.mark) == 1 else [])])
        """A mask (size,) in which no call can be begun: without the mark, where that is a token of
        its own, and without all that has a brace."""

    def ids(self, text: str) -> list[int]:
        """The tokens of a text; marks in it are their own tokens."""
        return [*self.tokens.tokenize_str(text, parse_special=True)]

    def bytes_of(self, token: int) -> bytes:
        """What a token stands for."""
        found: bytes = self.tokens.decode_bytes([token])
        return found

    def only(self, ids: Collection[int]) -> Tensor:
        """A mask (size,) in which nothing but `ids` may come."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[sorted(ids)] = True
        return mask

    def literal(self, text: str) -> str:
        """A text as the grammar has it; a special token stands in it by its own name."""
        ids = self.ids(text)
        whole = len(ids) == 1 and self.tokens.is_special_token(ids[0])
        return f"<[{ids[0]}]>" if whole else json.dumps(text)


class Grammar:
    """All calls of some tools."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        tools: Sequence[Tool],
        choice: ToolChoice = AUTO,
        most: int | None = None,
    ) -> None:
        """Args:
        vocabulary: of the LLM.
        tools: that it was told of.
        choice: whether it calls one.
        most: calls of one reply; None: as many as the form has.

        Raises:
            ToolError: the choice cannot be made, or a schema cannot be kept to; the tool and the
                keyword are named.
        """
        self.vocabulary = vocabulary
        self.must = choice.mode in ("required", "named")
        """A reply begins with a call."""

        self.never = choice.mode == "none" or not tools
        """No call may begin."""

        callable_tools = choice.among(tools)
        self.names = tuple(tool.name for tool in callable_tools)
        """Of the tools that may be called."""

        self._matcher: llguidance.LLMatcher | None = None
        if callable_tools:
            schemas = [_compiled(vocabulary, [*tools].index(tool), tool) for tool in callable_tools]
            lark = _lark(vocabulary, self.names, schemas, most or vocabulary.form.most)
            self._matcher = llguidance.LLMatcher(vocabulary.tokens, lark, log_level=0)
            if self._matcher.is_error():
                raise ToolError("tools", f"together: {_why(self._matcher.get_error())}")

    def start(self) -> "Writing":
        """Begin a reply."""
        return Writing(self)

    def matcher(self) -> llguidance.LLMatcher:
        """What follows calls, before the mark of the first one.

        Raises:
            RuntimeError: no tool may be called.
        """
        if self._matcher is None:
            raise RuntimeError("no tool may be called")
        return self._matcher.deep_copy()


class Writing:
    """A reply as it is written: text, then calls.

    A reply that begins as calls do, but for the mark, is one, too: some LLMs leave it out.
    """

    def __init__(self, grammar: Grammar, *, never: bool = False) -> None:
        self._grammar, self._vocabulary = grammar, grammar.vocabulary
        self._never = never or grammar.never
        self._mark = grammar.vocabulary.form.mark.encode()
        self._matcher = grammar.matcher() if grammar.must and not self._never else None
        self._bits = np.zeros((1, -(-self._vocabulary.size // _BITS)), np.int32)
        opening = grammar.vocabulary.form.opening.lstrip()
        self._unmarked = opening.encode() if opening.startswith("{") else b""
        self._said = False  # something that is text for certain
        self._held: list[int] = []  # text's end that may become a mark
        self._written = b""  # of the calls, from the end of the last complete one
        self._ended = False
        self.calls: list[tuple[str, str]] = []
        """Names and arguments, as JSON text, of the calls that are complete."""

    @property
    def must(self) -> bool:
        """It begins with a call."""
        return self._grammar.must

    @property
    def naming(self) -> bool:
        """The name of the function is written next, in the first call."""
        form = self._vocabulary.form
        _, begun, name = self._written.partition((form.mark + form.opening).encode())
        return bool(begun) and b'"' not in name and not self.calls

    def anew(self) -> "Writing":
        """The same reply from its beginning, in which no call may be begun."""
        return Writing(self._grammar, never=True)

    @property
    def inside(self) -> bool:
        """A call has begun: what comes from here on is not text."""
        return self._matcher is not None

    @property
    def complete(self) -> bool:
        """Nothing was begun that is not complete."""
        matcher = self._matcher
        return matcher is None or (matcher.is_accepting() and not matcher.is_error())

    @property
    def over(self) -> bool:
        """Calls are complete, and nothing may follow them."""
        matcher = self._matcher
        return matcher is not None and bool(matcher.is_stopped()) and self.complete

    def mask(self) -> Tensor | None:
        """Which tokens may come next: bool (vocabulary,); None: all."""
        if self._matcher is None:
            return self._vocabulary.words if self._never else None
        if self._ended or self._matcher.is_error():
            return self._vocabulary.only(self._vocabulary.stop_ids)
        pointer, size = self._bits.ctypes.data, self._bits.nbytes
        self._matcher.unsafe_compute_mask_ptr(pointer, size)
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")
        return torch.from_numpy(bits[: self._vocabulary.size].view(np.bool_))

    def forced(self) -> list[int]:
        """Tokens that come next whatever the LLM says; none where it has a choice."""
        if self._matcher is None or self._ended or self._matcher.is_error():
            return []
        return [*self._matcher.compute_ff_tokens()]

    def spelled(self) -> list[int]:
        """The text that comes next whatever the LLM says, as its tokenizer writes it; the last
        token only where it does not depend on what follows. Often more than `forced`: the grammar
        allows to write the same text in other tokens."""
        sure = self.forced()
        if self._matcher is None or self._ended or self._matcher.is_error():
            return sure
        text: bytes = self._matcher.compute_ff_bytes()
        spelled: list[int] = self._vocabulary.tokens.tokenize_bytes(text)
        if not _OPENS.search(text):
            spelled = spelled[:-1]
        if len(spelled) <= len(sure) or self._matcher.validate_tokens(spelled) < len(spelled):
            return sure
        return [*spelled]

    def push(self, tokens: Sequence[int]) -> list[int]:
        """Take tokens. After one that the mask did not allow nothing can be completed, and only a
        stop token may come.

        Returns:
            Those that are text for certain, some perhaps of earlier pushes.
        """
        return [said for token in tokens for said in self._take(token)]

    def flush(self) -> list[int]:
        """The end: the tokens that were not certain to be text, and are."""
        held, self._held = self._held, []
        return held

    def _take(self, token: int) -> list[int]:
        if self._matcher is None:
            return self._text(token)
        if token in self._vocabulary.stop_ids and self.complete:
            self._ended = True
            return []
        if self._matcher.consume_token(token):
            self._written += self._vocabulary.bytes_of(token)
            self._read()
        return []

    def _text(self, token: int) -> list[int]:
        self._held.append(token)
        if self._never:
            return self.flush()
        pieces = [self._vocabulary.bytes_of(held) for held in self._held]
        held = b"".join(pieces)
        begun = held.lstrip()
        if self._unmarked and not self._said and self._unmarked.startswith(begun):
            if begun == self._unmarked:
                self._begin(self._vocabulary.form.mark + self._vocabulary.form.opening)
                self._held = []
            return []
        if held.endswith(self._mark):
            self._begin(self._vocabulary.form.mark)
            return self._released(pieces, len(held) - len(self._mark))
        return self._released(pieces, len(held) - _overlap(held, self._mark))

    def _begin(self, written: str) -> None:
        """A call begins, and so much of it is written."""
        self._matcher, self._written = self._grammar.matcher(), written.encode()
        self._matcher.consume_tokens(self._vocabulary.ids(written))

    def _released(self, pieces: list[bytes], certain: int) -> list[int]:
        """Tokens that lie in the first `certain` bytes of those held; a begun call drops the
        others."""
        count, length = 0, 0
        while count < len(pieces) and length + len(pieces[count]) <= certain:
            length += len(pieces[count])
            count += 1
        said, self._held = self._held[:count], [] if self.inside else self._held[count:]
        self._said = self._said or bool(said)
        return said

    def _read(self) -> None:
        """Take complete calls out of what was written."""
        form = self._vocabulary.form
        while True:
            begin, opening = self._written.find(self._mark), form.opening.encode()
            if begin < 0 or form.closing.encode() not in self._written:
                return
            found = _call(self._written[begin + len(self._mark) :], form, opening)
            if found is None:
                return
            name, arguments, length = found
            self.calls.append((name, arguments))
            self._written = self._written[begin + len(self._mark) + length :]


def _call(written: bytes, form: Form, opening: bytes) -> tuple[str, str, int] | None:
    """Name, arguments and length of a call, if it is complete."""
    between, closing = form.between.encode(), form.closing.encode()
    name, found, rest = written[len(opening) :].partition(between)
    if not found:
        return None
    text = rest.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):  # not complete, or deeper than Python reads
        return None
    arguments = text[:end]
    if not rest[len(arguments.encode()) :].startswith(closing):
        return None
    length = len(opening) + len(name) + len(between) + len(arguments.encode()) + len(closing)
    return name.decode(), arguments, length


def _overlap(text: bytes, mark: bytes) -> int:
    """How many bytes at the end of `text` `mark` may begin with."""
    most = min(len(text), len(mark) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(mark[:n])), 0)


def _lark(
    vocabulary: Vocabulary, names: Sequence[str], schemas: Sequence[dict[str, Any]], most: int
) -> str:
    form = vocabulary.form
    mark, again = vocabulary.literal(form.mark), form.again
    more = f" ({json.dumps(again)} call)" if again else " call"
    lines = [
        "%llguidance {}",
        f"start: call{more}{{0,{most - 1}}}" if most > 1 else "start: call",
        f"call: {mark} {json.dumps(form.opening)} body {_closing(vocabulary)}",
        "body: " + " | ".join(f"tool_{place}" for place in range(len(names))),
    ]
    for place, (name, schema) in enumerate(zip(names, schemas, strict=True)):
        lines.append(f"tool_{place}: {json.dumps(name + form.between)} %json {json.dumps(schema)}")
    return "\n".join(lines)


def _closing(vocabulary: Vocabulary) -> str:
    """What follows the arguments; where a token of its own ends it, that one."""
    text = vocabulary.form.closing
    start = text.find("<")
    if start < 0:
        return json.dumps(text)
    return f"{json.dumps(text[:start])} {vocabulary.literal(text[start:])}"


def _compiled(vocabulary: Vocabulary, place: int, tool: Tool) -> dict[str, Any]:
    schema = compiled_form(tool.parameters)
    for text in literals(schema):
        if any(map(vocabulary.tokens.is_special_token, vocabulary.tokens.tokenize_str(text))):
            why = f"{tool.name}: {text!r:.60} holds a token of the LLM's own, which no text may"
            raise ToolError(f"tools[{place}].parameters", why)
    wrong = llguidance.LLMatcher.validate_grammar(
        llguidance.LLMatcher.grammar_from_json_schema(schema), vocabulary.tokens
    )
    if wrong and not wrong.startswith("WARNING"):
        raise ToolError(f"tools[{place}].parameters", f"{tool.name}: {_why(wrong)}")
    return schema


def _why(message: str) -> str:
    """One line, in which the keyword stands that cannot be kept to."""
    first, *_, last = [*message.strip().splitlines(), *message.strip().splitlines()]
    for begin, keyword in _UNNAMED.items():
        if first.startswith(begin):
            why = last.removeprefix("error: ")
            return f"{keyword}: {why:.120}"
    return first[:120]
