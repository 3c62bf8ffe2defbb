"""Sums, as people say and write them: read by a small grammar, in exact fractions.

sum:     product (('+' | '-') product)*
product: signed (('*' | '/' | 'of') signed)*
signed:  '-'* power
power:   percent ('^' signed)?
percent: value '%'*
value:   number | '(' sum ')' | 'sqrt' value
"""

import re
from fractions import Fraction
from math import isqrt
from typing import Any

from assistant.toolbox.numbers import WORDS, number, plain
from assistant.toolbox.own import Moment, OwnTool, RefusedError, UnclearError, parameters, text
from assistant.tools.tool import Tool

LONGEST = 200
"""Characters of a sum."""

DEEPEST = 30
"""Brackets inside each other."""

BITS = 2_000
"""Size of a number on the way: larger powers are refused."""

_NUMBER = r"((?:[a-z0-9.]+ +)*?[a-z0-9.]+)"

_PHRASES = [
    (r"^(?:what is|what's|how much is|add(?: up)?) ", ""),
    (rf"\bdivide {_NUMBER} by {_NUMBER}", r"(\1) / (\2)"),
    (rf"\bmultiply {_NUMBER} by {_NUMBER}", r"(\1) * (\2)"),
    (rf"\bsubtract {_NUMBER} from {_NUMBER}", r"(\2) - (\1)"),
    (r"([a-z0-9]+) dollars ([a-z0-9]+)$", r"(\1 + \2 / 100)"), (r"\bdollars?\b|\$", " "),
    (r"\bto the power of\b|\*\*", " ^ "), (r"\bsquared\b", " ^ 2 "), (r"\bcubed\b", " ^ 3 "),
    (r"\b(?:the )?square root(?: of)?\b|√", " sqrt "), (r"\bper ?cent\b", " % "),
    (r"\bdivided by\b|\bover\b|÷", " / "), (r"(?<=\d)x(?=\d)", " * "),
    (r"\bmultiplied by\b|\btimes\b|×|\bx\b", " * "),
    (r"\bplus\b", " + "), (r"\bminus\b|−|–", " - "),
    (r"\b(half|quarter|third)(s?) of\b", r" \1\2 * "),
    (r"\b(?:double|twice)(?: of)?\b", " 2 * "), (r"\btriple(?: of)?\b", " 3 * "),
    (r"\bof\b", " of "), (r"[=?]", " "),
]  # fmt: skip

_TOKEN = re.compile(r"\d[\d,]*\.?\d*|\.\d+|sqrt|[a-z]+|[-+*/^%()]|\S")


class _Wrong(Exception):
    """It is not a sum."""


class _Reader:
    """Reads a sum from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._place, self._depth = tokens, 0, 0
        self.exact = True

    def whole(self) -> Fraction:
        value = self._sum()
        if self._next() is not None:
            raise _Wrong
        return value

    def _next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        found = self._next()
        if found not in wanted:
            return None
        self._place += 1
        return found

    def _sum(self) -> Fraction:
        total = self._product()
        while sign := self._take("+", "-"):
            begin = self._place
            value = self._product()
            if self._tokens[self._place - 1] == "%" and "of" not in self._tokens[begin:]:
                value *= total  # 80 plus 10 percent
            total = _bounded(total + value if sign == "+" else total - value)
        return total

    def _product(self) -> Fraction:
        value = self._signed()
        while sign := self._take("*", "/", "of"):
            other = self._signed()
            if sign == "/" and not other:
                raise RefusedError("Nothing can be divided by zero.")
            value = _bounded(value / other if sign == "/" else value * other)
        return value

    def _signed(self) -> Fraction:
        sign = 1
        while self._take("-"):
            sign = -sign
        return sign * self._power()

    def _power(self) -> Fraction:
        base = self._percent()
        if not self._take("^"):
            return base
        with_depth = self._deeper()
        exponent = self._signed()
        self._depth = with_depth
        return self._raised(base, exponent)

    def _percent(self) -> Fraction:
        value = self._value()
        while self._take("%"):
            value /= 100
        return value

    def _value(self) -> Fraction:
        if self._take("("):
            depth = self._deeper()
            value = self._sum()
            self._depth = depth
            if not self._take(")"):
                raise _Wrong
            return value
        if self._take("sqrt"):
            depth = self._deeper()
            value = self._root(self._value())
            self._depth = depth
            return value
        words = []
        while (found := self._next()) is not None and (found in WORDS or found[0].isdigit()):
            words.append(found)
            self._place += 1
        read = number(words)
        if read is None:
            raise _Wrong
        return read

    def _deeper(self) -> int:
        """The depth before."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Wrong
        return self._depth - 1

    def _raised(self, base: Fraction, exponent: Fraction) -> Fraction:
        if exponent == Fraction(1, 2):
            return self._root(base)
        if exponent.denominator != 1:
            raise RefusedError("I can only raise to whole powers.")
        if not base and exponent < 0:
            raise RefusedError("Nothing can be divided by zero.")
        size = max(abs(base.numerator), base.denominator).bit_length()
        if abs(exponent) * (size - 1) > BITS or (abs(exponent) > BITS and size > 1):
            raise RefusedError("The result would be too large.")
        return base ** int(exponent)

    def _root(self, value: Fraction) -> Fraction:
        """Exact for squares; others to 20 digits."""
        if value < 0:
            raise RefusedError("A negative number has no square root.")
        over, under = isqrt(value.numerator), isqrt(value.denominator)
        if over**2 == value.numerator and under**2 == value.denominator:
            return Fraction(over, under)
        self.exact = False
        scale = 10**20
        return Fraction(isqrt(value.numerator * scale**2 // value.denominator), scale)


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator).bit_length() > 2 * BITS:
        raise RefusedError("The result would be too large.")
    return value


def solved(asked: str) -> tuple[str, bool]:
    """The result of a sum in digits, and whether it is exact.

    Raises:
        RefusedError: it has no result.
        UnclearError: it is not a sum.
    """
    if len(asked) > LONGEST:
        raise UnclearError(f"A sum has {LONGEST} characters at most.")
    rewritten = asked.strip().lower()
    if re.search(r", +[a-z0-9]", rewritten):  # twelve, thirty and fifty eight
        rewritten = re.sub(r",? +and +|, +", " + ", rewritten)
    for pattern, meant in _PHRASES:
        rewritten = re.sub(pattern, meant, rewritten)
    reader = _Reader(_TOKEN.findall(rewritten.replace("-", " - ")))
    try:
        value = reader.whole()
    except _Wrong as error:
        raise UnclearError(f"{asked!r:.60} is not a sum I understand.") from error
    shown, exact = plain(value)
    return shown, exact and reader.exact


def calculate(arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
    """The tool `calculate`."""
    shown, exact = solved(arguments["expression"])
    return {"result": shown} if exact else {"result": shown, "rounded": True}


CALCULATE = OwnTool(
    Tool(
        "calculate",
        "Work out a sum exactly: plus, minus, times, divided by, percent, powers, square roots.",
        parameters(
            ["expression"], expression=text("The sum, in the user's words, such as half of ninety.")
        ),
    ),
    calculate,
)
"""Arithmetic."""
