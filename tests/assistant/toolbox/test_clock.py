"""Time and date are the session's start and the samples since."""

from datetime import datetime
from typing import Any

import pytest

from assistant.rates import SAMPLE_RATE
from assistant.toolbox.clock import Clock
from assistant.toolbox.own import Moment, RefusedError

HOUR = 3600 * SAMPLE_RATE


def call(tool: str, at: int, /, **arguments: Any) -> dict[str, Any]:
    clock = Clock(datetime(2026, 11, 28, 23, 30))
    (found,) = [own for own in clock.tools() if own.tool.name == tool]
    return found.run(arguments, Moment(at))


def test_time_goes_with_the_samples() -> None:
    assert call("get_time", 0) == {"time": "11:30 pm"}
    assert call("get_time", HOUR // 2 - 1) == {"time": "11:59 pm"}
    assert call("get_time", HOUR // 2) == {"time": "12:00 am"}


def test_the_date_changes_at_midnight() -> None:
    today = {"date": "Saturday, 28 November 2026", "days_from_today": 0}
    assert call("get_date", HOUR // 2 - 1) == today
    assert call("get_date", HOUR // 2)["date"] == "Sunday, 29 November 2026"
    assert call("get_date", 0, day="24 december") == {
        "date": "Thursday, 24 December 2026", "days_from_today": 26,
    }  # fmt: skip


def test_what_is_no_day_says_so() -> None:
    with pytest.raises(RefusedError, match="'never' is not a day"):
        call("get_date", 0, day="never")
