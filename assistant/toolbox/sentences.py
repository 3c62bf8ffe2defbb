"""What came of a call as a sentence to be spoken: no LLM can get a number in it wrong."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from assistant.toolbox.lists import NOTES
from assistant.toolbox.timers import Timer
from assistant.toolbox.watch import Noticed

Json = dict[str, Any]


def sentence(name: str, output: str) -> str | None:
    """What to say of a call.

    Args:
        name: of the tool.
        output: what it gave, JSON text.

    Returns:
        None where nothing fits: the LLM says it.
    """
    given = json.loads(output)
    if isinstance(given, dict) and isinstance(given.get("error"), str):
        return str(given["error"])
    told = _SENTENCES.get(name)
    return None if told is None else told(given)


def rung(timer: Timer) -> str:
    """What is said when a timer or an alarm rings."""
    called = f"{timer.name} " if timer.name else ""
    if timer.kind == "alarm":
        return f"It is {timer.told}, this is your {called}alarm."
    return f"Your {called}timer is up: {timer.told}."


def noticed(found: Noticed) -> str:
    """What is said when something came true that was waited for."""
    return found.condition.message or f"You wanted to know: I hear this sound, {found.sound.name}."


def joined(words: Sequence[str], last: str = "and") -> str:
    """Words as a list that is spoken: `milk, eggs and bread`."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def _called(one: Json) -> str:
    """A timer by its name, or by what it was set for."""
    if "name" in one:
        return f"the {one['name']} {one['kind']}"
    return f"the {one['kind']} for {one['set_for']}" if "set_for" in one else f"the {one['kind']}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _set(given: Json) -> str:
    what = f"{given['name']} {given['kind']}" if "name" in given else given["kind"]
    if "time" in given:
        return f"Your {what} is set for {given['time']}, in {given['rings_in']}."
    return f"Your {what} is set for {given['rings_in']}."


def _left(given: Json) -> str:
    return " ".join(f"{_capital(_called(one))} has {one['left']} left." for one in given["running"])


def _stopped(given: Json) -> str:
    return f"I stopped {joined([_called(one) for one in given['stopped']])}."


def _date(given: Json) -> str:
    days = given["days_from_today"]
    near = {0: "Today is", 1: "Tomorrow is", -1: "Yesterday was"}.get(days)
    if near is not None:
        return f"{near} {given['date']}."
    return f"That {'is' if days > 0 else 'was'} {given['date']}."


def _result(given: Json) -> str:
    about = "about " if given.get("rounded") else ""
    return f"That is {about}{given['result']}."


def _list(name: str) -> str:
    return "your notes" if name == NOTES else f"the {name} list"


def _added(given: Json) -> str:
    if given["list"] == NOTES:
        return f"I noted: {joined(given['added'])}."
    return f"I put {joined(given['added'])} on {_list(given['list'])}."


def _heard(given: Json) -> str:
    heard = given.get("heard", [])
    if not heard:
        return "I have not heard that." if "sound" in given else "I have heard no sounds so far."
    return "I heard " + joined([
        f"{one['sound']}, {'once' if one['times'] == 1 else str(one['times']) + ' times'}, "
        f"{'' if one['times'] == 1 else 'the last time '}{one['last']}"
        for one in heard
    ]) + "."  # fmt: skip


def _watching(given: Json) -> str:
    what = joined(given["listening_for"], "or")
    if given["times"] > 1:
        what += f", {given['times']} times"
    if "within" in given:
        what += f" within {given['within']}"
    if "lasting" in given:
        what += f" for {given['lasting']}"
    return f"I will tell you {'each time' if given['always'] else 'when'} I hear {what}."


_SENTENCES: dict[str, Callable[[Json], str]] = {
    "set_timer": _set,
    "set_alarm": _set,
    "check_timers": _left,
    "stop_timer": _stopped,
    "get_time": lambda given: f"It is {given['time']}.",
    "get_date": _date,
    "calculate": _result,
    "convert_units": _result,
    "add_to_list": _added,
    "read_list": lambda given: f"On {_list(given['list'])}: {joined(given['items'])}.",
    "remove_from_list": lambda given: (
        f"I took {joined(given['removed'])} off {_list(given['list'])}."
    ),
    "sounds_heard": _heard,
    "watch": _watching,
    "stop_watching": lambda given: f"I no longer listen for {joined(given['stopped'])}.",
}
