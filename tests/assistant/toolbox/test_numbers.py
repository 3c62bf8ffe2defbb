"""Numbers as they are said; num2words writes them, another program than reads them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from assistant.toolbox.numbers import number, plain


@given(st.integers(0, 10**12 - 1))
def test_whole_numbers_in_words(value: int) -> None:
    words = num2words(value).replace(",", "").split()
    assert number(words) == value


@given(st.integers(0, 10**6), st.integers(1, 3))
def test_decimals_in_words_and_digits(value: int, places: int) -> None:
    digits = f"{value // 10**places}.{value % 10**places:0{places}}"
    assert number([digits]) == Fraction(digits)
    words = [*num2words(value // 10**places).replace(",", "").split(), "point"]
    words += [num2words(int(digit)) for digit in digits.split(".")[1]]
    assert number(words) == Fraction(digits)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("two and a half", "5/2"), ("half", "1/2"), ("three quarters", "3/4"), ("1,500", "1500"),
        ("one and three quarters", "7/4"), ("half a million", "500000"), ("a dozen", "12"),
        ("two dozen", "24"), ("a couple", "2"), ("1/3", "1/3"), ("1 1/2", "3/2"), ("-4", "-4"),
        ("a hundred and one", "101"), ("twenty-five", "25"),
    ],
)  # fmt: skip
def test_other_ways_to_say_a_number(said: str, value: str) -> None:
    assert number(said.split()) == Fraction(value)


@pytest.mark.parametrize(
    "said", ["", "and", "five five", "twenty twelve three", "blue", "1/0", "three point", "1 2"]
)
def test_what_is_not_one_number_is_none(said: str) -> None:
    assert number(said.split()) is None


@given(st.fractions())
def test_digits_are_exact_or_near(value: Fraction) -> None:
    shown, exact = plain(value)
    if exact:
        assert Fraction(shown) == value
    else:
        # At most forty places are shown.
        assert abs(Fraction(shown) - value) <= max(abs(value) / 10**9, Fraction(1, 10**40))


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0", "0"), ("-1/8", "-0.125"), ("1/3", "0.3333333333"), ("1200", "1200"), ("5/2", "2.5")],
)
def test_digits_have_no_zeros_at_their_end(value: str, shown: str) -> None:
    assert plain(Fraction(value))[0] == shown
