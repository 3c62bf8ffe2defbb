"""Commands for somebody with tools: their rules, and that no text that teaches has them."""

from collections import Counter
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from assistant.files.presets import load_preset, shipped_config
from assistant.toolbox.lists import Memory
from assistant.toolbox.prompt import EXAMPLES, called, shown, written
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.form import HERMES
from lab.classes import sound_classes
from lab.corpora.questions import all_asked
from lab.evaluation.commands import NONE, Command, commands
from lab.evaluation.everyday import talks
from lab.evaluation.tools import Answered, figures, offered, ours
from lab.score import plain

CHOSEN, REPORTED = commands()
SCHEMAS = {
    tool.name: tool.parameters
    for tool in Toolbox(datetime(2026, 11, 28), Memory(), [*sound_classes().classes]).tools
}


def words(text: str) -> frozenset[str]:
    return frozenset(plain(text).split())


def test_there_are_enough_of_every_kind() -> None:
    for half in (CHOSEN, REPORTED):
        counts = Counter(command.section for command in half)
        assert counts[NONE] == 20
        assert sum(counts.values()) - counts[NONE] >= 60
        assert min(counts.values()) >= 3
    assert {command.section for command in CHOSEN} == {command.section for command in REPORTED}
    assert len(offered()) == 12


@pytest.mark.parametrize("command", [*CHOSEN, *REPORTED], ids=lambda command: command.say)
def test_every_expected_call_fits_its_tool_and_is_right_itself(command: Command) -> None:
    assert bool(command.right[0]) == (command.section != NONE)
    for calls in command.right:
        for name, arguments in calls:
            jsonschema.validate(arguments, SCHEMAS[name])
        assert command.is_right(calls)
        assert command.has_right_tools(calls)
    if command.section != NONE:
        assert {name for name, _ in command.right[0]} == {command.section}


def test_nothing_that_is_reported_is_shown_or_taught() -> None:
    """Nearly the same words count as the same, too."""
    prompt = load_preset(shipped_config(), "small")[1].prompt
    taught = [words(said) for said, _ in EXAMPLES]
    taught += [words(example.user) for example in prompt.examples]
    taught += [words(command.say) for command in CHOSEN]
    for command in REPORTED:
        for other in taught:
            both = words(command.say)
            assert len(both & other) / len(both | other) < 0.8, (command.say, sorted(other))


def test_no_command_is_one_that_training_asks() -> None:
    trained = {plain(asked.text) for asked in all_asked()}
    trained |= {plain(" ".join(turn.ask)) for talk in talks() for turn in talk.turns}
    said = [plain(command.say) for command in (*CHOSEN, *REPORTED)]
    assert {*said} & trained == set()
    assert len({*said}) == len(said)


def test_examples_show_every_tool_in_calls_that_fit() -> None:
    made = [call for _, answer in EXAMPLES for call in called(answer)]
    names = {name for name, _ in made}
    assert {tool.name for tool in offered()} <= names <= {tool.name for tool in ours()}
    for name, arguments in made:
        jsonschema.validate(arguments, SCHEMAS[name])
    messages = shown(HERMES)
    assert [role for role, _ in messages] == ["user", "assistant"] * len(EXAMPLES)
    assert messages[0][1] == "(Sounds heard: none.)\nSet a timer for eight minutes."
    call = '{"name": "set_timer", "arguments": {"duration": "eight minutes"}}'
    assert messages[1][1] == f"<tool_call>\n{call}\n</tool_call>"
    assert messages[1][1] == written(HERMES, "set_timer", {"duration": "eight minutes"})


def command(say: str, *calls: tuple[str, dict[str, Any]]) -> Command:
    return Command("x", say, (calls,))


@pytest.mark.parametrize(
    ("wanted", "given", "is_right"),
    [
        ({"duration": "30 minutes"}, {"duration": "half an hour"}, True),
        ({"duration": "30 minutes"}, {"duration": "half an hour", "name": "my timer"}, True),
        ({"duration": "30 minutes"}, {"duration": "half an hour", "name": "tea"}, True),
        ({"duration": "30 minutes"}, {"duration": "half an hour", "name": "soup"}, False),
        ({"duration": "30 minutes"}, {"duration": "soon"}, False),
        ({"duration": "30 minutes", "name": "tea"}, {"duration": "30m"}, False),
        ({"time": "7 pm"}, {"time": "19:00"}, True),
        ({"time": "7 pm"}, {"time": "7 am"}, False),
        ({}, {"day": "today"}, True),
        ({"day": "tomorrow"}, {"day": "2026-11-29"}, True),
        ({"expression": "17 * 23"}, {"expression": "seventeen times twenty three"}, True),
        ({"expression": "17 * 23"}, {"expression": "17 + 23"}, False),
        ({"expression": "17 * 23"}, {"expression": "what?"}, False),
        ({"amount": "26", "from_unit": "miles"}, {"amount": "twenty six", "from_unit": "mi"}, True),
        ({"amount": "26", "from_unit": "miles"}, {"amount": "26", "from_unit": "km"}, False),
        ({"list": "shopping"}, {"list": "the Shopping list"}, True),
        ({"items": ["milk", "eggs"]}, {"items": ["the eggs", "Milk"]}, True),
        ({"items": ["milk", "eggs"]}, {"items": ["milk and eggs"]}, False),
        ({"sound": "dog barking"}, {"sound": "the dog bark"}, True),
        ({"sound": "dog barking"}, {"sound": "cat"}, False),
        ({"sound": "dog barking"}, {}, False),
        ({}, {"sound": "all"}, True),
    ],
)
def test_arguments_are_compared_by_what_they_mean(
    wanted: dict[str, Any], given: dict[str, Any], is_right: bool
) -> None:
    asked = command("Half an hour for the tea.", ("x", wanted))
    assert asked.is_right([("x", given)]) is is_right


def test_calls_are_all_there_in_any_order_and_no_others() -> None:
    one, two = ("x", {"duration": "1 minute"}), ("x", {"duration": "2 minutes"})
    asked = command("One and two.", one, two)
    assert asked.is_right([two, one])
    assert not asked.is_right([one, one])
    assert not asked.is_right([one])
    assert not asked.is_right([one, two, one])
    assert not command("Hello.").is_right([one])
    assert command("Hello.").is_right([])


def test_figures_are_shares() -> None:
    timer = ("set_timer", {"duration": "1 minute"})
    asked, other = Command("set_timer", "x", ((timer,),)), Command(NONE, "y", ((),))
    wrong = ("set_timer", {"duration": "2 minutes"})
    misfit = ("set_timer", {"time": 3})
    answers = [
        Answered(asked, (timer,), "", True),
        Answered(asked, (wrong,), "", True),
        Answered(asked, (), "", False),
        Answered(asked, (misfit,), "", True),
        Answered(other, (), "Hi.", True),
        Answered(other, (timer,), "", True),
    ]
    found = figures(answers, offered())
    assert (found.right, found.tool, found.quiet, found.valid) == (25.0, 75.0, 50.0, 60.0)
    assert found.by_section == {"set_timer": "1/4", NONE: "1/2"}
