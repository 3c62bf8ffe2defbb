"""Numbers, as people say and write them."""

import re
from collections.abc import Sequence
from fractions import Fraction

_UP_TO_NINETEEN = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip

SMALL = {word: size for size, word in enumerate(_UP_TO_NINETEEN)}
SMALL |= {"a": 1, "an": 1, "couple": 2, "dozen": 12}

_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

TENS = {word: 10 * size for size, word in enumerate(_TENS, start=2)}

LARGE = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}

PARTS = {
    "half": Fraction(1, 2), "halves": Fraction(1, 2), "third": Fraction(1, 3),
    "thirds": Fraction(1, 3), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4),
}  # fmt: skip

WORDS = {*SMALL, *TENS, *LARGE, *PARTS, "and", "point"}
"""Words that numbers are made of."""

_DIGITS = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_FRACTION = re.compile(r"(-?\d{1,15})/(\d{1,15})")


def number(words: Sequence[str]) -> Fraction | None:
    """The number that `words` say, lower case, such as `twenty five`, `1.5`, `two and a half`.

    Returns:
        None where they do not say one number.
    """
    words = (
        [part for word in words for part in word.split("-") if part] if _spelled(words) else words
    )
    if not words:
        return None
    if len(words) == 1 and (written := _written(words[0])) is not None:
        return written
    for place, word in enumerate(words):
        if word in PARTS:
            return _with_part([*words[:place]], PARTS[word], words[place + 1 :])
    if "point" in words:
        place = [*words].index("point")
        whole = number(words[:place]) if place else Fraction(0)
        digits = [SMALL.get(word, 10) for word in words[place + 1 :]]
        if whole is None or not digits or max(digits) > 9:
            return None
        return whole + Fraction(int("".join(map(str, digits))), 10 ** len(digits))
    return _whole(words)


def _spelled(words: Sequence[str]) -> bool:
    return not any(character.isdigit() for word in words for character in word)


def _written(word: str) -> Fraction | None:
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", word)
    if _DIGITS.fullmatch(plain):
        return Fraction(plain)
    found = _FRACTION.fullmatch(plain)
    return Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else None


def _with_part(before: list[str], part: Fraction, after: Sequence[str]) -> Fraction | None:
    """`half`, `two and a half`, `three quarters`, `half a million`."""
    if after and after[0] in ("a", "an"):
        after = after[1:]
    scale = Fraction(1)
    if after:
        if len(after) > 1 or after[0] not in LARGE:
            return None
        scale = Fraction(LARGE[after[0]])
    if "and" in before:
        place = before.index("and")
        whole, count = number(before[:place]), before[place + 1 :]
    else:
        whole, count = Fraction(0), before
    times = number(count) if count else Fraction(1)
    if whole is None or times is None:
        return None
    return (whole + times * part) * scale


def _whole(words: Sequence[str]) -> Fraction | None:
    total, current, said = Fraction(0), Fraction(0), False
    for word in words:
        written = _written(word)
        if word == "and" and said:
            continue
        if word in LARGE:
            current = (current if said else Fraction(1)) * LARGE[word]
            if LARGE[word] > 100:
                total, current = total + current, Fraction(0)
        elif word in TENS and current % 100 == 0:
            current += TENS[word]
        elif word in ("dozen", "couple") and said:
            current *= SMALL[word]
        elif word in SMALL and _fits(current, SMALL[word]):
            current += SMALL[word]
        elif written is not None and (not said or 0 < written < 1):  # `1 1/2`
            current += written
        else:
            return None
        said = True
    return total + current if said else None


def _fits(current: Fraction, small: int) -> bool:
    """Whether a word from zero to nineteen may follow: `twenty five`, not `five five`."""
    return current % 100 == 0 or (current % 10 == 0 and current % 100 >= 20 and small < 10)


def plain(value: Fraction, digits: int = 10) -> tuple[str, bool]:
    """A number in digits, and whether it is exact: others are rounded to `digits` digits."""
    scale = 1
    while scale <= 10**digits and (value * scale).denominator != 1:
        scale *= 10
    if (value * scale).denominator == 1:
        return _decimal(value * scale, scale), True
    if not value:
        return "0", True
    size = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    places = max(0, digits - size)
    while not size and abs(value) * 10**places < 10 ** (digits - 1) and places < 40:
        places += 1
    return _decimal(Fraction(round(value * 10**places)), 10**places), False


def _decimal(whole: Fraction, scale: int) -> str:
    sign, digits = "-" if whole < 0 else "", str(abs(whole.numerator))
    places = len(str(scale)) - 1
    if not places:
        return sign + digits
    digits = digits.rjust(places + 1, "0")
    shown = f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
    return sign + shown if shown != "0" else "0"
