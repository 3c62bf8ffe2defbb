"""What an LLM is told besides the tools themselves: when to call them, and turns that show it."""

import json
from collections.abc import Collection
from typing import Any

from assistant.prompt.chat import Message
from assistant.prompt.words import in_words
from assistant.tools.form import Form
from assistant.tools.tool import Tool

SYSTEM = (
    "You are a voice assistant that talks and listens. Where a tool does what the user says, call "
    "it. Otherwise answer in one or two short spoken sentences."
)
"""The system message; the chat template adds the tools."""

TELL = "\nTell me that in one short sentence."
"""Behind what came of a call that the LLM puts into words; without it, it may deny what was done,
or write JSON, since no example shows what follows a call."""

REFUSES = "I can't "
"""How answers begin that say what there is no tool for."""

Call = tuple[str, dict[str, Any]]
"""A tool's name, and arguments."""

Shown = tuple[str, str | Call | list[Call]]
"""What a user says, and what is answered, or called; several calls are a list."""

EXAMPLES: list[Shown] = [
    ("Set a timer for eight minutes.", ("set_timer", {"duration": "eight minutes"})),
    ("Which animal is the fastest on land?",
     "The cheetah, it runs at a hundred kilometres an hour."),
    ("Please wake me at twenty past six on Sunday morning.",
     ("set_alarm", {"time": "twenty past six on Sunday morning"})),
    ("What's thirty one plus two hundred and sixty?",
     ("calculate", {"expression": "thirty one plus two hundred and sixty"})),
    ("Switch the heating on.", "I can't reach the heating."),
    ("Has the phone rung today?", ("sounds_heard", {"sound": "phone ringing"})),
    ("How much longer does the soup timer run?", ("check_timers", {"name": "soup"})),
    ("I had a lovely walk today.", "That sounds nice, where did you go?"),
    ("That's enough, stop it!", ("stop_timer", {})),
    ("What's one hundred eighty centimetres in inches?",
     ("convert_units",
      {"amount": "one hundred eighty", "from_unit": "centimetres", "to_unit": "inches"})),
    ("Good morning!", "Good morning, how did you sleep?"),
    ("Could you tell me the time?", ("get_time", {})),
    ("Will there be rain this afternoon?", "I can't know the weather."),
    ("How often did it thunder?", ("sounds_heard", {"sound": "thunder"})),
    ("Why is the sky blue?", "Because the air scatters blue light more than red."),
    ("What's the date on Thursday?", ("get_date", {"day": "thursday"})),
    ("Rice and a cucumber for the shopping list, please.",
     ("add_to_list", {"list": "shopping", "items": ["rice", "a cucumber"]})),
    ("How do people say hello in Italian?", "They say ciao."),
    ("Is anything on the wish list?", ("read_list", {"list": "wish"})),
    ("Start the dishwasher.", "I can't reach the dishwasher."),
    ("Drop the oven timer.", ("stop_timer", {"name": "oven"})),
    ("Put some jazz on.", "I can't play music."),
    ("How many grams make an ounce?",
     ("convert_units", {"amount": "one", "from_unit": "ounce", "to_unit": "grams"})),
    ("How long does bread stay fresh?", "Three or four days."),
    ("I'd like a timer called cake for thirty five minutes.",
     ("set_timer", {"duration": "thirty five minutes", "name": "cake"})),
    ("Time twenty minutes for me, and also forty five seconds.",
     [("set_timer", {"duration": "twenty minutes"}),
      ("set_timer", {"duration": "forty five seconds"})]),
    ("I have the stamps, take them off the errands list.",
     ("remove_from_list", {"list": "errands", "items": ["stamps"]})),
    ("You're funny.", "Thank you, I do my best."),
    ("Remember that my locker has the number nineteen.",
     ("add_to_list", {"list": "notes", "items": ["my locker has the number nineteen"]})),
    ("Text Anna that dinner is ready.", "I can't send messages."),
    ("Are there alarms for tomorrow?", ("check_timers", {})),
    ("The alarm has rung long enough.", ("stop_timer", {})),
    ("Let me know when the phone rings.", ("watch", {"sound": "phone ringing"})),
    ("What does gratitude mean?", "It means being thankful."),
    ("Is it four already?", ("get_time", {})),
    ("What did you hear?", ("sounds_heard", {})),
    ("How do plants drink?", "They drink through their roots."),
]  # fmt: skip
"""Turns that show it, before all others: every tool, and what none is for."""


def shown(
    form: Form, offered: Collection[str] | None = None, more: Collection[Tool] = ()
) -> list[Message]:
    """The examples as messages, for an LLM that reads words.

    Args:
        form: in which its template writes calls.
        offered: names of the tools that may be called: no other is in an example; None: all.
        more: a user's own tools: nothing is refused that one of them may be for.
    """
    found: list[Message] = []
    for said, answer in EXAMPLES:
        if isinstance(answer, str):
            if not _is_for(answer, more):
                found += [("user", in_words("none", said)), ("assistant", answer)]
        elif offered is None or {name for name, _ in called(answer)} <= {*offered}:
            text = form.again.join(written(form, *call) for call in called(answer))
            found += [("user", in_words("none", said)), ("assistant", text)]
    return found


def called(answer: str | Call | list[Call]) -> list[Call]:
    """The calls of an answer."""
    if isinstance(answer, str):
        return []
    return answer if isinstance(answer, list) else [answer]


def _is_for(answer: str, tools: Collection[Tool]) -> bool:
    """Whether a tool speaks of what is refused: the last word of "I can't reach the heating."."""
    if not answer.startswith(REFUSES):
        return False
    thing = answer.rstrip(".").split()[-1].removesuffix("s")
    return any(thing in f"{tool.name} {tool.description}".lower() for tool in tools)


def written(form: Form, name: str, arguments: dict[str, Any]) -> str:
    """A call as text."""
    told = json.dumps(arguments, ensure_ascii=False)
    return f"{form.mark}{form.opening}{name}{form.between}{told}{form.closing}"
