"""Lengths of time as they are said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.toolbox.durations import seconds, spoken


@given(st.integers(1, 10**8))
def test_what_is_spoken_is_read_again(length: int) -> None:
    assert seconds(spoken(length)) == length


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ("ten minutes", 600), ("1 hour 30 minutes", 5400), ("an hour and a half", 5400),
        ("half an hour", 1800), ("one and a half hours", 5400), ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700), ("two minutes thirty", 150), ("90s", 90),
        ("1h30m", 5400), ("10min", 600), ("00:10:00", 600), ("5:00", 300), ("25 Minutes", 1500),
        ("three hours and twenty minutes", 12000), ("twenty-five minutes", 1500), ("a minute", 60),
        ("five minutes from now", 300), ("in two weeks", 1209600), ("a couple of minutes", 120),
        ("1.5 hours", 5400), ("1 1/2 hours", 5400), ("two and a half minutes", 150),
    ],
)  # fmt: skip
def test_lengths_of_time(said: str, length: int) -> None:
    assert seconds(said) == length


@pytest.mark.parametrize(
    "said", ["", "45", "minutes", "soon", "five five minutes", "ten blue minutes", "30 seconds 5"]
)
def test_what_is_no_length_of_time_is_none(said: str) -> None:
    assert seconds(said) is None


def test_nothing_is_spoken_too() -> None:
    assert spoken(0) == "0 seconds"
