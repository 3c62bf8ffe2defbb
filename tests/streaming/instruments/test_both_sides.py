"""A replay as one would have heard it."""

import numpy as np

from assistant.voice.voice import VOICE_RATE, SpokenWord
from streaming.controls import Truncate
from streaming.events import ReplyAudio, ReplyEnded, ReplyStarted
from streaming.instruments.both_sides import BothSides
from streaming.instruments.replay import replay
from tests.streaming.fakes import TURNS, Echo, Speaker, pcm, session

SECOND = 16_000
BEGIN = ReplyStarted(1, 1, 0, turn=5)


def speech(seconds: float, level: int, text: str = "one two ") -> ReplyAudio:
    samples = round(seconds * VOICE_RATE)
    words = (SpokenWord(0, 4), SpokenWord(samples // 2, len(text)))
    return ReplyAudio(text, np.full(samples, level, "<i2").tobytes(), words)


def at(mixed: np.ndarray, second: float) -> int:
    return int(mixed[round(second * VOICE_RATE)])


def test_answers_are_heard_one_clause_after_another_when_they_were_made() -> None:
    sides = BothSides()
    sides.take(2 * SECOND, 0.5, [BEGIN, speech(1.0, 100)])
    sides.take(2 * SECOND, 0.1, [speech(1.0, 200)])
    sides.take(9 * SECOND, 0.0, [speech(0.5, 300), ReplyEnded(3, "complete")])
    mixed = sides.mix(np.full(4 * SECOND, 1000, "<i2").tobytes())
    found = [at(mixed, s) for s in (1.0, 2.4, 2.6, 3.4, 3.6, 4.4, 4.6, 8.9, 9.1, 9.4)]
    assert found == [1000, 1000, 1100, 1100, 1200, 200, 0, 0, 300, 300]
    assert len(mixed) == round(9.5 * VOICE_RATE)


def test_what_was_interrupted_is_heard_no_further_and_told() -> None:
    sides = BothSides()
    sides.take(SECOND, 0.0, [BEGIN, speech(1.0, 100), speech(1.0, 200)])
    told = sides.take(round(2.25 * SECOND), 0.0, [ReplyEnded(3, "interrupted")])
    assert told == [Truncate(5, 12)]  # both words of the first clause, and one of the second
    mixed = sides.mix(b"")
    assert [at(mixed, s) for s in (1.5, 2.2)] == [100, 200]
    assert len(mixed) == round(2.25 * VOICE_RATE)


def test_a_reply_that_was_not_spoken_is_not_cut() -> None:
    sides = BothSides()
    sides.take(SECOND, 0.0, [speech(1.0, 1), BEGIN])
    assert sides.take(SECOND, 0.0, [ReplyEnded(3, "interrupted")]) == []


def test_what_was_not_heard_in_a_replay_is_not_in_the_model() -> None:
    class Teller(Echo):
        def ask(self) -> int:
            windows = super().ask()
            self.reply = ["All that I heard is a long story. "] * 3
            return windows

    listener = Teller()
    talk = session(listener, turns=TURNS, pace=lambda _: 50, voice=Speaker())
    script = "...SSSS" + "." * 20 + "SSSSSSSS" + "." * 60
    events = list(replay(talk, pcm(script), sides=BothSides()))
    assert "interrupted" in [e.reason for e in events if isinstance(e, ReplyEnded)]
    (told,) = [line for line in listener.diary if line.startswith("truncated 0 to")]
    assert 0 < int(told.split()[-1]) < 40
