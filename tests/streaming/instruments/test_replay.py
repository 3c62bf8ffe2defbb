import time
from dataclasses import replace

import pytest

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES
from streaming.dialogue.work import Work
from streaming.events import (
    Event,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
)
from streaming.instruments.ledger import Latency, Stopwatch
from streaming.instruments.replay import replay
from tests.streaming.fakes import converse, pcm, session

SCRIPT = "..SSSS" + "." * 10 + "SSSSS" + "." * 10


@pytest.mark.parametrize("chunk", [1, 7, 320, 640, 1001, 1_000_000])
def test_events_do_not_depend_on_the_chunks(chunk: int) -> None:
    found = list(replay(session(), pcm(SCRIPT), chunk_bytes=chunk))
    events = [e for e in found if not isinstance(e, Latency)]
    assert events == converse(session(), [pcm(SCRIPT)])
    assert sum(isinstance(e, Latency) for e in found) == 2


def test_realtime_keeps_to_the_audio_clock() -> None:
    begin = time.perf_counter()
    events = [e for e in replay(session(), pcm(SCRIPT), realtime=True)]
    assert time.perf_counter() - begin >= 0.99 * 31 * 0.02
    assert [e for e in events if not isinstance(e, Latency)] == converse(session(), [pcm(SCRIPT)])


Steps = list[tuple[int, Work, float, list[Event]]]


def turn(secret_s: float) -> Steps:
    """A turn that lasts 15 frames; what is done at frame 8 before it is over takes `secret_s`."""
    steps: Steps = [
        (1, Work.LISTEN, 0.001, [SpeechStarted(0)]),
        (2, Work.LISTEN, 0.010, []),
        (8, Work.ASK, secret_s, []),
        (15, Work.LISTEN, 0.001, [SpeechEnded(5 * FRAME_SAMPLES, 15 * FRAME_SAMPLES)]),
        (15, Work.ENCODE, 0.030, []),
        (15, Work.ASK, 0.040, []),
        (15, Work.DECODE, 0.050, []),
        (15, Work.DECODE, 0.050, [ReplyStarted(3, 5, 2), ReplyDelta("a")]),
        (16, Work.DECODE, 0.100, [ReplyDelta("b")]),
    ]
    return [(frames * FRAME_SAMPLES, *step) for frames, *step in steps]  # type: ignore[misc]


def test_the_stopwatch_puts_each_piece_of_work_where_it_belongs() -> None:
    watch = Stopwatch()
    assert all(watch.count(*step) is None for step in turn(secret_s=0.020))
    latency = watch.count(16 * FRAME_SAMPLES, Work.DECODE, 0.0, [ReplyEnded(4, "complete")])
    assert latency is not None
    assert latency.endpoint_wait_ms == pytest.approx(200)
    assert latency.listening_ms == pytest.approx(11)
    assert latency.secret_ms == pytest.approx(20)
    assert latency.encode_ms == pytest.approx(30)
    assert latency.prefill_ms == pytest.approx(40)
    assert latency.first_token_ms == pytest.approx(100)
    assert latency.compute_ms == pytest.approx(170)
    assert latency.tokens_per_s == pytest.approx(20)
    assert (latency.windows, latency.prefilled_before_end) == (3, 2)
    assert (latency.speech_end, latency.decided_at) == (5 * FRAME_SAMPLES, 15 * FRAME_SAMPLES)
    assert latency.ear_rtf == pytest.approx(0.012 / 0.3)


def test_the_stopwatch_tells_the_time_to_the_first_call() -> None:
    watch = Stopwatch()
    *before, (at, *_), last = turn(secret_s=0.020)
    called = ToolCalled("call_0_0", "tool", "{}", "session")
    steps: Steps = [*before, (at, Work.DECODE, 0.050, [ReplyStarted(3, 5, 2), called]), last]
    steps += [(at, Work.DECODE, 0.1, [replace(called, id="call_0_1")])]
    for step in steps:
        watch.count(*step)
    assert watch.latency.call_ms == pytest.approx(170)


