"""What was never heard of a reply is not in the LLM's context."""

import pytest

from assistant.model import Salmonn
from assistant.prompt.items import Said
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.test_conversation import answer, check_cache, heard, samples, two_turns


def text_of(tiny: Salmonn, tokens: tuple[int, ...]) -> str:
    text = tiny.llm.detokenizer()
    return "".join(map(text.push, tokens))


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("characters", [0, 1, 7, 10_000])
def test_a_reply_ends_where_it_was_cut(tiny: Salmonn, turn: int, characters: int) -> None:
    talk = two_turns(tiny)
    before = {item.turn: item.tokens for item in talk._history.items if isinstance(item, Said)}
    talk.truncate(turn, characters)
    after = {item.turn: item.tokens for item in talk._history.items if isinstance(item, Said)}
    kept, whole = after.pop(turn), before.pop(turn)
    assert after == before
    assert whole[: len(kept)] == kept
    assert len(text_of(tiny, kept)) <= characters
    if kept != whole:
        assert len(text_of(tiny, whole[: len(kept) + 1])) > characters
    else:
        assert characters == 10_000
    check_cache(talk, tiny)


def test_what_is_cut_while_a_turn_is_heard_is_not_in_its_answer(tiny: Salmonn) -> None:
    early, late = two_turns(tiny), two_turns(tiny)
    early.truncate(1, 5)
    for talk in (early, late):
        talk.open(since=talk.heard)
        heard(talk, samples(BLOCK + 50, 7))
        if talk is late:
            talk.truncate(1, 5)
        talk.pause()
    assert answer(early) == answer(late)


def test_what_is_cut_and_not_kept_is_nothing(tiny: Salmonn) -> None:
    talk = two_turns(tiny)
    talk.truncate(7, 0)
    check_cache(talk, tiny)


def test_what_was_cut_comes_back_with_nothing(tiny: Salmonn) -> None:
    talk = two_turns(tiny)
    talk.truncate(1, 3)
    cut = talk._history.items[-1]
    talk.truncate(1, 500)
    assert talk._history.items[-1] == cut
