"""Units, against SciPy's table of constants."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.units import DEGREES, TABLE, UNITS, convert, converted, unit

named = {kind: [*units] for kind, units in TABLE.items()} | {"temperature": [*DEGREES]}
kinds = {kind: sorted(" ".join(units).split()) for kind, units in named.items()}
pairs = st.sampled_from(sorted(kinds)).flatmap(
    lambda kind: st.tuples(*[st.sampled_from(kinds[kind])] * 2)
)


@pytest.mark.parametrize(
    ("name", "of", "value"),
    [
        ("mile", "metre", constants.mile), ("inch", "metre", constants.inch),
        ("foot", "metre", constants.foot), ("yard", "metre", constants.yard),
        ("nautical mile", "metre", constants.nautical_mile), ("pound", "kilogram", constants.pound),
        ("ounce", "kilogram", constants.ounce), ("stone", "kilogram", constants.stone),
        ("gallon", "litre", constants.gallon * 1000), ("acre", "square metre", constants.acre),
        ("fluid ounce", "litre", constants.fluid_ounce * 1000), ("psi", "pascal", constants.psi),
        ("mph", "m/s", constants.mph), ("knot", "m/s", constants.knot), ("hour", "second", 3600),
        ("atmosphere", "pascal", constants.atm), ("calorie", "joule", constants.calorie),
        ("year", "second", constants.Julian_year), ("short ton", "kilogram", constants.short_ton),
        ("hectare", "square metre", constants.hectare), ("kibibyte", "byte", constants.kibi),
    ],
)  # fmt: skip
def test_units_are_as_long_as_elsewhere(name: str, of: str, value: float) -> None:
    _, factor, _ = unit(name)
    assert float(factor / unit(of)[1]) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(("amount", "of", "to"), [(350, "F", "C"), (-40, "C", "F"), (0, "K", "C")])
def test_temperatures(amount: int, of: str, to: str) -> None:
    expected = constants.convert_temperature(amount, of, to)
    assert float(converted(Fraction(amount), of, to)[0]) == pytest.approx(expected, abs=1e-3)


@given(pairs, st.fractions(-(10**4), 10**4, max_denominator=100))
def test_there_and_back_is_the_same(pair: tuple[str, str], amount: Fraction) -> None:
    _, factor, offset = UNITS[pair[0]]
    _, other, other_offset = UNITS[pair[1]]
    there = (amount + offset) * factor / other - other_offset
    assert (there + other_offset) * other / factor - offset == amount
    assert converted(amount, *pair) == converted(amount, *pair)


def test_no_name_stands_for_two_units_of_a_kind() -> None:
    for names in kinds.values():
        assert len(names) == len({*names})


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Miles", "mile"), ("kilometers", "km"), ("feet", "ft"), ("inches", "inch"), ("lbs", "lb"),
        ("degrees Fahrenheit", "f"), ("square feet", "ft2"), ("m²", "m2"),
        ("miles per hour", "mph"),
        ("kilometers per hour", "km/h"), ("fluid ounces", "fl_oz"), ("liters", "l"), ("oz.", "oz"),
        ("tablespoons", "tbsp"), ("kilos", "kg"),
    ],
)  # fmt: skip
def test_units_as_they_are_said(said: str, name: str) -> None:
    assert unit(said) == UNITS[name]


def test_amounts_as_they_are_said() -> None:
    for amount in ("minus forty", "-40", "- 40", "Minus 40.0", "minus forty fahrenheit"):
        told = convert({"amount": amount, "from_unit": "F", "to_unit": "C"}, Moment(0))
        assert told == {"result": "-40 C"}


def test_what_cannot_be_converted_says_why() -> None:
    for amount in ("1" + "0" * 20, "minus 2000000 billion"):
        with pytest.raises(RefusedError, match="more than"):
            convert({"amount": amount, "from_unit": "mile", "to_unit": "metre"}, Moment(0))
    for amount in ("", "many", "-", "--1"):
        with pytest.raises(RefusedError, match="not a number"):
            convert({"amount": amount, "from_unit": "mile", "to_unit": "metre"}, Moment(0))
    with pytest.raises(RefusedError, match="no unit called 'parsnip'"):
        converted(Fraction(1), "parsnip", "metre")
    with pytest.raises(RefusedError, match="length and kg measures mass"):
        converted(Fraction(1), "mile", "kg")
