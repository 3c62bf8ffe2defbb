"""Captions settle by agreement, never change what is settled, and end with all of it."""

import pytest
import torch

from assistant.captions.captioner import AHEAD, Caption, Captioner
from assistant.captions.decoder import Slots, Transcript, believable, clear
from assistant.ear.hearing import Window


class Reader:
    """A decoder that reads what a script says, one entry per reading."""

    def __init__(self, *readings: str) -> None:
        self.readings = list(readings)
        self.heard: list[tuple[int, int]] = []
        self.seconds: list[float] = []
        self.guesses: list[str] = []
        self.sure = -0.1
        self.positions = 1500

    def start(self) -> Slots:
        return Slots(torch.zeros(1), torch.zeros(1))

    def hear(self, slots: Slots, features: torch.Tensor, at: int) -> None:
        self.heard.append((at, len(features)))

    def read(
        self, slots: Slots, seconds: float, prefix: tuple[int, ...], guess: tuple[int, ...]
    ) -> Transcript:
        self.seconds.append(seconds)
        self.guesses.append(self.text(guess))
        text = self.readings.pop(0)
        tokens = tuple(map(ord, text))
        assert tokens[: len(prefix)] == prefix
        return Transcript(tokens, self.sure, 0.9)

    def text(self, tokens: tuple[int, ...]) -> str:
        return "".join(map(chr, tokens))


def window() -> Window:
    return Window(0, torch.zeros(2, 4), torch.zeros(16, 8))


def captioner(reader: Reader) -> Captioner:
    return Captioner(reader)  # type: ignore[arg-type]


@pytest.mark.parametrize(("windows", "whole"), [(5, "one"), (6, "one two")])
def test_more_than_whisper_reads_at_once_is_read_in_parts(windows: int, whole: str) -> None:
    reader = Reader("on", "one", " two")
    reader.positions = AHEAD + 5 * len(window().speech)
    captions = captioner(reader)
    captions.hear([window()] * 4)
    found = captions.read([]).settled
    captions.hear([window()] * (windows - 4))
    found += captions.read([], last=True).settled
    assert found == whole
    assert max(at for at, _ in reader.heard) < reader.positions - AHEAD


def test_what_two_readings_agree_on_is_settled() -> None:
    captions = captioner(
        Reader("turn of", "turn on the", "turn on the light", "turn on the light.")
    )
    found = []
    for i in range(4):
        captions.hear([window()])
        found.append(captions.read([], last=i == 3))
    assert found == [
        Caption("", "turn of"),
        Caption("turn o", "n the"),
        Caption("n the", " light"),
        Caption(" light.", ""),
    ]
    assert "".join(caption.settled for caption in found) == "turn on the light."


def test_windows_are_heard_in_order_and_provisional_ones_for_one_reading() -> None:
    reader = Reader("a", "ab")
    captions = captioner(reader)
    captions.hear([window(), window()])
    captions.read([window()])
    captions.hear([window()])
    captions.read([])
    assert reader.heard == [(0, 16), (16, 16), (32, 16), (32, 16)]
    assert reader.seconds == [0.96, 0.96]


def test_text_on_noise_is_dropped_until_it_is_sure() -> None:
    reader = Reader("Thank you.", "Thank you.", "yes", "yes")
    reader.sure = -1.5
    captions = captioner(reader)
    for _ in range(2):
        captions.hear([window()])
        assert captions.read([]) == Caption("", "")
    reader.sure = -0.2
    for expected in (Caption("", "yes"), Caption("yes", "")):
        captions.hear([window()])
        assert captions.read([]) == expected


def test_whispers_rule_on_either_side() -> None:
    assert believable(Transcript((1, 2), -0.99, 0.99))
    assert believable(Transcript((1, 2), -5.0, 0.59))
    assert not believable(Transcript((1, 2), -1.01, 0.61))


def test_a_single_token_is_believed_only_where_somebody_speaks() -> None:
    assert believable(Transcript((1,), -0.1, 0.59))
    assert not believable(Transcript((1,), -0.1, 0.61))


def test_what_is_clear_on_either_side() -> None:
    assert clear(Transcript((1,), -0.48, 0.9))
    assert not clear(Transcript((1,), -0.49, 0.1))


def test_whether_the_last_reading_was_clear() -> None:
    reader = Reader("stop it", "stop it now")
    captions = captioner(reader)
    assert not captions.is_clear
    reader.sure = -0.9
    captions.peek([window()])
    assert not captions.is_clear
    reader.sure = -0.1
    captions.peek([window()] * 2)
    assert captions.is_clear


def test_looking_settles_nothing_and_is_not_done_twice() -> None:
    reader = Reader("turn on", "turn on the", "turn on the light")
    captions = captioner(reader)
    captions.hear([window()])
    assert captions.peek([]) == "turn on"
    assert captions.read([]) == Caption("", "turn on")
    captions.hear([window()])
    assert captions.peek([window()]) == "turn on the"
    captions.hear([window()])
    captions.hear([window()])
    assert captions.read([], last=True) == Caption("turn on the light", "")
    assert reader.readings == []


def test_where_nothing_was_heard_nothing_is_read() -> None:
    captions = captioner(Reader())
    assert captions.peek([]) == ""
    assert captions.read([], last=True) == Caption("", "")


def test_what_was_read_last_is_guessed_after_what_is_settled() -> None:
    reader = Reader("one", "one two", "one too", "one too", "six")
    reader.positions = AHEAD + 3 * len(window().speech)
    captions = captioner(reader)
    for _ in range(3):
        captions.hear([window()])
        captions.read([])
    captions.hear([window()])  # more than is read at once: what was read counts
    captions.peek([])
    assert reader.guesses == ["", "one", " two", "oo", ""]
