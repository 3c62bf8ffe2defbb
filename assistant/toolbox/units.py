"""Conversion between units, in exact fractions."""

import re
from fractions import Fraction
from typing import Any

from assistant.toolbox.numbers import number, plain
from assistant.toolbox.own import Moment, OwnTool, RefusedError, UnclearError, parameters, text
from assistant.tools.tool import Tool

TABLE: dict[str, dict[str, str]] = {
    "length": {
        "millimetre mm": "0.001", "centimetre cm": "0.01", "metre m": "1", "kilometre km": "1000",
        "inch in \"": "0.0254", "foot ft '": "0.3048", "yard yd": "0.9144", "mile mi": "1609.344",
        "nautical_mile nm": "1852",
    },
    "mass": {
        "milligram mg": "0.000001", "gram g": "0.001", "kilogram kg kilo": "1",
        "tonne t metric_ton": "1000", "ounce oz": "0.028349523125", "pound lb": "0.45359237",
        "stone st": "6.35029318", "ton short_ton": "907.18474",
    },
    "volume": {
        "millilitre ml": "0.001", "centilitre cl": "0.01", "decilitre dl": "0.1", "litre l": "1",
        "cubic_metre m3": "1000", "teaspoon tsp": "0.00492892159375",
        "tablespoon tbsp": "0.01478676478125", "fluid_ounce fl_oz": "0.0295735295625",
        "cup": "0.2365882365", "pint pt": "0.473176473", "quart qt": "0.946352946",
        "gallon gal": "3.785411784",
    },
    "time": {
        "millisecond ms": "0.001", "second s sec": "1", "minute min": "60", "hour h hr": "3600",
        "day d": "86400", "week w wk": "604800", "year y yr": "31557600",
    },
    "speed": {
        "metre_per_second m/s mps": "3600", "kilometre_per_hour km/h kmh kph": "1000",
        "mile_per_hour mph mi/h": "1609.344", "knot kn": "1852",
    },
    "area": {
        "square_metre m2 sqm": "1", "square_kilometre km2": "1000000", "hectare ha": "10000",
        "acre": "4046.8564224", "square_foot ft2 sqft": "0.09290304",
        "square_inch in2": "0.00064516", "square_mile mi2": "2589988.110336",
    },
    "data": {
        "bit": "0.125", "byte b": "1", "kilobyte kb": "1000", "megabyte mb": "1000000",
        "gigabyte gb": "1000000000", "terabyte tb": "1000000000000", "kibibyte kib": "1024",
        "mebibyte mib": "1048576", "gibibyte gib": "1073741824",
    },
    "energy": {
        "joule j": "1", "kilojoule kj": "1000", "calorie cal": "4.184", "kilocalorie kcal": "4184",
        "watt_hour wh": "3600", "kilowatt_hour kwh": "3600000",
    },
    "pressure": {
        "pascal pa": "1", "hectopascal hpa millibar": "100", "bar": "100000",
        "psi": "6894.757293168", "atmosphere atm": "101325",
    },
}  # fmt: skip
"""Units of each kind, each with the names it goes by and how many of the kind's own one it is."""

DEGREES: dict[str, tuple[str, str]] = {
    "celsius c °c": ("1", "273.15"), "fahrenheit f °f": ("5/9", "459.67"), "kelvin k": ("1", "0"),
}  # fmt: skip
"""Temperatures: kelvin are `(degrees + offset) * factor`."""

PLURALS = {"feet": "foot", "inches": "inch", "foots": "foot", "stones": "stone"}

LARGEST = 10**15
"""Of amounts."""

Unit = tuple[str, Fraction, Fraction]
"""Kind, factor and offset."""


def _names() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for kind, units in TABLE.items():
        for names, factor in units.items():
            found |= {name: (kind, Fraction(factor), Fraction(0)) for name in names.split()}
    for names, (factor, offset) in DEGREES.items():
        unit = "temperature", Fraction(factor), Fraction(offset)
        found |= dict.fromkeys(names.split(), unit)
    return found


UNITS = _names()
"""Every unit by each of its names."""


def unit(name: str) -> Unit:
    """The unit that is called so.

    Raises:
        UnclearError: there is none.
    """
    plain_name = name.strip().lower().removeprefix("degrees ").removeprefix("degree ")
    plain_name = plain_name.replace("²", "2").replace("³", "3").replace("meter", "metre")
    plain_name = plain_name.replace("liter", "litre").rstrip(".")
    words = [PLURALS.get(word, word) for word in re.split(r"[\s_]+", plain_name)]
    for joined in ("_".join(words), "_".join(map(_singular, words))):
        if joined in UNITS:
            return UNITS[joined]
    raise UnclearError(f"I know no unit called {name!r:.40}.")


def _is_unit(word: str) -> bool:
    try:
        unit(word)
    except RefusedError:
        return False
    return True


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 2 and word.endswith("s") else word


def converted(amount: Fraction, of: str, to: str) -> tuple[str, bool]:
    """An amount in another unit, in digits, and whether it is exact.

    Raises:
        RefusedError: they measure different things, or a unit is unknown.
    """
    kind, factor, offset = unit(of)
    other_kind, other_factor, other_offset = unit(to)
    if kind != other_kind:
        raise RefusedError(f"{of} measures {kind} and {to} measures {other_kind}.")
    return plain((amount + offset) * factor / other_factor - other_offset, digits=6)


def amount_of(text: str) -> Fraction:
    """The number that a text says, such as `minus forty`; a unit may stand after it.

    Raises:
        RefusedError: it says one that is too large, or none.
    """
    words = text.lower().replace("minus ", "-").replace("- ", "-").split()
    sign = -1 if words and words[0].startswith("-") else 1
    words = [word.removeprefix("-") for word in words]
    while len(words) > 1 and _is_unit(words[-1]):
        words.pop()
    found = number(words)
    if found is None or found < 0:
        raise UnclearError(f"{text!r:.40} is not a number I understand.")
    if found > LARGEST:
        raise RefusedError("That is more than I can convert.")
    return sign * found


def convert(arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
    """The tool `convert_units`."""
    amount = amount_of(arguments["amount"])
    shown, exact = converted(amount, arguments["from_unit"], arguments["to_unit"])
    result = {"result": f"{shown} {arguments['to_unit']}"}
    return result if exact else {**result, "rounded": True}


CONVERT = OwnTool(
    Tool(
        "convert_units",
        "Convert an amount from one unit of measure to another.",
        parameters(
            ["amount", "from_unit", "to_unit"],
            amount=text("How many, in the user's words."),
            from_unit=text("The unit that is given, such as miles."),
            to_unit=text("The unit that is wanted, such as kilometres."),
        ),
    ),
    convert,
)
"""Conversion of units."""
