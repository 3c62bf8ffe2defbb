"""When the LLM reads of functions of our own: only where a router calls for them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from assistant import own_tools
from assistant.calling import OWN_TOGETHER
from assistant.conversation import Conversation
from assistant.ear.hearing import Window
from assistant.history import positions
from assistant.llm.llm import LlmCache
from assistant.llm.router import Router
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.own_tools import OwnTools
from assistant.prompt.items import System
from assistant.reading import Reading
from assistant.reply import Reply
from assistant.toolbox.prompt import TELL
from assistant.tools.tool import Tool, ToolCall, ToolChoice
from tests.assistant.prompt.test_drafts import prefilled
from tests.assistant.test_calls import LIGHT, REQUIRED, asked, calls, model
from tests.assistant.test_conversation import check_cache
from tests.assistant.test_written import shown

__all__ = ["model"]  # a fixture

YES, NO = 1.0, -1.0
"""Log odds of a router for whatever is said."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's context has no room for examples."""
    monkeypatch.setattr(own_tools, "shown", lambda *_: [])


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[tuple[System, LlmCache]]:
    """What is read apart."""
    found: list[tuple[System, LlmCache]] = []
    read = Reading.apart

    def noted(reading: Reading, turn: OpenTurn, system: System) -> LlmCache:
        found.append((system, read(reading, turn, system)))
        return found[-1][1]

    monkeypatch.setattr(Reading, "apart", noted)
    return found


def conversation(model: Salmonn, odds: float, *more: Tool) -> Conversation:
    routed = replace(model, router=Router(torch.zeros(model.llm.width), odds))
    tools = OwnTools(["get_time"], more, [], model.calls)
    tools.start("2026-11-29T07:00:00", 0)
    talk = Conversation(routed, "Hi.", turns_kept=4, own=tools)
    talk.configure(max_new_tokens=120)
    return talk


def without(model: Salmonn) -> Conversation:
    """The same without functions."""
    talk = Conversation(model, "Hi.", turns_kept=4)
    talk.configure(max_new_tokens=120)
    return talk


Read = list[tuple[System, LlmCache]]


def test_where_none_is_called_for_it_is_as_if_there_were_none(model: Salmonn, apart: Read) -> None:
    talk, plain = conversation(model, NO), without(model)
    assert asked(talk, "Now?", None) == asked(plain, "Now?", None)
    assert talk.callable() == ("get_time",), "clients are told what could be"
    assert shown(talk) == shown(plain)
    talk.close()
    check_cache(talk, model)
    assert not apart


def test_where_the_llm_calls_none_either_its_other_reply_counts(
    model: Salmonn, apart: Read
) -> None:
    talk = conversation(model, YES)
    assert asked(talk, "Now?", None) == asked(without(model), "Now?", None)
    ((system, _),) = apart
    assert [tool.name for tool in system.tools] == ["get_time"]


@pytest.mark.parametrize("odds", [YES, NO])
def test_a_call_that_has_to_be_made_is_made(model: Salmonn, apart: Read, odds: float) -> None:
    talk = conversation(model, odds)
    (call, *_) = calls(asked(talk, "Now?", REQUIRED))
    assert call.name == "get_time"
    assert len(apart) == 1
    output, say = talk.run(call)
    talk.go_on([(call.id, output)], say)
    assert "".join(str(piece) for piece in iter(talk.token, None)) == "It is 7:00 am."
    talk.close()
    assert "<call>" in shown(talk)
    check_cache(talk, model)


def test_several_of_ours_may_be_called_in_one_reply(model: Salmonn) -> None:
    talk = conversation(model, YES)
    grammar = talk._calling._grammar(talk._calling.tools, REQUIRED)
    assert grammar is not None
    writing, form = grammar.start(), grammar.vocabulary.form
    for again in ["", *[form.again] * (OWN_TOGETHER - 1)]:
        assert not writing.over
        writing.push(grammar.vocabulary.ids(again + form.written("get_time", "{}")))
    assert writing.calls == [("get_time", "{}")] * OWN_TOGETHER
    assert writing.over


def test_what_a_tool_can_make_nothing_of_is_answered_without_it(model: Salmonn) -> None:
    talk, plain = conversation(model, YES), without(model)
    (call, *_) = calls(asked(talk, "Now?", REQUIRED))
    talk.go_on([(call.id, '{"error": "?", "unclear": true}')], None)
    reply = [piece for piece in iter(talk.token, None) if piece]
    assert reply == asked(plain, "Now?", None)
    talk.close()
    assert "<call>" in shown(talk)
    assert TELL not in shown(talk), "nobody was asked to tell it"
    check_cache(talk, model)


def test_no_more_than_the_last_turn_is_read_apart(model: Salmonn, apart: Read) -> None:
    talk = conversation(model, NO)
    for text in ("A?", "B?"):
        asked(talk, text, ToolChoice("none"))
        talk.close()
    asked(talk, "C?", REQUIRED)
    ((system, _),) = apart
    _, *items = talk._history.items
    pieces = talk._reading.render.render(
        [system, *items[2:], talk._open_turn().whole], answered=True
    )
    reply = talk._open_turn().reply
    assert isinstance(reply, Reply)
    assert len(items) == 4, "two turns"
    assert reply._start.length == positions(pieces)


