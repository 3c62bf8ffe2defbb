"""Numbers, times, dates and amounts of money in words."""

from num2words import num2words

from assistant.voice.tables import LARGE, MONEY, MONTHS, PARTS, UNITS

LONGEST = 15
"""Digits of a number that is said as one; longer ones are said digit by digit."""

HOUR = 12
"""o'clock until then."""


def cardinal(text: str) -> str:
    """Digits, with commas or a decimal point or without, in words."""
    whole, _, decimals = text.replace(",", "").partition(".")
    plain = whole.lstrip("0") or "0"
    if len(whole) > LONGEST or (len(whole) > 1 and whole[0] == "0" and not decimals):
        said = digits(whole)
    else:
        said = str(num2words(int(plain)))
    if decimals:
        said += " point " + digits(decimals)
    return said.replace(",", "")


def digits(text: str) -> str:
    """Digit by digit; anything else between them is a short pause."""
    groups = "".join(char if char.isdigit() else " " for char in text).split()
    return ", ".join(" ".join(str(num2words(int(digit))) for digit in group) for group in groups)


def ordinal(number: int) -> str:
    """`1` -> `first`."""
    return str(num2words(number, to="ordinal")).replace(",", "")


def year(number: int) -> str:
    """`1984` -> `nineteen eighty-four`."""
    return str(num2words(number, to="year"))


def clock(hour: int, minute: int, half: str) -> str:
    """A time of day.

    Args:
        hour: 0 to 24.
        minute: 0 to 59.
        half: `a`, `p`, or nothing.
    """
    said = str(num2words(hour))
    if minute == 0 and not half:
        said = f"{said} o'clock" if 0 < hour <= HOUR else f"{said} hundred"
    elif minute:
        said += f" oh {num2words(minute)}" if minute < 10 else f" {num2words(minute)}"
    return f"{said} {half.lower()}.m." if half else said


def date(day: int, month: int, of_year: int | None) -> str:
    """`May third, twenty twenty-four`."""
    said = f"{MONTHS[month - 1]} {ordinal(day)}"
    return f"{said}, {year(of_year)}" if of_year is not None else said


def money(sign: str, amount: str, large: str) -> str:
    """An amount of money, such as `$3.50` or `€2 million`."""
    one, several, hundredth, hundredths = MONEY[sign]
    if large:
        return f"{cardinal(amount)} {LARGE.get(large.lower(), large.lower())} {several}"
    whole, _, rest = amount.replace(",", "").partition(".")
    if len(rest) != 2:
        return f"{cardinal(amount)} {one if amount == '1' else several}"
    said = f"{cardinal(whole)} {one if whole == '1' else several}" if int(whole) else ""
    small = int(rest)
    if small:
        said += " and " if said else ""
        said += f"{num2words(small)} {hundredth if small == 1 else hundredths}"
    return said or f"{cardinal(whole)} {several}"


def measure(amount: str, unit: str) -> str:
    """`5 km` -> `five kilometers`."""
    one, several = UNITS[unit]
    return f"{cardinal(amount)} {one if amount == '1' else several}"


def fraction(above: int, below: int) -> str:
    """`3/4` -> `three quarters`."""
    name = PARTS.get(below) or ordinal(below)
    if above == 1:
        return f"one {name}"
    return f"{num2words(above)} {'halves' if below == 2 else name + 's'}"


def roman(text: str) -> int:
    """`XIV` -> 14."""
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}[char] for char in text]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < after else value for value, after in pairs)
