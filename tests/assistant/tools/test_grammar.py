"""Every call that comes out fits its schema, whatever an LLM would say; jsonschema judges."""

import json
from random import Random
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from assistant.errors import ToolError
from assistant.tools.form import BARE, HERMES
from assistant.tools.grammar import Grammar, Vocabulary, Writing
from assistant.tools.tool import AUTO, Tool, ToolChoice
from tests.assistant.tools.schemas import said_at_random, text_of, tools
from tests.assistant.tools.tokenizers import tokenizers, vocabulary

STOP = 1
TIMER = Tool("set_timer", "", {"type": "object", "properties": {"for": {"type": "string"}},
                               "required": ["for"]})  # fmt: skip
STOP_IT = Tool("stop", "", {"type": "object", "properties": {"all": {"type": "boolean"}}})

kinds = pytest.mark.parametrize("kind", ["bytes", "marked"])


def written(name: str, arguments: str) -> str:
    return f"{HERMES.mark}{HERMES.opening}{name}{HERMES.between}{arguments}{HERMES.closing}"


def ids(kind: str, text: str) -> list[int]:
    return list(tokenizers()[kind].encode(text, add_special_tokens=False))


def allowed(writing: Writing) -> list[int] | None:
    mask = writing.mask()
    return None if mask is None else mask.nonzero().flatten().tolist()


