"""Lengths of time, as people say and write them."""

import re
from fractions import Fraction

from assistant.toolbox.numbers import PARTS, WORDS, number

UNITS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
"""Seconds of each, the longest first."""

NAMES = {
    **{name: name for name in UNITS}, **{f"{name}s": name for name in UNITS},
    "h": "hour", "hr": "hour", "hrs": "hour", "m": "minute", "min": "minute", "mins": "minute",
    "s": "second", "sec": "second", "secs": "second", "d": "day", "w": "week",
}  # fmt: skip

NEXT = {"hour": "minute", "minute": "second"}
"""What a number is of that has no unit and follows one: `two minutes thirty`."""

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})")
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?(?:/\d+)?|[a-z]+")


def seconds(text: str) -> Fraction | None:
    """Seconds that a text says, such as `ten minutes`, `1 hour 30 minutes`, `an hour and a half`.

    Returns:
        None where it does not say a length of time.
    """
    text = text.strip().lower()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        return Fraction(3_600 * hours + 60 * minutes + rest)
    total, unit, words = Fraction(0), "", list[str]()
    for word in _TOKEN.findall(text.replace("-", " ")):
        if word in NAMES:
            value = number(_count(words)) if _count(words) else None
            if value is None:
                return None
            unit, words = NAMES[word], []
            total += value * UNITS[unit]
        elif word in WORDS or word == "of" or word[0].isdigit():
            words.append(word)
        elif word not in ("in", "for", "from", "now"):
            return None
    if not unit:
        return None
    if not _count(words):
        return total
    value = number(_count(words))
    if value is None:
        return None
    of = unit if PARTS.keys() & {*words} else NEXT.get(unit)
    return total + value * UNITS[of] if of else None


def _count(words: list[str]) -> list[str]:
    """The words of a number: without what joins it to others, and to what it is a part of."""
    kept = [word for word in words if word != "of"]
    while kept and kept[0] == "and":
        kept = kept[1:]
    if len(kept) > 1 and kept[-1] in ("a", "an"):
        kept = kept[:-1]
    return kept


def spoken(length: Fraction | int) -> str:
    """A length of time in words, to the second, such as `1 hour 30 minutes`."""
    left, parts = round(length), []
    for name, size in UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts) or "0 seconds"