def test_a_users_functions_are_always_read_of_and_ours_cannot_be_called_beside_them(
    model: Salmonn, apart: Read
) -> None:
    talk, plain = conversation(model, NO, LIGHT), without(model)
    assert asked(talk, "Now?", None) == asked(plain, "Now?", None)
    ((system, _),) = apart
    assert [tool.name for tool in system.tools] == ["get_time", "light"]
    turn = talk._open_turn()
    assert talk._calling.needed(turn, talk._reading.context.cache) == (LIGHT,)
    assert len(talk._calling.tools) == 2


def test_what_a_users_function_gave_is_read_beside_the_functions(
    model: Salmonn, apart: Read
) -> None:
    talk = conversation(model, YES, LIGHT)
    (call, *_) = calls(asked(talk, "Light!", ToolChoice("named", "light")))
    talk.go_on([(call.id, "42")], None)
    assert len(apart) == 2
    pieces = talk._reading.render.render(
        [apart[1][0], talk._open_turn().whole, *talk._open_turn().done], answered=True
    )
    reply = talk._open_turn().reply
    assert isinstance(reply, Reply)
    assert reply._start.length == positions(pieces)
    while talk.token() is not None:
        pass
    talk.close()
    check_cache(talk, model)


def test_it_is_not_asked_about_a_clients_functions(model: Salmonn, apart: Read) -> None:
    talk = conversation(model, YES)
    talk.configure(tools=(LIGHT,))
    asked(talk, "Now?", None)
    assert shown(talk).startswith("<s>tools:light </s>")
    assert not apart


def test_none_is_called_where_the_choice_is_none(model: Salmonn, apart: Read) -> None:
    assert not calls(asked(conversation(model, YES), "Now?", ToolChoice("none")))
    assert not apart


# --- read ahead


class Words:
    """What was said so far, as it is read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.so_far = ""
        patch.setattr(OpenTurn, "note", lambda turn, hearing, *, read: self._note(turn))

    def _note(self, turn: OpenTurn) -> list[Window]:
        turn.item = replace(turn.item, transcript=self.so_far)
        return []


def reply(talk: Conversation) -> list[str | ToolCall]:
    made: list[str | ToolCall] = []
    while (piece := talk.token()) is not None:
        made += [piece] if piece else []
    return made


def told(talk: Conversation, words: Words, said: str) -> list[str | ToolCall]:
    """What a turn that ends with these words is answered, with what calls give."""
    words.so_far = said
    talk.pause()
    talk.ask()
    made = reply(talk)
    results = [(call.id, *talk.run(call)) for call in calls(made)[:1]]
    if results:
        ((call, output, say),) = results
        talk.go_on([(call, output)], say)
        made += reply(talk)
    return made


phrases = st.text("abc ", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(phrases, st.integers(-1, 4)), max_size=6),
    phrases,
    st.sampled_from(["auto", "required"]),
    st.integers(0, 3),
)
def test_what_was_read_ahead_changes_nothing(
    model: Salmonn, ahead: list[tuple[str, int]], said: str, mode: str, seed: int
) -> None:
    """Words come, change and are taken back; pauses turn out to be none, some with a reply that was
    begun."""
    weight = torch.randn(model.llm.width, generator=torch.Generator().manual_seed(seed))
    routed = replace(model, router=Router(weight, 0.0))
    talks = []
    with pytest.MonkeyPatch.context() as patch:
        words = Words(patch)
        for read in (ahead, []):
            tools = OwnTools(["get_time"], [], [], model.calls)
            tools.start("2026-11-29T07:00:00", 0)
            talk = Conversation(routed, "Hi.", turns_kept=4, own=tools)
            talk.configure(max_new_tokens=60, tool_choice=ToolChoice(mode))  # type: ignore[arg-type]
            talk.open(since=0, spoken_from=0)
            for words.so_far, tokens in read:
                if tokens < 0:
                    talk.draft()
                    talk.prefill()
                    continue
                talk.pause()
                if tokens % 2:
                    talk.prefill()
                if tokens:
                    talk.ask()
                for _ in range(tokens):
                    talk.token()
                talk.resume()
            talks.append((talk, told(talk, words, said)))
    (one, made), (other, wanted) = talks
    event("calls" if calls(wanted) else "talks")
    assert made == wanted
    assert shown(one) == shown(other)
    for talk in (one, other):
        talk.close()
    check_cache(one, model)


def test_at_the_pause_no_more_is_read_than_what_is_new(model: Salmonn) -> None:
    talk = conversation(model, YES)
    talk.configure(tool_choice=REQUIRED)
    talk.open(since=0, spoken_from=0)
    with pytest.MonkeyPatch.context() as patch:
        words = Words(patch)
        words.so_far = "a timer for"
        talk.draft()
        talk.prefill()
        turn = talk._open_turn()
        assert turn.apart is not None, "a call is expected already"
        caches = talk._reading.context.cache, turn.apart.cache
        lengths = [cache.length for cache in caches]
        passes = prefilled(patch)
        words.so_far = "a timer for ten"
        talk.pause()
        talk.prefill()
        talk.ask()
    assert [cache.length - before for cache, before in zip(caches, lengths, strict=True)] == [4, 4]
    end = len(talk._reading.render._after("Hi.", True))
    assert passes == [4 + end, 4 + end]


def test_a_draft_that_calls_for_nothing_is_not_read_apart(model: Salmonn, apart: Read) -> None:
    talk = conversation(model, NO)
    talk.open(since=0, spoken_from=0)
    with pytest.MonkeyPatch.context() as patch:
        Words(patch).so_far = "hello"
        talk.draft()
        talk.prefill()
    assert not apart
    assert talk._open_turn().apart is None