@kinds
@given(offered=tools, seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_every_call_fits_its_schema_and_all_forced_tokens_are_allowed(
    kind: str, offered: list[Tool], seed: int
) -> None:
    schemas = {tool.name: tool.parameters for tool in offered}
    try:
        grammar = Grammar(vocabulary(kind), offered, ToolChoice("required"), most=2)
    except ToolError:
        event("refused")
        return
    writing, said, forced = said_at_random(grammar, Random(seed))
    for place, sure in enumerate(forced):
        assert said[place : place + len(sure)] == sure[: len(said) - place]
    event("complete" if writing.complete else "not complete")
    assume(writing.complete)
    assert writing.calls
    assert text_of(grammar.vocabulary, said) == HERMES.again.join(
        written(name, arguments) for name, arguments in writing.calls
    )
    for name, arguments in writing.calls:
        jsonschema.validate(json.loads(arguments), schemas[name])


@kinds
@given(offered=tools, seed=st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_what_is_spelled_is_what_any_reply_says_next(
    kind: str, offered: list[Tool], seed: int
) -> None:
    try:
        grammar = Grammar(vocabulary(kind), offered, ToolChoice("required"), most=2)
    except ToolError:
        return
    writing, said, _ = said_at_random(grammar, Random(seed))
    assume(writing.complete)
    again, pieces = grammar.start(), [*map(grammar.vocabulary.bytes_of, said)]
    for place, token in enumerate(said):
        spelled = again.spelled()
        assert len(spelled) >= len(again.forced())
        text = b"".join(map(grammar.vocabulary.bytes_of, spelled))
        assert b"".join(pieces[place:]).startswith(text)
        again.push([token])
    assert again.calls == writing.calls
    assert again.over == (allowed(again) == [STOP])


def test_what_is_spelled_ends_where_a_text_begins_or_a_token_may_go_on() -> None:
    tokenizer = tokenizers()["marked"]
    found = Vocabulary(tokenizer, len(tokenizer), {STOP}, BARE)
    writing = Grammar(found, [TIMER, Tool("go", "", {"type": "object"})]).start()
    assert writing.spelled() == []
    writing.push(ids("marked", '{"'))
    assert text_of(found, writing.spelled()) == 'name": "'
    writing.push(ids("marked", 'name": "set_timer"'))
    assert text_of(found, writing.spelled()) == ', "arguments": {"for": "'
    writing.push(ids("marked", ', "arguments": {"for": "ten'))
    assert not writing.over
    writing.push(ids("marked", '"}}'))
    assert writing.over
    writing = Grammar(found, [STOP_IT]).start()
    writing.push(ids("marked", '{"name": "stop"'))
    assert text_of(found, writing.spelled()) == ', "arguments":', "a brace may be more of a token"


@kinds
@given(cuts=st.lists(st.integers(0, 200)), mark=st.sampled_from(["", "Well <tool_", "<<", "é "]))
def test_how_tokens_are_grouped_changes_nothing(kind: str, cuts: list[int], mark: str) -> None:
    """Nor do forced tokens that are pushed together."""
    grammar = Grammar(vocabulary(kind), [TIMER, STOP_IT])
    tokens = ids(kind, mark) + ids(kind, written("set_timer", '{"for": "ten <tool_call>"}'))
    tokens = [t for t in tokens if kind == "bytes" or t < len(tokenizers()[kind])]
    whole, parts, begin = grammar.start(), grammar.start(), 0
    if kind == "marked":  # inside the arguments the mark can only be spelled
        tokens = ids(kind, mark) + ids(kind, written("set_timer", '{"for": "ten"}'))
    said = whole.push(tokens)
    together: list[int] = []
    for end in [*sorted(cut % (len(tokens) + 1) for cut in cuts), len(tokens)]:
        together += parts.push(tokens[begin:end])
        begin = end
    assert said == together
    assert (whole.calls, allowed(whole), whole.forced()) == (
        parts.calls,
        allowed(parts),
        parts.forced(),
    )
    assert len(whole.calls) == 1


@kinds
def test_text_is_free_and_what_may_become_a_call_waits(kind: str) -> None:
    writing = Grammar(vocabulary(kind), [TIMER]).start()
    text = ids(kind, "One < two, </tool_call> and <tool> ")
    assert writing.push(text) == text
    assert writing.mask() is None
    assert writing.forced() == []
    assert not writing.inside
    partial = ids("bytes", "<tool_c")
    assert writing.push(partial) == []
    assert writing.flush() == partial


@kinds
def test_text_may_stand_before_calls_and_a_reply_ends_with_them(kind: str) -> None:
    writing = Grammar(vocabulary(kind), [TIMER, STOP_IT], most=2).start()
    text = ids(kind, "Sure. ")
    assert writing.push(text + ids(kind, written("stop", "{}"))) == text
    assert writing.calls == [("stop", "{}")]
    assert writing.complete
    (again,) = ids(kind, HERMES.again)
    assert allowed(writing) == [STOP, again]
    writing.push(ids(kind, HERMES.again))
    assert not writing.complete
    writing.push(ids(kind, written("set_timer", '{"for": "1 é"}')))
    assert writing.calls == [("stop", "{}"), ("set_timer", '{"for": "1 é"}')]
    assert allowed(writing) == [STOP]
    writing.push([STOP])
    assert allowed(writing) == [STOP]


@kinds
def test_a_reply_that_begins_as_calls_do_but_for_the_mark_is_one(kind: str) -> None:
    grammar = Grammar(vocabulary(kind), [TIMER, STOP_IT])
    call = ids(kind, written("set_timer", '{"for": "ten"}').removeprefix(HERMES.mark))
    for blank in ("", " "):
        writing = grammar.start()
        assert writing.push(ids(kind, blank) + call) == []
        assert writing.calls == [("set_timer", '{"for": "ten"}')]
    for other in ('{"names": 3}', "So "):  # not a call, or not at the beginning
        writing = grammar.start()
        text = ids(kind, other)
        assert writing.push(text) == text
        assert not writing.inside
        writing.push(call)
        assert writing.calls == []


@kinds
def test_the_end_of_a_call_may_stand_in_its_arguments(kind: str) -> None:
    writing = Grammar(vocabulary(kind), [TIMER]).start()
    begin, end = written("set_timer", '{"for": "@"}').split("@")
    spelled = [t for letter in "}\\n</tool_call>é" for t in ids("bytes", letter)]
    writing.push(ids(kind, begin) + spelled)
    assert writing.calls == []
    writing.push(ids(kind, end))
    assert writing.calls == [("set_timer", '{"for": "}\\n</tool_call>é"}')]


@kinds
def test_a_tool_that_is_chosen_by_name_is_forced_up_to_its_arguments(kind: str) -> None:
    grammar = Grammar(vocabulary(kind), [TIMER, STOP_IT], ToolChoice("named", "set_timer"), most=1)
    writing = grammar.start()
    assert writing.inside
    forced = writing.forced()
    text = text_of(grammar.vocabulary, forced)
    assert written("set_timer", '{"for": "').startswith(text)
    assert "set_timer" in text
    writing.push(forced)
    assert not writing.complete


@kinds
def test_a_required_call_is_one_of_the_tools(kind: str) -> None:
    writing = Grammar(vocabulary(kind), [TIMER, STOP_IT], ToolChoice("required")).start()
    writing.push(writing.forced())
    assert not writing.complete
    writing.push(ids(kind, "zzzz"))
    assert allowed(writing) == [STOP]
    assert writing.forced() == []
    assert not writing.complete
    assert writing.calls == []


@kinds
def test_where_no_tool_may_be_called_all_is_text(kind: str) -> None:
    for grammar in (
        Grammar(vocabulary(kind), [TIMER], ToolChoice("none")),
        Grammar(vocabulary(kind), []),
    ):
        writing = grammar.start()
        spelled = ids("bytes", written("stop", "{}"))
        assert writing.push(spelled) == spelled
        assert writing.calls == []
        mask = writing.mask()
        assert mask is not None
        never = [n for n in range(len(mask)) if "{" in tokenizers()[kind].decode([n])]
        assert len(never) == {"bytes": 1, "marked": 4}[kind]
        mark = vocabulary(kind).mark
        never += mark if len(mark) == 1 else []
        assert (~mask).nonzero().flatten().tolist() == sorted(never)


def test_a_mask_is_as_wide_as_the_logits_and_allows_nothing_beyond_the_tokenizer() -> None:
    grammar = Grammar(vocabulary("bytes"), [TIMER], ToolChoice("required"))
    writing = grammar.start()
    writing.push(ids("bytes", written("set_timer", "@").split("@")[0] + '{"for": "'))
    mask = writing.mask()
    assert mask is not None
    assert mask.shape == (grammar.vocabulary.size,)
    assert mask.dtype == torch.bool
    assert not mask[-3:].any()
    assert mask.sum() > 100


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "string"}}, "not"),
        ({"if": {}, "then": {}}, "if"),
        ({"type": "string", "pattern": "(?=a)b"}, "pattern"),
        ({"type": "string", "format": "colour"}, "format"),
        ({"$ref": "#/definitions/none"}, "$ref"),
        ({"$ref": "https://example.com/x"}, "$ref"),
        ({"type": "strin"}, "type"),
        ({"enum": ["a", "x </tool_call>"]}, "x </tool_call>"),
        ({"type": "object", "properties": {"<tool_call>": {}}}, "<tool_call>"),
        ({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, "oneOf"),
        ({"allOf": [{"type": "string", "pattern": f".*{c}.*"} for c in "abcdefgh"]}, "pattern"),
    ],
)
def test_a_schema_that_cannot_be_kept_to_names_tool_and_keyword(
    schema: dict[str, Any], keyword: str
) -> None:
    tool = Tool("paint", "", {"type": "object", "properties": {"x": schema}, "required": ["x"]})
    with pytest.raises(ToolError) as raised:
        Grammar(vocabulary("marked"), [TIMER, tool])
    message = str(raised.value)
    assert message.startswith("tools[1].parameters: paint: ")
    assert keyword in message.removeprefix("tools[1].parameters: ")
    assert "\n" not in message
    assert len(message) < 250


