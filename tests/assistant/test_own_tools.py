"""Functions of our own: what a session's clock does to them, and how a reply goes on after one."""

import json

import pytest

from assistant import own_tools
from assistant.conversation import Conversation
from assistant.ear.noticing import Sound
from assistant.errors import ToolError
from assistant.model import Salmonn
from assistant.own_tools import FAILED, Notice, OwnTools, names
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.prompt import TELL
from assistant.toolbox.prompt import shown as shown_of
from assistant.tools.form import HERMES
from assistant.tools.tool import Tool, ToolCall, ToolChoice
from tests.assistant.test_calls import LIGHT, calls, model
from tests.assistant.test_conversation import check_cache
from tests.assistant.test_written import question, shown

__all__ = ["model"]

MINUTE = 60 * SAMPLE_RATE


def own(*offered: str) -> OwnTools:
    return OwnTools(offered or names(), (), ["dog barking", "rain"], HERMES)


def said(tools: OwnTools, heard: int, tool: str, /, **arguments: object) -> str | None:
    return tools.run(ToolCall("c", tool, json.dumps(arguments)), heard).say


def test_a_timer_rings_once_and_says_its_name() -> None:
    tools = own()
    told = said(tools, 0, "set_timer", duration="one minute", name="my pasta_timer")
    assert told == "Your pasta timer is set for 1 minute."
    assert tools.notices(MINUTE - 1) == []
    assert tools.notices(MINUTE) == [Notice("timer", "pasta", "Your pasta timer is up: 1 minute.")]
    assert tools.notices(2 * MINUTE) == []


def test_time_without_audio_counts_and_the_clock_never_goes_back() -> None:
    tools = own()
    tools.start("2026-11-29T07:00:00", 0)
    said(tools, 0, "set_timer", duration="ten minutes")
    tools.start("2026-11-29T07:09:00", MINUTE)  # eight minutes were skipped
    assert said(tools, MINUTE, "get_time") == "It is 7:09 am."
    tools.start("2026-11-29T06:00:00", MINUTE)
    assert said(tools, MINUTE, "get_time") == "It is 7:09 am."
    assert tools.notices(2 * MINUTE - 1) == []
    assert len(tools.notices(2 * MINUTE)) == 1


def test_the_time_is_not_known_before_it_was_told() -> None:
    assert said(own(), 0, "get_time") == "I have not been told what time it is."
    assert said(own(), 0, "set_alarm", time="7 am") == "I have not been told what time it is."


def test_a_watch_tells_what_came_true_once() -> None:
    tools = own()
    told = said(tools, 0, "watch", sound="dog", lasting="forever", within="now")
    assert told == "I will tell you when I hear dog barking."
    bark = Sound(MINUTE, MINUTE + 16_000, "dog barking", 0.9)
    tools.hear([Sound(0, 16_000, "rain", 0.9)])
    assert tools.notices(MINUTE) == []
    tools.hear([Sound(0, 16_000, "rain", 0.9), bark])
    (notice,) = tools.notices(MINUTE)
    assert (notice.kind, notice.name) == ("watch", "dog barking")
    tools.hear([bark])
    assert tools.notices(2 * MINUTE) == []
    heard = said(tools, 2 * MINUTE, "sounds_heard")
    assert heard is not None
    assert "rain, once" in heard, "what the ear has forgotten is in the log"
    assert (
        said(tools, 0, "watch", sound="kettle") == "I cannot tell the sound 'kettle' from others."
    )


def test_an_error_of_the_program_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = own()
    monkeypatch.setattr(tools, "_toolbox", None)
    assert said(tools, 0, "get_time") == FAILED


def test_only_what_is_wanted_is_offered_and_shown() -> None:
    tools = own("get_time", "calculate")
    assert [tool.name for tool in tools.tools] == ["get_time", "calculate"]
    assert tools.offer is not None
    examples = " ".join(text for _, text in shown_of(HERMES, ["calculate"]))
    assert "calculate" in examples
    assert "set_timer" not in examples
    assert OwnTools(names(), (), [], None).tools == ()


def test_nothing_is_refused_that_a_users_tool_may_be_for() -> None:
    """A tool for the weather was not called, since an example said that nobody knows it."""
    weather = Tool("get_weather", "", LIGHT.parameters)
    heating = Tool("set_warmth", "Set the heating of a room.", LIGHT.parameters)
    told = [text for _, text in shown_of(HERMES, ["get_time"], [weather, heating])]
    assert "I can't know the weather." not in told
    assert "I can't reach the heating." not in told
    assert "I can't play music." in told
    assert len(shown_of(HERMES)) - len(shown_of(HERMES, None, [weather, heating])) == 4


