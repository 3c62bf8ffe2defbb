"""Timers and alarms ring when they are due, whatever the steps in which time passes."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.rates import SAMPLE_RATE
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.timers import MOST, Timer, Timers

STARTED = datetime(2026, 11, 28, 14, 30)


def call(timers: Timers, tool: str, at: int = 0, /, **arguments: Any) -> dict[str, Any]:
    (found,) = [own for own in timers.tools() if own.tool.name == tool]
    return found.run(arguments, Moment(at))


def timers(*lengths_s: int) -> Timers:
    found = Timers(STARTED)
    for length in lengths_s:
        call(found, "set_timer", duration=f"{length} seconds")
    return found


@given(
    st.lists(st.integers(1, 50), max_size=8),
    st.lists(st.integers(0, 60 * SAMPLE_RATE), max_size=8).map(sorted),
)
def test_how_time_passes_changes_nothing(lengths: list[int], steps: list[int]) -> None:
    once, often = timers(*lengths), timers(*lengths)
    rung = [timer for at in [*steps, 60 * SAMPLE_RATE] for timer in often.due(at)]
    assert rung == once.due(60 * SAMPLE_RATE)
    assert [timer.due for timer in rung] == sorted(length * SAMPLE_RATE for length in lengths)
    assert once.due(60 * SAMPLE_RATE) == []


def test_a_timer_rings_at_its_sample_and_not_before() -> None:
    found = timers(10)
    assert found.due(10 * SAMPLE_RATE - 1) == []
    assert found.due(10 * SAMPLE_RATE) == [Timer(10 * SAMPLE_RATE, "", "timer", "10 seconds")]


def test_a_timer_counts_from_when_it_was_set() -> None:
    found = Timers(STARTED)
    assert call(found, "set_timer", 777, duration="half an hour", name=" tea ") == {
        "kind": "timer", "name": "tea", "rings_in": "30 minutes",
    }  # fmt: skip
    assert [timer.due for timer in found.running] == [777 + 1800 * SAMPLE_RATE]


def test_an_alarm_rings_at_a_time_of_day() -> None:
    found = Timers(STARTED)
    told = call(found, "set_alarm", 60 * SAMPLE_RATE, time="quarter to three")
    assert told == {"kind": "alarm", "time": "2:45 pm", "rings_in": "14 minutes"}
    assert [timer.due for timer in found.running] == [15 * 60 * SAMPLE_RATE]
    told = call(found, "set_alarm", time="7 am", name="work")
    assert told["time"] == "7:00 am on Sunday, 29 November 2026"
    assert found.running[1].due == (16 * 60 + 30) * 60 * SAMPLE_RATE


def test_how_long_is_left() -> None:
    found = timers(90)
    call(found, "set_timer", name="tea", duration="3 minutes")
    at = 30 * SAMPLE_RATE + 1
    assert call(found, "check_timers", at, name="the tea timer") == {
        "running": [{"kind": "timer", "name": "tea", "set_for": "3 minutes",
                     "left": "2 minutes 29 seconds"}]
    }  # fmt: skip
    lefts = [timer["left"] for timer in call(found, "check_timers", at)["running"]]
    assert lefts == ["59 seconds", "2 minutes 29 seconds"]
    assert (
        call(found, "check_timers", at, name="90 second timer")["running"][0]["left"]
        == "59 seconds"
    )


def test_what_rings_is_stopped_first() -> None:
    found = timers(1, 100)
    found.due(SAMPLE_RATE)
    assert len(found.ringing) == 1
    assert call(found, "stop_timer")["stopped"][0]["set_for"] == "1 second"
    assert found.ringing == []
    assert call(found, "stop_timer")["stopped"][0]["set_for"] == "1 minute 40 seconds"
    with pytest.raises(RefusedError, match="No timer"):
        call(found, "stop_timer")


def test_one_is_stopped_by_its_name_or_kind() -> None:
    found = timers(100)
    call(found, "set_timer", name="Tea", duration="3 minutes")
    call(found, "set_alarm", time="noon")
    with pytest.raises(RefusedError, match="called 'rice'"):
        call(found, "stop_timer", name="rice")
    assert [t["kind"] for t in call(found, "stop_timer", name="my alarms")["stopped"]] == ["alarm"]
    assert [t["name"] for t in call(found, "stop_timer", name="tea")["stopped"]] == ["Tea"]
    assert [timer.name for timer in found.running] == [""]


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("set_timer", {"duration": "soon"}, "'soon' is not a length"),
        ("set_timer", {"duration": "0 seconds"}, "one second at least"),
        ("set_timer", {"duration": "60 weeks"}, "a year at most"),
        ("set_alarm", {"time": "soon"}, "'soon' is not a time"),
        ("set_alarm", {"time": "3 march 2030 at noon"}, "a year|not a time"),
        ("check_timers", {}, "No timer or alarm is running"),
    ],
)
def test_what_cannot_be_done_says_why(tool: str, arguments: dict[str, str], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        call(Timers(STARTED), tool, **arguments)


def test_there_are_only_so_many() -> None:
    found = timers(*range(1, MOST + 1))
    with pytest.raises(RefusedError, match=f"There are {MOST} timers"):
        call(found, "set_timer", duration="1 minute")
