"""Answers from a loudspeaker, and how much of them was heard."""

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clients.errors import ClientError
from clients.speaker import DUCKED, ECHO_S, VOICE_RATE, Speaker


class FakeCard(types.ModuleType):
    """A sound card that plays when the test says so."""

    class PortAudioError(Exception):
        """Of PortAudio."""

    def __init__(self, rate: int = VOICE_RATE) -> None:
        self.rate, self.played = rate, b""
        self.fill: Callable[[bytearray, int, Any, Any], None]

    def check_output_settings(self, samplerate: int, **_: Any) -> None:
        if samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate")

    def query_devices(self, device: int | None, kind: str) -> dict[str, float]:
        return {"default_samplerate": float(self.rate)}

    def RawOutputStream(self, callback: Any, samplerate: int, **_: Any) -> Any:
        assert samplerate == self.rate
        self.fill = callback
        return types.SimpleNamespace(start=lambda: None, close=lambda: None)

    def play(self, milliseconds: int) -> None:
        frames = self.rate * milliseconds // 1000
        out = bytearray(2 * frames)
        self.fill(out, frames, None, None)
        self.played += out


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeCard:
    fake = FakeCard()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def sound(milliseconds: int, level: int = 1000) -> bytes:
    return np.full(VOICE_RATE * milliseconds // 1000, level, "<i2").tobytes()


def test_pieces_are_played_one_after_another_and_silence_after_them(card: FakeCard) -> None:
    with Speaker() as speaker:
        speaker.play("a", sound(10, 1))
        speaker.play("a", sound(10, 2))
        speaker.play("b", sound(10, 3))
        card.play(40)
    assert card.played == sound(10, 1) + sound(10, 2) + sound(10, 3) + sound(10, 0)


def test_what_was_heard_of_an_answer_that_is_stopped_is_known(card: FakeCard) -> None:
    with Speaker() as speaker:
        speaker.play("a", sound(50))
        speaker.play("b", sound(100))
        card.play(80)
        assert speaker.stop("b") == 30
        card.play(10)
        assert card.played == sound(80) + sound(10, 0)
        assert speaker.stop("b") is None
        speaker.play("c", sound(20))
        assert speaker.stop("c") == 0
        speaker.play("d", sound(20))
        card.play(20)
        assert speaker.stop("d") is None  # all of it
        assert speaker.stop("nothing") is None


def test_somebody_who_speaks_is_louder(card: FakeCard) -> None:
    with Speaker() as speaker:
        speaker.play("a", sound(60, 1000))
        card.play(20)
        speaker.duck(True)
        card.play(20)
        speaker.duck(False)
        card.play(20)
    assert card.played == sound(20, 1000) + sound(20, round(1000 * DUCKED)) + sound(20, 1000)


def test_a_room_sounds_a_little_longer(card: FakeCard) -> None:
    with Speaker() as speaker:
        assert not speaker.sounds
        speaker.play("a", sound(20))
        assert speaker.sounds
        card.play(20)
        card.play(round(1000 * ECHO_S) - 20)
        assert speaker.sounds
        card.play(20)
        assert not speaker.sounds


def test_a_card_with_another_rate_plays_at_that(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(48_000)
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    with Speaker() as speaker:
        speaker.play("a", sound(500))
        card.play(100)
        assert speaker.stop("a") == 100
    made = np.frombuffer(card.played, "<i2")
    assert abs(int(np.median(made)) - 1000) < 20


def test_without_a_card_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class None_(FakeCard):
        def query_devices(self, device: int | None, kind: str) -> dict[str, float]:
            raise self.PortAudioError("Error querying device -1")

    monkeypatch.setitem(sys.modules, "sounddevice", None_())
    with pytest.raises(ClientError, match=r"^the loudspeaker cannot be used: Error querying"):
        Speaker()