def test_what_cannot_be_offered_is_named() -> None:
    with pytest.raises(ToolError, match=r"^own\[1\]: 'get_tyme': there are set_timer, "):
        own("get_time", "get_tyme")
    with pytest.raises(ToolError, match=r"^functions: get_time: "):
        OwnTools(["get_time"], [Tool("get_time", "", LIGHT.parameters)], [], HERMES)


# --- in a conversation


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's context has no room for examples."""
    monkeypatch.setattr(own_tools, "shown", lambda *_: [])


def conversation(model: Salmonn) -> Conversation:
    tools = OwnTools(["get_time"], (), [], model.calls)
    tools.start("2026-11-29T07:00:00", 0)
    talk = Conversation(model, "Hi.", turns_kept=4, own=tools)
    talk.configure(max_new_tokens=120)
    return talk


@pytest.mark.parametrize(
    ("offered", "users", "declared", "ours"),
    [
        (["get_time", "add_to_list"], (), None, True),
        (["get_time"], (Tool("play_music", "", LIGHT.parameters),), None, False),
        (["get_time"], (), (LIGHT,), False),
        ([], (), None, True),
    ],
)
def test_what_else_may_be_called_is_told_from_our_own(
    model: Salmonn,
    offered: list[str],
    users: tuple[Tool, ...],
    declared: tuple[Tool, ...] | None,
    *,
    ours: bool,
) -> None:
    tools = OwnTools(offered, users, [], model.calls)
    tools.start("2026-11-29T07:00:00", 0)
    talk = Conversation(model, "Hi.", turns_kept=4, own=tools)
    talk.configure(tools=declared)
    talk.open(since=0)
    assert talk.only_ours() == ours


def called(talk: Conversation) -> ToolCall:
    """Ask, and call the function."""
    talk.write("a", "user", "Now?")
    talk.open(since=talk.heard, typed=True)
    talk.pause()
    talk.require(tool_choice=ToolChoice("required"))
    talk.ask()
    reply: list[str | ToolCall] = []
    while (piece := talk.token()) is not None:
        reply.append(piece)
    return calls(reply)[0]


def rest(talk: Conversation) -> str:
    return "".join(str(piece) for piece in iter(talk.token, None))


def test_a_reply_goes_on_with_what_came_of_its_call(model: Salmonn) -> None:
    talk = conversation(model)
    system = shown(talk)
    call = called(talk)
    assert talk.whose(call.name) == "session"
    output, say = talk.run(call)
    assert (json.loads(output), say) == ({"time": "7:00 am"}, "It is 7:00 am.")
    talk.go_on([(call.id, output)], say)
    assert rest(talk) == "It is 7:00 am."
    talk.close()
    written = '<call>{"name": "get_time", "arguments": {}}</call>'
    told = f"\n<s>tool:{output}</s>\n<s>assistant:*</s>"
    assert shown(talk) == system + question("Now?") + f"\n<s>assistant:{written}</s>" + told
    check_cache(talk, model)
    talk.forget(call.id)
    assert "get_time" not in shown(talk).removeprefix(system), "with what came of it"
    check_cache(talk, model)


def test_where_nothing_is_to_be_said_the_llm_reads_it(model: Salmonn) -> None:
    talk = conversation(model)
    call = called(talk)
    talk.go_on([(call.id, "42")], None)
    assert talk._reading.context.cache.length
    rest(talk)
    talk.close(said=1)
    assert f"<s>tool:42{TELL}</s>" in shown(talk), (
        "it was called, though nothing of the rest was heard"
    )
    check_cache(talk, model)


def test_a_clients_functions_stand_alone(model: Salmonn) -> None:
    talk = conversation(model)
    system = shown(talk)
    talk.configure(tools=(LIGHT,))
    while talk.tidy():
        pass
    assert shown(talk).startswith("<s>tools:light </s>")
    assert talk._calling.offer is None
    talk.configure(tools=())
    while talk.tidy():
        pass
    assert shown(talk) == system


def test_what_is_announced_answers_nothing_that_waits(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "Well?")
    talk.announce("Ring!")
    assert (talk.answers(), talk.callable(), talk.text_tokens()) == ((), (), 0)
    assert rest(talk) == "Ring!"
    talk.close()
    assert talk.is_asked
    assert "<s>assistant:*</s>\n<s>user:Well?</s>" in shown(talk)
    check_cache(talk, model)


def test_sessions_share_what_stands_before_all_turns(model: Salmonn) -> None:
    one, other = conversation(model), conversation(model)
    assert one._reading.context._ready is not None
    assert other._reading.context._ready is not None
    assert one._reading.context._ready[1] is other._reading.context._ready[1]
    assert one._reading.context.cache is not other._reading.context.cache
