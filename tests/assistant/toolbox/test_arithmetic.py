"""Sums are exact; Python's own fractions judge."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assistant.toolbox.arithmetic import BITS, DEEPEST, solved
from assistant.toolbox.numbers import plain
from assistant.toolbox.own import RefusedError

numbers = st.decimals(0, 10**6, places=2, allow_nan=False).map(lambda d: f"{d:f}")
sums = st.recursive(
    numbers,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
    max_leaves=12,
)


@given(sums)
def test_sums_are_exact(text: str) -> None:
    tokens = text.replace("(", "( ").replace(")", " )").split()
    exact = " ".join(t if t in "()+-*/" else f"Fraction('{t}')" for t in tokens)
    try:
        expected = eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(RefusedError, match="zero"):
            solved(text)
        return
    assume(max(abs(expected.numerator), expected.denominator).bit_length() < BITS)
    assert solved(text) == plain(expected)


@given(st.text(max_size=60))
def test_whatever_is_said_is_solved_or_refused(text: str) -> None:
    with suppress(RefusedError):
        solved(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("15% of 80", "12"), ("80 + 10%", "88"), ("50 - 20%", "40"), ("100 - 15% of 80", "88"),
        ("seven times eight", "56"), ("twenty five percent of 200", "50"), ("half of 90", "45"),
        ("three squared plus four squared", "25"), ("2^10", "1024"), ("2**3**2", "512"),
        ("square root of 144", "12"), ("-3^2", "-9"), ("2 - -3", "5"), ("0.1+0.2", "0.3"),
        ("one hundred and forty four divided by twelve", "12"), ("1,500 * 2", "3000"),
        ("17 x 23 =", "391"), ("2^-2", "0.25"), ("2 + 3 * 4", "14"), ("10 / 4 / 5", "0.5"),
        ("9x6", "54"), ("3 x 4", "12"), ("double of 45", "90"), ("twice eight plus 1", "17"),
        ("add up twelve, thirty and fifty eight", "100"), ("What's 3 plus 4?", "7"),
        ("divide a thousand by eight", "125"), ("subtract five from 20", "15"),
        ("multiply twenty five by four", "100"), ("three times nineteen dollars fifty", "58.5"),
        ("$20 plus 5 dollars", "25"), ("two hundred and six, 4, and one", "211"),
        ("9 ^ 0.5", "3"), ("1^99999999", "1"), ("two to the power of ten", "1024"),
    ],
)  # fmt: skip
def test_sums_as_they_are_said(text: str, result: str) -> None:
    assert solved(text) == (result, True)


def test_what_is_rounded_says_so() -> None:
    assert solved("10/3") == ("3.333333333", False)
    assert solved("sqrt 2") == ("1.414213562", False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1/0", "zero"), ("0^-1", "zero"), ("9^9^9", "large"), ("2^99999", "large"),
        ("2^1000 * 2^1999 * 2^1999", "large"), ("sqrt(-1)", "negative"), ("2^0.3", "whole"),
        ("import os", "not a sum"), ("", "not a sum"), ("5!", "not a sum"), ("1 2", "not a sum"),
        ("((1)", "not a sum"), ("1)", "not a sum"), ("1" * 201, "characters"),
        ("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), "not a sum"),
    ],
)  # fmt: skip
def test_what_has_no_result_says_why(text: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        solved(text)


def test_brackets_may_be_as_deep_as_that() -> None:
    assert solved("(" * DEEPEST + "1" + ")" * DEEPEST) == ("1", True)
