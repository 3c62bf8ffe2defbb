"""Calls of functions in a conversation: made within their schema, remembered, answered."""

import json

import pytest

from assistant.conversation import Conversation
from assistant.errors import ToolError
from assistant.model import Salmonn, load
from assistant.parts import build
from assistant.parts.tiny import toy_llm
from assistant.reply import Reply
from assistant.tools.tool import Tool, ToolCall, ToolChoice
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.prompt.test_words import tokenizer, words_config
from tests.assistant.test_conversation import check_cache, heard, samples
from tests.assistant.test_written import question, shown, user

CALLS = (
    "{% if tools %}<s>tools:{% for t in tools %}{{ t.function.name }} {% endfor %}</s>\n{% endif %}"
    "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{% if not loop.first or m.content %}{{ '\\n' }}{% endif %}"
    '<call>{"name": "{{ c.function.name }}", "arguments": '
    "{{ c.function.arguments | tojson }}}</call>"
    "{% endfor %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
LIGHT = Tool(
    "light", "", {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
)
REQUIRED = ToolChoice("required")


@pytest.fixture(scope="module")
def model() -> Salmonn:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "toy_llm", lambda seed: (toy_llm(seed)[0], tokenizer(CALLS)))
        return load(words_config())


def conversation(model: Salmonn) -> Conversation:
    talk = Conversation(model, "Hi.", turns_kept=4)
    talk.configure(tools=(LIGHT,), max_new_tokens=120)
    return talk


def asked(talk: Conversation, text: str | None, choice: ToolChoice | None) -> list[str | ToolCall]:
    """Ask; the reply, which is not closed."""
    if text is not None:
        talk.write(text, "user", text)
    talk.open(since=talk.heard, typed=True)
    talk.pause()
    talk.require(tool_choice=choice)
    talk.ask()
    reply: list[str | ToolCall] = []
    while (piece := talk.token()) is not None:
        reply += [piece] if piece else []
    return reply


def calls(reply: list[str | ToolCall]) -> list[ToolCall]:
    return [piece for piece in reply if isinstance(piece, ToolCall)]


SYSTEM = "<s>tools:light </s>\n<s>system:Hi.</s>"


def test_a_call_that_has_to_be_made_fits_its_schema_and_is_remembered(model: Salmonn) -> None:
    talk = conversation(model)
    reply = asked(talk, "Light!", REQUIRED)
    made = calls(reply)
    assert made
    assert made == reply, "nothing is said beside it"
    assert [call.id for call in made] == [f"call_0_{n}" for n in range(len(made))]
    assert all(isinstance(json.loads(call.arguments)["on"], bool) for call in made)
    assert talk.callable() == ("light",)
    talk.close()
    written = "\n".join(
        f'<call>{{"name": "light", "arguments": {call.arguments}}}</call>' for call in made
    )
    assert shown(talk) == SYSTEM + question("Light!") + f"\n<s>assistant:{written}</s>"
    check_cache(talk, model)


def test_what_came_of_a_call_is_answered_and_nothing_that_was_heard_stands_between(
    model: Salmonn,
) -> None:
    talk = conversation(model)
    made = calls(asked(talk, "Light!", REQUIRED))
    talk.close()
    heard(talk, samples(BLOCK))
    assert not talk.is_asked
    for n, call in enumerate(made):
        talk.note_result(f"out{n}", call.id, f"done {n}")
    assert talk.is_asked
    before = shown(talk)
    outputs = "".join(f"\n<s>tool:done {n}</s>" for n in range(len(made)))
    assert before.endswith("</s>" + outputs)
    asked(talk, None, ToolChoice("none"))
    assert shown(talk) == before + "\n<s>assistant:"
    talk.close(said=0)
    assert not talk.is_asked
    check_cache(talk, model)


def test_a_result_and_a_text_are_answered_together(model: Salmonn) -> None:
    talk = conversation(model)
    talk.note_call("c", ToolCall("c", "light", '{"on": true}'))
    talk.note_result("out", "c", "done")
    asked(talk, "And?", ToolChoice("none"))
    told = '<call>{"name": "light", "arguments": {"on": true}}</call></s>'
    whole = SYSTEM + "\n<s>assistant:" + told + "\n<s>tool:done</s>" + question("And?")
    assert shown(talk) == whole + "\n<s>assistant:"


@pytest.mark.parametrize("choice", [None, ToolChoice("none")])
def test_no_call_is_made_that_nobody_asked_for(model: Salmonn, choice: ToolChoice | None) -> None:
    talk = conversation(model)
    assert not calls(asked(talk, "Hello.", choice))  # the toy talks nonsense


def test_a_call_that_is_cut_off_was_never_made(model: Salmonn) -> None:
    talk = conversation(model)
    reply = asked(talk, "Light!", REQUIRED)
    assert calls(reply)
    written = talk._reply()
    assert isinstance(written, Reply)
    first = next(n for n, (_, call) in enumerate(written._steps) if call is not None)
    talk.close(said=first)
    assert "<call>" not in shown(talk)
    assert shown(talk).endswith("\n<s>assistant:*</s>")
    check_cache(talk, model)


def test_a_limit_in_the_middle_of_a_call_ends_the_reply_and_nothing_is_called(
    model: Salmonn,
) -> None:
    talk = conversation(model)
    talk.configure(max_new_tokens=5)
    assert asked(talk, "Light!", REQUIRED) == []
    assert talk.cut_short()


def test_a_call_that_is_forgotten_leaves_the_context(model: Salmonn) -> None:
    talk = conversation(model)
    made = calls(asked(talk, "Light!", REQUIRED))
    talk.forget(made[0].id)  # under its reply
    talk.close()
    for call in made[1:]:
        talk.forget(call.id)
    assert shown(talk) == SYSTEM + question("Light!")
    assert "<call>" not in shown(talk)
    check_cache(talk, model)


def test_functions_of_one_answer_stand_before_it_alone(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "Hello.")
    talk.open(since=0, typed=True)
    talk.pause()
    talk.require(tools=(Tool("lamp", "", {"type": "object", "properties": {}}),))
    talk.ask()
    assert talk.callable() == ("lamp",)
    talk.close(said=0)
    assert shown(talk).startswith(SYSTEM)
    check_cache(talk, model)


def test_oldest_calls_go_with_their_results(model: Salmonn) -> None:
    talk = conversation(model)
    for n in range(6):
        talk.write(f"q{n}", "user", f"q{n}")
        talk.note_call(f"c{n}", ToolCall(f"c{n}", "light", "{}"))
        talk.note_result(f"r{n}", f"c{n}", f"r{n}")
        talk.write(f"a{n}", "assistant", f"a{n}")
    asked(talk, "Now?", ToolChoice("none"))
    assert "r1" not in shown(talk)
    assert shown(talk).startswith(SYSTEM + user("q2") + "\n<s>assistant:<call>")


def test_an_llm_that_knows_no_calls_refuses_functions(tiny: Salmonn) -> None:
    talk = Conversation(tiny, "Hi.")
    with pytest.raises(ToolError, match=r"^tools: this preset's LLM calls no functions"):
        talk.configure(tools=(LIGHT,))
    talk.configure(tools=())
    with pytest.raises(ToolError, match=r"^tool_choice: a tool is required"):
        talk.configure(tool_choice=REQUIRED)