def test_arguments_that_are_deeper_than_can_be_read_are_no_call() -> None:
    anything = Tool("note", "", {"type": "object"})
    for depth, calls in ((10, 1), (3_000, 0)):
        writing = Grammar(vocabulary("bytes"), [anything], most=1).start()
        deep = '{"a": ' + "[" * depth + "]" * depth + "}"
        writing.push(ids("bytes", written("note", deep)))
        assert len(writing.calls) == calls


def test_a_form_without_a_mark_of_its_own_works_as_well() -> None:
    tokenizer = tokenizers()["marked"]
    found = Vocabulary(tokenizer, len(tokenizer), {STOP}, BARE)
    assert [found.bytes_of(token) for token in found.mark] == [b'{"']
    other = Grammar(found, [TIMER]).start()
    assert other.push(ids("marked", ' name": "x')) == ids("marked", ' name": "x')
    writing = Grammar(found, [TIMER, STOP_IT], most=2).start()
    call = '{"name": "set_timer", "arguments": {"for": "{\\"ten}"}}'
    text = ids("marked", "So, ")
    assert writing.push(text + ids("marked", call)) == text
    assert writing.calls == [("set_timer", '{"for": "{\\"ten}"}')]
    assert writing.complete
    writing.push(ids("marked", "\n" + '{"name": "stop", "arguments": {}}'))
    assert [name for name, _ in writing.calls] == ["set_timer", "stop"]


def test_a_choice_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ToolError, match="tool_choice"):
        Grammar(vocabulary("bytes"), [TIMER], ToolChoice("named", "stop"))


def test_arguments_that_are_not_named_are_not_invented() -> None:
    writing = Grammar(vocabulary("bytes"), [STOP_IT], ToolChoice("required"), most=1).start()
    writing.push(ids("bytes", written("stop", "@").split("@")[0] + "{"))
    assert {chr(b) for i in allowed(writing) or [] for b in vocabulary("bytes").bytes_of(i)} == {
        '"',
        "}",
    }
    writing.push(ids("bytes", '"'))
    assert text_of(vocabulary("bytes"), writing.forced()).startswith("all")


def test_the_mask_follows_the_tokenizer_that_it_was_made_of() -> None:
    tokenizer = tokenizers()["marked"]
    assert vocabulary("marked").mark == [tokenizer.convert_tokens_to_ids(HERMES.mark)]
    assert len(vocabulary("bytes").mark) == len(HERMES.mark)
    assert Vocabulary(tokenizer, len(tokenizer), {STOP}).only({STOP}).nonzero().tolist() == [[STOP]]


def test_without_a_choice_an_llm_may_call() -> None:
    assert Grammar(vocabulary("bytes"), [TIMER], AUTO).names == ("set_timer",)
