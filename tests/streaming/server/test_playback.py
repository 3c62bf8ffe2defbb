"""Spoken replies on a clock: what is told when, and what an interruption throws away."""

from hypothesis import given
from hypothesis import strategies as st

from assistant.voice.voice import VOICE_RATE, SpokenWord
from streaming.controls import Played, Truncate
from streaming.events import (
    Event,
    ReplyAudio,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechStarted,
    ToolCalled,
)
from streaming.server.playback import AHEAD_S, PIECE_S, Playback

BEGIN = ReplyStarted(1, 1, 0, turn=3)


def audio(seconds: float, text: str = "one two ") -> ReplyAudio:
    samples = round(seconds * VOICE_RATE)
    words = (SpokenWord(0, 4), SpokenWord(samples // 2, len(text)))
    return ReplyAudio(text, bytes(2 * samples), words)


def length(events: list[Event]) -> float:
    return sum(len(e.pcm) for e in events if isinstance(e, ReplyAudio)) / 2 / VOICE_RATE


def told(playback: Playback, until: float, since: float = 0.0) -> list[tuple[float, Event]]:
    """What comes when it is woken as it wishes."""
    found, now = [], since
    while (at := playback.wake_at(now)) is not None and at <= until:
        now = max(now, at)
        found += [(now, event) for event in playback.due(now)]
    return found


def test_a_reply_without_audio_is_told_at_once() -> None:
    playback = Playback()
    events: list[Event] = [BEGIN, ReplyDelta("a"), ReplyEnded(1, "complete")]
    assert [playback.take(event, 5.0) for event in events] == [[event] for event in events]
    assert playback.wake_at(5.0) is None
    assert playback.controls() == []


def test_audio_is_told_a_little_ahead_and_other_events_at_once() -> None:
    playback = Playback()
    playback.take(BEGIN, 10.0)
    first = playback.take(audio(2.0), 10.0)
    assert length(first) <= AHEAD_S + 1e-9
    assert length(first) > 0
    speech = SpeechStarted(5)
    assert playback.take(speech, 10.1) == [speech]
    later = told(playback, 99.0, 10.1)
    sent = length(first)
    for now, event in later:
        sent += length([event])
        assert sent - (now - 10.0) <= AHEAD_S + 1e-9
    assert abs(sent - 2.0) < 1e-6
    assert [control for control in playback.controls() if isinstance(control, Played)] == [
        Played(3, round(1.0 * VOICE_RATE)), Played(3, 2 * VOICE_RATE),
    ]  # fmt: skip


def test_all_of_it_is_told_in_order() -> None:
    playback = Playback()
    given: list[Event] = [BEGIN, audio(0.5), ReplyDelta("x"), audio(0.0, "🙂"), audio(0.3)]
    came = [event for piece in given for event in playback.take(piece, 0.0)]
    came += [event for _, event in told(playback, 9.0)]
    assert "".join(e.text for e in came if isinstance(e, ReplyAudio)) == "one two 🙂one two "
    assert abs(length(came) - 0.8) < 1e-6
    assert all(length([event]) <= PIECE_S + 1e-9 for event in came)


def test_the_end_of_a_reply_waits_for_its_audio_and_the_next_one_for_it() -> None:
    playback = Playback()
    playback.take(BEGIN, 0.0)
    playback.take(audio(1.0), 0.0)
    end, begin = ReplyEnded(2, "complete"), ReplyStarted(1, 1, 0, turn=4)
    assert playback.take(end, 0.1) == []
    assert playback.take(begin, 0.1) == []
    assert [event for _, event in told(playback, 9.0, 0.1)][-2:] == [end, begin]
    assert playback.controls() == []


def test_an_interruption_throws_away_what_was_not_told() -> None:
    playback = Playback()
    playback.take(BEGIN, 0.0)
    first = playback.take(audio(2.0), 0.0)
    end = ReplyEnded(2, "interrupted")
    assert playback.take(end, 0.1)[-1] == end
    assert playback.wake_at(0.1) is None
    heard = sum(len(e.text) for e in first if isinstance(e, ReplyAudio))
    assert playback.controls() == [Truncate(3, heard)]
    assert heard == 4


def test_a_reply_that_was_interrupted_before_it_began_keeps_its_beginning() -> None:
    playback = Playback()
    playback.take(BEGIN, 0.0)
    playback.take(audio(2.0), 0.0)
    playback.take(ReplyEnded(2, "complete"), 0.0)
    begin, end = ReplyStarted(1, 1, 0, turn=4), ReplyEnded(0, "cancelled")
    assert playback.take(begin, 0.0) == playback.take(audio(1.0), 0.0) == []
    assert playback.take(end, 0.0) == []
    rest = [event for _, event in told(playback, 9.0)]
    assert [e for e in rest if not isinstance(e, ReplyAudio)][-2:] == [begin, end]
    assert playback.controls()[-1] == Truncate(4, 0)  # nothing of it was heard
    assert abs(length(rest) - (2.0 - AHEAD_S)) < 1e-6


def test_where_the_voice_is_late_the_clock_begins_anew() -> None:
    playback = Playback()
    playback.take(BEGIN, 0.0)
    playback.take(audio(0.2), 0.0)
    assert playback.due(1.0) == []
    assert playback.controls() == [Played(3, round(0.2 * VOICE_RATE))]
    assert length(playback.take(audio(2.0), 1.0)) <= AHEAD_S + 1e-9
    told(playback, 9.0, 1.0)
    assert playback.controls()[-1] == Played(3, round(2.2 * VOICE_RATE))


@given(st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 2)), max_size=6))
def test_never_more_is_ahead_than_may_be(given: list[tuple[float, float]]) -> None:
    playback, now, played_until = Playback(), 0.0, 0.0
    playback.take(BEGIN, now)
    for seconds, wait in given:
        came = [(now, event) for event in playback.take(audio(seconds), now)]
        came += told(playback, now + wait, now)
        for at, event in came:
            played_until = max(played_until, at) + length([event])
            assert played_until - at <= AHEAD_S + 1e-6
        now += wait


CALL = ToolCalled("call_3_0", "tell_time", "{}")


def test_a_call_keeps_its_place_behind_what_is_spoken() -> None:
    playback = Playback()
    for event in (BEGIN, audio(2.0)):
        playback.take(event, 0.0)
    assert playback.take(CALL, 0.0) == []
    *_, (at, last) = told(playback, 10.0)
    assert (last, round(at, 6)) == (CALL, 2.0 - AHEAD_S)


def test_a_call_is_told_where_the_speech_before_it_is_interrupted() -> None:
    playback = Playback()
    for event in (BEGIN, audio(2.0), CALL):
        playback.take(event, 0.0)
    over = ReplyEnded(3, "interrupted")
    assert playback.take(over, 0.5)[-2:] == [CALL, over]
