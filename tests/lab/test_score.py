"""Scoring: what counts as right, and what does not."""

from pathlib import Path

import pytest

from lab.corpora.sounds import NAMES, read_sounds
from lab.score import SYNONYMS, plain, right, spoken, word_error_rate

SOUNDS = Path("../shared/data/sound")


def test_word_error_rate_ignores_case_and_punctuation() -> None:
    assert plain("Turn ON, the light!") == "turn on the light"
    assert word_error_rate(["turn on the light"], ["Turn on the lights."]) == 0.25


def test_numbers_are_compared_as_words() -> None:
    assert spoken("It is 1,200 at 7:30") == "it is one thousand two hundred at seven thirty"
    assert spoken("a 12-ounce cup") == spoken("a twelve ounce cup")


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ("The capital of France is Paris.", "paris"),
        ("7 plus 5 is 12.", "is 12"),
        ("Seven plus five is twelve.", "is 12"),
        ("Okay, a timer for 10 minutes.", "10;minutes"),
        ("Those were waves.", "sea waves"),
        ("I don't know that.", "don't know"),
        ("First a dog barking, then rain.", "dog barking;rain"),
        ("First a dog barking, then rain.", "rain;dog barking"),
        ("First a dog barking, then rain.", "dog barking>rain"),
        ("A dog, rain, and the dog.", "rain > dog barking"),
        ("Turning the heater on in the hallway.", "on;heater;hallway"),
        ("A crying baby, and a woman crying.", "baby crying;person crying"),
        ("Wind chimes in the wind.", "wind blowing"),
        ('Someone says "play rain". In the background: rain.', "play rain;rain"),
        ('Rain, and someone says "play rain".', "play rain;rain"),
    ],
)
def test_right(answer: str, key: str) -> None:
    assert right(answer, key)


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ("14 minus 7 is 8.", "is 7"),  # an operand is not a result
        ("Parish.", "paris"),
        ("It is 75.", "7"),
        ("minutes 10", "10 minutes"),
        ("First a dog barking.", "dog barking;rain"),
        ("First rain, then a dog barking.", "dog barking>rain"),
        ("Rain.", "rain>rain"),
        ("That was a baby crying.", "person crying"),
        ("A crying baby.", "person crying"),
        ("Wind chimes.", "wind blowing"),
        ('Someone says "play rain". In the background: a dog.', "play rain;rain"),
        ('Someone says "play train". In the background: rain.', "play rain;rain"),
        ("", "paris"),
    ],
)
def test_wrong(answer: str, key: str) -> None:
    assert not right(answer, key)


def test_every_class_of_sound_is_known() -> None:
    assert set(NAMES.values()) <= set(SYNONYMS)
    for name in SYNONYMS:
        assert [other for other in SYNONYMS if right(f"That was {name}.", other)] == [name]
    if not SOUNDS.is_dir():
        pytest.skip("needs ../shared/data")
    assert {sound.label for sound in read_sounds(SOUNDS)} <= set(SYNONYMS)
