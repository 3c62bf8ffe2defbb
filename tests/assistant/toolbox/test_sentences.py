"""What is said of each call."""

import json
from datetime import datetime
from typing import Any

import pytest

from assistant.ear.noticing import Sound
from assistant.toolbox.lists import Memory
from assistant.toolbox.own import Moment
from assistant.toolbox.sentences import joined, sentence
from assistant.toolbox.toolbox import Toolbox
from assistant.tools.tool import ToolCall

SECOND = 16_000
HEARD = [Sound(0, SECOND, "rain", 0.9), Sound(2 * SECOND, 3 * SECOND, "rain", 0.9)]

TALK: list[tuple[str, dict[str, Any], str]] = [
    ("set_timer", {"duration": "ten minutes"}, "Your timer is set for 10 minutes."),
    ("set_timer", {"duration": "an hour", "name": "cake"}, "Your cake timer is set for 1 hour."),
    ("set_alarm", {"time": "half past three"}, "Your alarm is set for 3:30 pm, in 1 hour."),
    (
        "check_timers",
        {"name": "cake"},
        "The cake timer has 1 hour left.",
    ),
    ("stop_timer", {"name": "cake"}, "I stopped the cake timer."),
    ("stop_timer", {"name": "timers"}, "I stopped the timer for 10 minutes."),
    ("get_time", {}, "It is 2:30 pm."),
    ("get_date", {}, "Today is Saturday, 28 November 2026."),
    ("get_date", {"day": "tomorrow"}, "Tomorrow is Sunday, 29 November 2026."),
    ("get_date", {"day": "24 december"}, "That is Thursday, 24 December 2026."),
    ("calculate", {"expression": "fifteen percent of eighty"}, "That is 12."),
    ("calculate", {"expression": "one divided by three"}, "That is about 0.3333333333."),
    (
        "convert_units",
        {"amount": "two", "from_unit": "metres", "to_unit": "centimetres"},
        "That is 200 centimetres.",
    ),
    ("add_to_list", {"list": "shopping", "items": ["milk", "eggs"]},
     "I put milk and eggs on the shopping list."),
    ("add_to_list", {"list": "notes", "items": ["call Ann"]}, "I noted: call Ann."),
    ("read_list", {"list": "shopping"}, "On the shopping list: milk and eggs."),
    ("remove_from_list", {"list": "shopping", "items": ["milk"]},
     "I took milk off the shopping list."),
    ("sounds_heard", {}, "I heard rain, 2 times, the last time 1 second ago."),
    ("sounds_heard", {"sound": "dog"}, "I have not heard that."),
    ("watch", {"sound": "dog", "times": 2, "within": "one hour"},
     "I will tell you when I hear dog barking, 2 times within 1 hour."),
    ("watch", {"sound": "rain", "always": True}, "I will tell you each time I hear rain."),
    ("watch", {"sound": "kettle"}, "I cannot tell the sound 'kettle' from others."),
    ("stop_watching", {"sound": "rain"}, "I no longer listen for rain."),
]  # fmt: skip


def test_each_call_of_a_talk_is_told_in_a_sentence() -> None:
    toolbox = Toolbox(datetime(2026, 11, 28, 14, 30), Memory(), ["dog barking", "rain"])
    moment = Moment(4 * SECOND, HEARD)
    start = Moment(0, HEARD)
    for name, arguments, told in TALK:
        when = moment if name == "sounds_heard" else start
        output = toolbox.call(ToolCall("c", name, json.dumps(arguments)), when)
        assert sentence(name, output) == told
    assert {name for name, *_ in TALK} == {tool.name for tool in toolbox.tools}


@pytest.mark.parametrize(("words", "told"), [(["a"], "a"), (["a", "b", "c"], "a, b and c")])
def test_words_are_joined(words: list[str], told: str) -> None:
    assert joined(words) == told


def test_of_other_functions_nothing_is_said() -> None:
    assert sentence("open_door", "{}") is None
    assert sentence("open_door", "[]") is None
