"""Random JSON schemas of arguments, and an LLM that says what it may, at random."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from assistant.tools.grammar import Grammar, Vocabulary, Writing
from assistant.tools.tool import Tool

WORDS = st.sampled_from(["a", "name", "id", "é", "to do", 'x"y', "item_1", "</tool_call>"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-30, 30), WORDS)

leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
              st.integers(-300, 300), st.integers(0, 500)),
    st.builds(lambda low, more: {"type": "number", "minimum": low, "exclusiveMaximum": low + more},
              st.integers(-20, 20), st.integers(1, 90)),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
              st.integers(0, 3), st.integers(0, 6)),
    st.sampled_from([{"type": "string", "pattern": p} for p in ("^[a-c]{2,4}$", r"^\d+(\.\d)?$")]),
    st.sampled_from([{"type": "string", "format": f} for f in ("date", "time", "uuid")]),
    st.lists(VALUES, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    VALUES.map(lambda value: {"const": value}),
    st.sampled_from([{"type": ["integer", "null"]}, {"type": ["string", "boolean"]}]),
)  # fmt: skip


def _lists(of: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return st.builds(
        lambda items, n: {"type": "array", "items": items, "minItems": n[0], "maxItems": sum(n)},
        of,
        bounds,
    )


def _objects(of: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    named = st.dictionaries(WORDS, of, max_size=3)
    return named.flatmap(
        lambda properties: st.builds(
            lambda required, more: {
                "type": "object", "properties": properties, "required": required, **more,
            },
            st.lists(st.sampled_from(sorted(properties)), unique=True)
            if properties
            else st.just([]),
            st.sampled_from([{}, {}, {"additionalProperties": {"type": "boolean"}}]),
        )
    )  # fmt: skip


nested = st.recursive(
    leaves,
    lambda of: st.one_of(
        _lists(of), _objects(of), st.lists(of, min_size=1, max_size=3).map(lambda a: {"anyOf": a})
    ),
    max_leaves=5,
)

parameters = _objects(nested)
tools = st.lists(
    st.builds(Tool, st.sampled_from(["a", "ab", "set_x", "b-2"]), st.just(""), parameters),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
)


def said_at_random(
    grammar: Grammar, random: Random, most: int = 600
) -> tuple[Writing, list[int], list[list[int]]]:
    """A reply that says any token it may, and ends soon: after a while it closes what is open.

    Returns:
        The reply, its tokens, and what was forced before each of them.
    """
    vocabulary, writing = grammar.vocabulary, grammar.start()
    closing = [i for i in range(vocabulary.size - 3) if vocabulary.bytes_of(i)[:1] in b'"}]'
               and vocabulary.bytes_of(i)]  # fmt: skip
    said: list[int] = []
    forced: list[list[int]] = []
    while len(said) < most:
        mask = writing.mask()
        assert mask is not None
        allowed = mask.nonzero().flatten().tolist()
        wanted = (
            [i for i in closing if mask[i]]
            if len(said) > most // 4 or random.random() < 0.2
            else []
        )
        ends = [i for i in allowed if i in vocabulary.stop_ids]
        token = random.choice(ends or wanted or allowed)
        forced.append(writing.forced())
        writing.push([token])
        if token in vocabulary.stop_ids:
            break
        said.append(token)
    return writing, said, forced


def text_of(vocabulary: Vocabulary, tokens: list[int]) -> str:
    """What tokens say."""
    return b"".join(map(vocabulary.bytes_of, tokens)).decode()
