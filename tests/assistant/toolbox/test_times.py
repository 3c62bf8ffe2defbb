"""Times of day and dates as they are said on a Saturday afternoon."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.toolbox.times import day, said, said_day, when

NOW = datetime(2026, 11, 28, 14, 30)

moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)


@given(moments, st.integers(1, 1439))
def test_a_time_that_is_said_is_the_next_one(now: datetime, minutes: int) -> None:
    later = now + timedelta(minutes=minutes)
    assert when(said(later), now) == later


@given(moments, moments)
def test_a_day_that_is_said_in_full_is_that_day(now: datetime, other: datetime) -> None:
    assert day(other.date().isoformat(), now.date()) == other.date()
    named = said_day(other.date()).split(", ")[1]
    assert day(named, now.date()) == other.date()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7:30 am", "11-29 07:30"), ("7 am", "11-29 07:00"), ("half past six", "11-28 18:30"),
        ("quarter to nine", "11-28 20:45"), ("a quarter past three", "11-28 15:15"),
        ("twenty five past four", "11-28 16:25"), ("20 to 8", "11-28 19:40"),
        ("noon", "11-29 12:00"), ("midnight", "11-29 00:00"), ("18:45", "11-28 18:45"),
        ("six thirty", "11-28 18:30"), ("five oh five", "11-28 17:05"), ("seven", "11-28 19:00"),
        ("seven o'clock", "11-28 19:00"), ("tomorrow at 7", "11-29 07:00"),
        ("six in the evening", "11-28 18:00"), ("7 p.m.", "11-28 19:00"), ("07:00", "11-29 07:00"),
        ("monday at 8", "11-30 08:00"), ("eight tonight", "11-28 20:00"), ("12 am", "11-29 00:00"),
        ("6:15 tomorrow morning", "11-29 06:15"), ("12 pm", "11-29 12:00"),
        ("2026-11-29T07:00:00", "11-29 07:00"), ("three at night", "11-29 03:00"),
        ("next friday at noon", "12-04 12:00"), ("14:31", "11-28 14:31"), ("14:30", "11-29 14:30"),
    ],
)  # fmt: skip
def test_times_of_day(text: str, expected: str) -> None:
    assert when(text, NOW) == datetime.strptime(f"2026-{expected}", "%Y-%m-%d %H:%M")


@pytest.mark.parametrize("text", ["", "noise", "25:00", "12:60", "half past", "yesterday at 5"])
def test_what_is_no_time_to_come_is_none(text: str) -> None:
    assert when(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-28"), ("tomorrow", "2026-11-29"), ("yesterday", "2026-11-27"),
        ("the day after tomorrow", "2026-11-30"), ("next friday", "2026-12-04"),
        ("saturday", "2026-12-05"), ("last monday", "2026-11-23"), ("24 december", "2026-12-24"),
        ("december the 24th", "2026-12-24"), ("the twenty fifth of december", "2026-12-25"),
        ("the third of march", "2027-03-03"), ("march 3 2030", "2030-03-03"),
        ("in three weeks", "2026-12-19"), ("ten days ago", "2026-11-18"),
        ("two weeks from now", "2026-12-12"),
    ],
)  # fmt: skip
def test_days(text: str, expected: str) -> None:
    assert day(text, NOW.date()) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    "text", ["", "noise", "february 30", "in three hours", "2026-13-01", "in 9999999 weeks"]
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert day(text, NOW.date()) is None
