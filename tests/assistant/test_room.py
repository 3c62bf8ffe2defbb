"""The LLM's context has room for a conversation, or room is made."""

import pytest

from assistant import reading as reading_of
from assistant.conversation import Conversation
from assistant.errors import ContextFullError
from assistant.model import Salmonn
from assistant.reply import Reply
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.test_conversation import (
    PROMPT,
    answer,
    check_cache,
    heard,
    kept,
    reading,
    samples,
    tidy,
)


def test_the_oldest_turns_go_first(tiny: Salmonn) -> None:
    counts = []
    talk = Conversation(tiny, PROMPT, turns_kept=2)
    for _ in range(4):
        talk.open(since=talk.heard)
        heard(talk, samples(BLOCK))
        talk.pause()
        talk.ask()
        talk.close(said=0)
        counts.append(len({turn for turn, _ in kept(talk)}))
        tidy(talk)
        assert talk._reading.context.cache.length == len(reading(talk))
    assert counts == [1, 2, 2, 2]
    check_cache(talk, tiny)


def test_a_cache_is_filled_anew_in_the_same_pieces_whenever_there_is_time(
    tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_of, "TIDY_POSITIONS", 5)
    begin = len(tiny.prompt.turn(tiny.llm, PROMPT)[0])
    answers = []
    for pieces in (0, 1, 99):
        talk = Conversation(tiny, PROMPT, turns_kept=1)
        for turn in range(3):
            talk.open(since=talk.heard)
            heard(talk, samples(BLOCK, turn))
            talk.pause()
            last = answer(talk)
            talk.close(said=2)
            held = talk._reading.context.cache.length
            for _ in range(pieces):
                before = talk._reading.context.cache.length
                more = talk.tidy()
                assert talk._reading.context.cache.length - before <= 5
                if not more:
                    break
            if turn > 0 and pieces == 0:  # all turns begin with the same words
                assert held == talk._reading.context.cache.length == begin
        answers.append(last)
    assert len(set(answers)) == 1
    assert answers[0]


def test_room_is_made_for_a_turn_that_would_not_fit(
    tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Conversation(tiny, PROMPT, turns_kept=8)
    for _ in range(3):
        talk.open(since=talk.heard)
        heard(talk, samples(BLOCK))
        talk.pause()
        talk.ask()
        talk.close(said=0)
    held = talk._reading.context.cache.length
    monkeypatch.setattr(type(tiny.llm), "context", held + 5)
    talk.open(since=talk.heard)
    heard(talk, samples(BLOCK))
    assert talk._reading.context.cache.length < held + 5


def test_a_reply_leaves_room_for_its_end(tiny: Salmonn, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(tiny, PROMPT, turns_kept=1)
    talk.open(since=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()
    end = 1 + len(tiny.llm.ids("\n"))
    monkeypatch.setattr(type(tiny.llm), "context", talk._reading.context.cache.length + 2 + end)
    assert "".join(t for t in iter(talk.token, None) if isinstance(t, str))
    assert talk.cut_short()
    reply = talk._reply()
    assert isinstance(reply, Reply)
    assert len(reply.said) == 2
    talk.close()


def test_a_turn_whose_end_does_not_fit_is_not_kept(
    tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Conversation(tiny, PROMPT, turns_kept=1)
    talk.open(since=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()
    monkeypatch.setattr(
        type(tiny.llm), "context", talk._reading.context.cache.length + len(tiny.llm.ids("\n"))
    )
    assert talk.token() is None
    talk.close()
    assert kept(talk) == []
    assert talk._reading.context.cache.length == 0


def test_more_than_the_context_holds_is_refused(
    tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(tiny.llm), "context", 5)
    with pytest.raises(ContextFullError):
        Conversation(tiny, PROMPT).open(since=0)
