"""The KV cache follows the pieces it is shown, and computes nothing twice."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import ContextFullError
from assistant.llm.context import Context, Piece
from assistant.llm.llm import Llm, LlmCache
from assistant.model import Salmonn


@pytest.fixture(scope="module")
def llm(tiny: Salmonn) -> Llm:
    return tiny.llm


def ids(text: str) -> Piece:
    return Piece(tuple(ord(c) % 50 for c in text))


def embeds(llm: Llm, pieces: list[Piece]) -> torch.Tensor:
    parts = [llm.embed(list(p.ids)) if p.tokens is None else llm.take(p.tokens) for p in pieces]
    return torch.cat([llm.embed([]), *parts])


def check(context: Context, llm: Llm, pieces: list[Piece]) -> None:
    """As if nothing but `pieces` had ever been there."""
    whole, fresh = embeds(llm, pieces), llm.cache()
    assert context.cache.length == len(whole)
    if len(whole):
        fresh.extend(whole)
        probe = llm.embed([3])
        twin = context.cache.fork()
        twin.extend(probe)
        fresh.extend(probe)
        torch.testing.assert_close(twin.logits(), fresh.logits(), atol=1e-4, rtol=0)


def positions(context: Context, pieces: list[Piece]) -> int:
    """How many are computed to show `pieces`."""
    context.keep(pieces)
    before = context.cache.length
    context.show(pieces)
    return context.cache.length - before


texts = st.lists(st.sampled_from(["ab", "cde", "cd", "cdfg", "f", "", "ghijklm"]), max_size=5)


@settings(max_examples=40)
@given(shown=st.lists(st.tuples(texts, st.sampled_from([0, 1, 2, 100])), max_size=6))
def test_whatever_was_shown_before_the_cache_is_that_of_what_is_shown_now(
    llm: Llm, shown: list[tuple[list[str], int]]
) -> None:
    context = Context(llm)
    for names, most in shown:
        pieces = [ids(name) for name in names]
        while most and context.fill(pieces, most):
            pass
        context.show(pieces)
        check(context, llm, pieces)


def test_what_comes_next_can_be_asked_for_again_after_a_reply(llm: Llm) -> None:
    context, pieces = Context(llm), [ids("abc"), ids("de")]
    context.show(pieces, asked=True)
    wanted = context.cache.logits().clone()
    for _ in range(2):
        context.show(pieces, asked=True)
        assert context.cache.length == 5
        torch.testing.assert_close(context.cache.logits(), wanted, atol=1e-4, rtol=0)
        context.cache.extend(llm.embed([3, 4]))  # a reply


def test_what_stays_is_not_computed_again(llm: Llm) -> None:
    context = Context(llm)
    sound = Piece(tokens=torch.zeros(3, llm.width))
    first = [ids("abc"), sound, ids("de")]
    assert positions(context, first) == 8
    assert positions(context, [*first, ids("f")]) == 1  # appending extends
    assert positions(context, first[:2]) == 0  # taking back shortens
    assert positions(context, [first[0], sound, ids("xy")]) == 2
    assert positions(context, [first[0], ids("xy")]) == 2  # deleting computes what follows anew
    again = Piece(tokens=torch.zeros(3, llm.width))
    assert positions(context, [first[0], sound]) == 3
    assert positions(context, [first[0], again]) == 3  # another sound, though it sounds the same


def test_a_text_that_begins_as_the_last_one_is_computed_from_where_it_differs(
    llm: Llm, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, computed = Context(llm), []
    extend = type(context.cache).extend

    def counted(cache: LlmCache, embeds: torch.Tensor) -> None:
        computed.append(len(embeds))
        extend(cache, embeds)

    monkeypatch.setattr(type(context.cache), "extend", counted)
    for pieces, new in (
        ([ids("abc"), ids("what is")], 10),
        ([ids("abc"), ids("what is it")], 3),
        ([ids("abc"), ids("what is at"), ids("de")], 4),
        ([ids("abc"), ids("what"), ids("de")], 2),
        ([ids("abx"), ids("what")], 7),  # nothing is shared at the first place
    ):
        computed.clear()
        context.show(pieces)
        assert computed == [new]
        monkeypatch.undo()
        check(context, llm, pieces)
        monkeypatch.setattr(type(context.cache), "extend", counted)


def test_the_tokens_of_a_reply_go_when_something_is_shown(tiny: Salmonn) -> None:
    context, pieces = Context(tiny.llm), [ids("abc")]
    context.show(pieces)
    for _ in range(3):
        context.cache.next_token(tiny.config.generation)
    assert context.cache.length == 6
    context.show([*pieces, ids("d")])
    check(context, tiny.llm, [*pieces, ids("d")])


def test_a_piece_that_was_begun_goes_on_or_goes(llm: Llm) -> None:
    context, long = Context(llm), ids("abcdefgh")
    assert context.fill([long], 3)
    assert context.cache.length == 3
    assert context.fill([long], 3)
    assert context.cache.length == 6
    assert not context.fill([long], 3)
    check(context, llm, [long])
    context.fill([ids("xy"), long], 1)
    context.keep([ids("xz")])
    assert context.cache.length == 0


def test_a_first_piece_that_is_ready_is_copied(llm: Llm) -> None:
    prefix = ids("hello")
    cache = llm.cache()
    cache.extend(embeds(llm, [prefix]))
    context = Context(llm, (prefix, cache))
    assert positions(context, [ids("hello"), ids("a")]) == 1
    assert positions(context, [ids("other"), ids("a")]) == 6
    assert positions(context, [ids("hello")]) == 0
    assert cache.length == 5
    check(context, llm, [prefix])


def test_more_than_the_context_holds_is_refused(llm: Llm, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(llm)
    context.show([ids("abc")])
    monkeypatch.setattr(type(llm), "context", 5)
    with pytest.raises(ContextFullError):
        context.show([ids("abc"), ids("def")])
    check(context, llm, [ids("abc")])
