"""Tokens that are appended without being chosen, and places in a cache that are come back to."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assistant.llm.test_llm import GREEDY, LLM, PROMPT, answer, close, heard, logits


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 7))
def test_what_is_forced_is_as_if_it_had_been_chosen(chosen: int, forced: int, kept: int) -> None:
    cache, tokens = heard(LLM, PROMPT), [7, 3, 9, 4][:forced]
    said = [cache.next_token(GREEDY) for _ in range(chosen)]
    cache.force(tokens)
    assert cache.length == len(PROMPT) + chosen + forced
    kept = min(kept, chosen + forced)
    cache.truncate(len(PROMPT) + kept)
    assert cache.length == len(PROMPT) + kept
    other = LLM.embed(LLM.ids("and then?"))
    cache.extend(other)
    close(logits(cache), logits(heard(LLM, PROMPT, LLM.embed([*said, *tokens][:kept]), other)))


def test_a_place_that_was_marked_is_come_back_to_as_if_nothing_had_followed() -> None:
    cache, plain = heard(LLM, PROMPT), answer(LLM)
    mark = cache.mark()
    for doing in (lambda: cache.next_token(GREEDY), lambda: cache.extend(PROMPT),
                  lambda: cache.force([3, 4])):  # fmt: skip
        doing()
        cache.back(mark)
        assert cache.is_read
        assert cache.length == len(PROMPT)
        assert list(cache.tokens(GREEDY)) == plain
        cache.back(mark)