def test_the_stopwatch_says_when_each_stage_was_reached() -> None:
    frame, watch = FRAME_SAMPLES / SAMPLE_RATE, Stopwatch()
    steps: Steps = [
        (5, Work.ENCODE, 0.003, []),
        (5, Work.ASK, 0.004, []),
        (6, Work.DECODE, 0.005, []),  # in secret, and taken back
        (7, Work.LISTEN, 0.001, []),
        (10, Work.ENCODE, 0.003, []),
        (10, Work.ASK, 0.004, []),
        (11, Work.DECODE, 0.005, []),
        (12, Work.DECODE, 0.005, []),
        (15, Work.LISTEN, 0.001, [SpeechEnded(5 * FRAME_SAMPLES, 15 * FRAME_SAMPLES)]),
        (15, Work.DECODE, 0.000, [ReplyStarted(3, 5, 2)]),
        (15, Work.DECODE, 0.000, [ReplyDelta("a")]),
        (16, Work.DECODE, 0.005, [ReplyDelta("b")]),
    ]
    for frames, work, seconds, events in steps:
        watch.count(frames * FRAME_SAMPLES, work, seconds, events)
    found = watch.latency
    assert found.encoded_at == round(SAMPLE_RATE * (10 * frame + 0.003))
    assert found.kv_ready_at == round(SAMPLE_RATE * (10 * frame + 0.007))
    assert found.first_token_at == round(SAMPLE_RATE * (11 * frame + 0.005))


def test_a_question_that_was_typed_waits_for_all_of_its_work() -> None:
    watch = Stopwatch()
    steps: Steps = [
        (10, Work.LISTEN, 0.010, []),
        (10, Work.CONTROL, 0.001, []),
        (11, Work.LISTEN, 0.010, []),  # that was no question
        (11, Work.PREFILL, 0.007, []),
        (12, Work.CONTROL, 0.001, []),
        (12, Work.ENCODE, 0.030, []),
        (12, Work.ASK, 0.040, []),
        (12, Work.DECODE, 0.000, [ReplyStarted(3, 5, 3)]),
        (13, Work.LISTEN, 0.010, []),
        (13, Work.DECODE, 0.050, [ReplyDelta("a")]),
    ]
    for frames, work, seconds, events in steps:
        watch.count(frames * FRAME_SAMPLES, work, seconds, events)
    assert watch.latency.compute_ms == pytest.approx(120)
    assert watch.latency.endpoint_wait_ms == 0
    assert watch.latency.speech_end == 12 * FRAME_SAMPLES


@pytest.mark.parametrize(("secret_ms", "backlog_ms"), [(140, 0), (141, 1), (200, 60)])
def test_work_that_the_wait_is_too_short_to_hide_is_told(
    secret_ms: float, backlog_ms: float
) -> None:
    watch = Stopwatch()
    for step in turn(secret_ms / 1000):
        watch.count(*step)
    assert watch.latency.backlog_ms == pytest.approx(backlog_ms)
    assert watch.latency.compute_ms == pytest.approx(170 + backlog_ms)


def test_an_utterance_that_was_not_answered_is_not_in_the_next_figures() -> None:
    watch = Stopwatch()
    steps: Steps = [
        (1, Work.LISTEN, 0.001, [SpeechStarted(0)]),
        (15, Work.LISTEN, 0.001, [SpeechEnded(5 * FRAME_SAMPLES, 15 * FRAME_SAMPLES)]),
        (15, Work.ENCODE, 0.030, []),
        (40, Work.LISTEN, 0.001, [SpeechStarted(34 * FRAME_SAMPLES)]),
        (60, Work.LISTEN, 0.001, [SpeechEnded(50 * FRAME_SAMPLES, 60 * FRAME_SAMPLES)]),
        (60, Work.ENCODE, 0.030, []),
        (90, Work.LISTEN, 0.001, []),
        (90, Work.CONTROL, 0.000, []),
        (90, Work.ASK, 0.040, []),
        (90, Work.DECODE, 0.000, [ReplyStarted(3, 5, 3)]),
        (90, Work.DECODE, 0.050, [ReplyDelta("a")]),
    ]
    for frames, work, seconds, events in steps:
        watch.count(frames * FRAME_SAMPLES, work, seconds, events)
    assert watch.latency.compute_ms == pytest.approx(90), "from when it was asked for"
    assert watch.latency.endpoint_wait_ms == 0
