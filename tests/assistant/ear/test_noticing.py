import pytest
import torch

from assistant.ear.noticing import Noticing, Sound, follow
from assistant.ear.tagger import UNKNOWN_SOUND, WindowTagger
from assistant.rates import FEATURE_SAMPLES

SPAN = 4 * FEATURE_SAMPLES


class Told(WindowTagger):
    """A tagger whose logits are the features' own numbers, and that judges block by block."""

    def __init__(self) -> None:
        names = ["crow", "car", "bird", UNKNOWN_SOUND]
        super().__init__(names, 0, 4, {"crow": "bird"}, 1, 1)
        self.before = 0

    def logits(self, pooled: torch.Tensor) -> torch.Tensor:
        return pooled[..., :4]

    def spans(self, before: int, features: int) -> list[tuple[int, int]]:
        return [(0, features)]


def told(*logits: float) -> torch.Tensor:
    """A block of four features, in which every class has the same logit throughout."""
    return torch.tensor(logits).expand(4, 4)


def noticing() -> Noticing:
    return Noticing(Told(), torch.zeros(0, 4))


@pytest.mark.parametrize(
    ("logits", "likely"),
    [
        ((-1.0, -2.0, -9.0, -9.0), [("crow", False)]),
        ((-1.09, -2.0, -9.0, -9.0), [("crow", False)]),
        ((-1.11, -2.1, -9.0, -9.0), []),  # one step under `PERHAPS`
        ((-1.0, -2.0, 1.0, -9.0), [("bird", True), ("crow", False)]),  # a bird, perhaps a crow
        ((-9.0, -1.0, 1.0, -9.0), [("bird", True), ("car", False)]),
        ((-1.0, 1.0, -9.0, -9.0), [("car", True)]),  # who is sure does not guess
        ((-9.0, -9.0, -9.0, 1.0), [(UNKNOWN_SOUND, True)]),
    ],
)
def test_the_likeliest_class_is_guessed_where_none_is_sure(
    logits: tuple[float, ...], likely: list[tuple[str, bool]]
) -> None:
    heard = noticing()
    peeked = heard.peek(told(*logits), 0, SPAN)
    heard.push(told(*logits), 0, SPAN)
    assert peeked == heard.likely
    assert [(sound.name, sound.is_sure) for sound in heard.likely] == likely
    sure = [name for name, is_sure in likely if is_sure]
    assert [sound.name for sound in heard.noticed] == sure
    assert [sound.name for sound in heard.began] == sure, "no client is told of a guess"


def test_a_guess_goes_on_until_something_else_is_likelier() -> None:
    heard = noticing()
    for i in range(2):
        heard.push(told(-1.0, -2.0, -9.0, -9.0), i * SPAN, (i + 1) * SPAN)
    heard.push(told(-2.0, -1.0, -9.0, -9.0), 2 * SPAN, 3 * SPAN)
    crow, car = heard.likely
    assert (crow.name, crow.begin, crow.end) == ("crow", 0, 2 * SPAN)
    assert (car.name, car.begin, car.end) == ("car", 2 * SPAN, 3 * SPAN)


def test_what_becomes_sure_begins_then() -> None:
    heard = noticing()
    heard.push(told(-1.0, -2.0, -9.0, -9.0), 0, SPAN)
    heard.push(told(1.0, -2.0, -9.0, -9.0), SPAN, 2 * SPAN)
    assert [(s.name, s.is_sure, s.begin) for s in heard.likely] == [
        ("crow", False, 0),
        ("crow", True, SPAN),
    ]


def test_after_silence_a_guess_begins_anew() -> None:
    heard = noticing()
    heard.push(told(-1.0, -2.0, -9.0, -9.0), 0, SPAN)
    heard.silence()
    heard.push(told(-1.0, -2.0, -9.0, -9.0), 2 * SPAN, 3 * SPAN)
    assert [(s.begin, s.end) for s in heard.likely] == [(0, SPAN), (2 * SPAN, 3 * SPAN)]


def test_guesses_are_forgotten_and_dropped() -> None:
    heard = noticing()
    heard.push(told(-1.0, -2.0, -9.0, -9.0), 0, SPAN)
    heard.forget(SPAN - 1, SPAN, SPAN)
    assert heard.likely == []
    heard.push(told(-1.0, -2.0, -9.0, -9.0), SPAN, 2 * SPAN)
    assert [s.begin for s in heard.likely] == [SPAN]
    heard.drop(2 * SPAN - 1)
    assert len(heard.likely) == 1
    heard.drop(2 * SPAN)
    assert heard.likely == []


def test_without_a_tagger_nothing_is_noticed() -> None:
    heard = Noticing(None, torch.zeros(0, 4))
    heard.push(told(1.0, 1.0, 1.0, 1.0), 0, SPAN)
    assert heard.peek(told(1.0, 1.0, 1.0, 1.0), SPAN, 2 * SPAN) == heard.likely == []


def test_what_overlaps_with_the_last_of_its_kind_goes_on() -> None:
    rain, dog = Sound(0, 100, "rain", 0.9), Sound(0, 60, "dog", 0.8)
    noticed = [rain, dog]
    judged = follow(noticed, {"rain": (50, 150), "dog": (60, 90)}, {"dog": 0.7}, {"rain", "dog"})
    assert judged == [Sound(0, 150, "rain", 0.9), dog, Sound(60, 90, "dog", 0.7)]
    again = follow(noticed, {"rain": (50, 150), "dog": (59, 90)}, {"dog": 0.7}, {"dog"})
    assert again == [rain, Sound(0, 90, "dog", 0.8)]
    shorter = follow(noticed, {"rain": (50, 99), "dog": (0, 1)}, {}, {"rain"})
    assert shorter == [rain, dog]
    older = [Sound(0, 9, "dog", 0.5), Sound(20, 30, "dog", 0.6)]
    assert follow(older, {"dog": (25, 40)}, {}, {"dog"}) == [older[0], Sound(20, 40, "dog", 0.6)]
