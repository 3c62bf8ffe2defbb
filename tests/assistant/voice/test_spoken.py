import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.voice.spoken import say, spoken

TIMES = {
    "It is 7:30 pm, or 19:45.": "It is seven thirty p.m., or nineteen forty-five.",
    "At 7am, 7:05, 7:00.": "At seven a.m., seven oh five, seven o'clock.",
    "14:00": "fourteen hundred",
    "In 1984, the 1990s, 2000.": "In nineteen eighty-four, the nineteen nineties, two thousand.",
    "May 5, 2024; 3 May": "May fifth, twenty twenty-four; May third",
    "2024-05-03": "May third, twenty twenty-four",
}
NUMBERS = {
    "3.5 km, 1 km/h": "three point five kilometers, one kilometer per hour",
    "20 °C, -5°F": "twenty degrees Celsius, minus five degrees Fahrenheit",
    "1,234 of 12": "one thousand two hundred and thirty-four of twelve",
    "007": "zero zero seven",
    "the 1st, 22nd and 3/4": "the first, twenty-second and three quarters",
    "$3.50, $1": "three dollars and fifty cents, one dollar",
    "€2 million, £0.99": "two million euros, ninety-nine pence",
    "50% of 5-10": "fifty percent of five to ten",
    "Call 555-1234.": "Call five five five, one two three four.",
    "Henry VIII in World War II": "Henry the eighth in World War two",
}
WORDS = {
    "Dr. Smith vs. Mrs. Jones, e.g.": "Doctor Smith versus Missus Jones, for example.",
    "in the U.S.": "in the U S.",
    "St. Louis, Main St. and No. 5": "Saint Louis, Main Street and number five",
    "R&B, x² = 4, a → b": "R and B, x squared equals four, a to b",
    "BBC and NASA": "BBC and NASA",
    "it’s well-known — really": "it's well-known— really",
}


@pytest.mark.parametrize(("written", "said"), (TIMES | NUMBERS | WORDS).items())
def test_numbers_and_signs_are_said(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Bold**, _this_ and `code`", "Bold, this and code"),
        ("# A title\nText", "A title. Text"),
        ("- one\n- two\n* three", "one. two. three"),
        ("1. one\n2) two", "one: one. two: two"),
        ("a [link](https://x.org/y) here", "a link here"),
        ("before ```python\nprint(1)\n``` after", "before after"),
        ("an open ```fence, never closed", "an open"),
        ("<b>loud</b> | a table |", "loud a table"),
        ("see www.x.org/a-1 or me@x.org", "see x dot org slash a dash one or me at x dot org"),
        ("fine 😀👍🏽!", "fine!"),
        ("```x```", ""),
        ("😀", ""),
        ("***", ""),
    ],
)
def test_markdown_is_not_said(written: str, said: str) -> None:
    assert say(written) == said


@given(
    st.text(max_size=80) | st.text(st.sampled_from("12:/.-,$%k m[]()*_#|<>`~\nMayIX°"), max_size=60)
)
def test_all_of_the_text_is_accounted_for(text: str) -> None:
    pieces = spoken(text)
    ends = [piece.end for piece in pieces]
    assert ends == sorted(set(ends))
    assert (ends[-1] if ends else 0) == len(text)
    assert not set("*_`#|") & set(" ".join(piece.words for piece in pieces))


@given(st.text(st.sampled_from("1234567890,.:/-$% kmIVX"), max_size=40))
def test_no_digit_is_left(text: str) -> None:
    assert not any(char in "0123456789" for char in say(text))
