"""What the names noticed are judged as."""

import pytest

from assistant.ear.tagger import UNKNOWN_SOUND
from bench.tagging import Heard, guess, row, verdict
from lab.corpora.library import UNKNOWN


@pytest.mark.parametrize(
    ("name", "told", "judged"),
    [
        ("crow cawing", ["crow cawing", "rain"], "right"),
        ("crow cawing", ["rain", "crow cawing"], "also"),
        ("crow cawing", ["bird"], "family"),
        ("crow cawing", ["owl hooting"], "family"),
        ("crow cawing", ["rain"], "wrong"),
        ("crow cawing", [], "nothing"),
        ("crow cawing", [UNKNOWN_SOUND], "nothing"),
        ("rain", ["waterfall"], "wrong"),  # rain has no family
        (UNKNOWN, [], "nothing"),
        (UNKNOWN, [UNKNOWN_SOUND], "nothing"),
        (UNKNOWN, ["bird"], "family"),
        (UNKNOWN, ["bird", "rain"], "wrong"),
    ],
)
def test_verdicts(name: str, told: list[str], judged: str) -> None:
    assert verdict(Heard(name, told, [])) == judged


@pytest.mark.parametrize(
    ("name", "told", "guesses", "judged"),
    [
        ("crow cawing", [], ["crow cawing"], "guessed"),
        ("crow cawing", ["bird"], ["rain", "crow cawing"], "guessed"),
        ("crow cawing", ["crow cawing"], ["rain"], "nothing"),
        ("crow cawing", ["rain"], ["siren"], "misguessed"),
        ("crow cawing", ["rain"], [], "nothing"),
        (UNKNOWN, [], ["rain"], "misguessed"),
    ],
)
def test_guesses(name: str, told: list[str], guesses: list[str], judged: str) -> None:
    assert guess(Heard(name, told, guesses)) == judged


def test_a_row_counts_recordings_and_classes() -> None:
    heard = [Heard("rain", ["rain"], [])] * 3 + [Heard("siren", [], ["siren"])]
    found = row("all", heard)
    assert (found["recordings"], found["classes"]) == (4, 2)
    assert (found["right"], found["nothing"], found["wrong"]) == (75, 25, 0)
    assert (found["guessed"], found["misguessed"]) == (25, 0)
    assert found["right, by class"] == 50
