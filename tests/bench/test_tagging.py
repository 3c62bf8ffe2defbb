"""What the names noticed are judged as."""

import pytest

from assistant.ear.tagger import UNKNOWN_SOUND
from bench.tagging import Heard, row, verdict
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
    assert verdict(Heard(name, told)) == judged


def test_a_row_counts_recordings_and_classes() -> None:
    heard = [Heard("rain", ["rain"])] * 3 + [Heard("siren", [])]
    found = row("all", heard)
    assert (found["recordings"], found["classes"]) == (4, 2)
    assert (found["right"], found["nothing"], found["wrong"]) == (75, 25, 0)
    assert found["right, by class"] == 50
