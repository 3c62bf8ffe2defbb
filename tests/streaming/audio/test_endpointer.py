"""One frame either side of every threshold, and the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.audio.endpointer import Change, Endpointer, SpeechPaused, SpeechResumed
from streaming.audio.frames import FRAME_SAMPLES
from streaming.config import EndpointingConfig
from streaming.detectors.choose import webrtc
from streaming.events import SpeechEnded, SpeechStarted
from tests.streaming.fakes import CONFIG, framed, loudness, pcm


def changes(script: str, config: EndpointingConfig = CONFIG) -> list[tuple[str, int]]:
    """Changes as (kind, frame index)."""
    endpointer = Endpointer(lambda: loudness, config)
    found = [c for frame in framed(pcm(script)) for c in endpointer.push(frame)]
    names = {SpeechStarted: "start", SpeechEnded: "end"}
    return [
        (names[type(c)], c.at // FRAME_SAMPLES)
        for c in found
        if isinstance(c, SpeechStarted | SpeechEnded)
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("..SS........", []),
        ("..SSS.......", [("start", 2)]),
        ("..SSS........", [("start", 2), ("end", 5)]),
        ("..SSS.......S........", [("start", 2), ("end", 13)]),
        ("..SS.S.SS.S.....", []),
        ("SSS........SSS........", [("start", 0), ("end", 3), ("start", 11), ("end", 14)]),
    ],
)
def test_endpoints(script: str, expected: list[tuple[str, int]]) -> None:
    assert changes(script) == expected


@pytest.mark.parametrize(("frames", "ends"), [(49, 0), (50, 1), (51, 1), (99, 1), (100, 2)])
def test_too_long_an_utterance_is_split_at_a_sample(frames: int, ends: int) -> None:
    config = CONFIG.model_copy(update={"max_utterance_s": 1.0})
    found = changes("S" * frames, config)
    assert [kind for kind, _ in found].count("end") == ends
    if ends:  # the next one starts where the last one ended
        assert found[1:3] == [("end", 50), ("start", 50)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("SSS...", []),
        ("SSS....", ["pause"]),
        ("SSS....S", ["pause", "resume"]),
        ("SSS....S....", ["pause", "resume", "pause"]),
        ("SSS........", ["pause", "end"]),
        ("SSS...S...S........", ["pause", "end"]),
    ],
)
def test_pauses(script: str, expected: list[str]) -> None:
    endpointer = Endpointer(lambda: loudness, CONFIG)
    found = [c for frame in framed(pcm(script)) for c in endpointer.push(frame)]
    names = {SpeechPaused: "pause", SpeechResumed: "resume", SpeechEnded: "end"}
    assert [names[type(c)] for c in found[1:]] == expected


@given(st.text("S.", max_size=80))
def test_every_end_was_a_pause_first(script: str) -> None:
    """The session encodes the open block at the pause; no end may come without one."""
    config = CONFIG.model_copy(update={"max_utterance_s": 0.4})
    endpointer = Endpointer(lambda: loudness, config)
    paused = False
    found = [c for frame in framed(pcm(script)) for c in endpointer.push(frame)]
    for change in found + endpointer.flush():
        if isinstance(change, SpeechEnded | SpeechResumed):
            assert paused
        paused = isinstance(change, SpeechPaused)


def test_when_an_endpoint_was_settled() -> None:
    endpointer = Endpointer(lambda: loudness, CONFIG)
    found = [c for f in framed(pcm("SSSS" + "." * 8)) for c in endpointer.push(f)]
    assert found == [
        SpeechStarted(0),
        SpeechPaused(4 * FRAME_SAMPLES),
        SpeechEnded(4 * FRAME_SAMPLES, 12 * FRAME_SAMPLES),
    ]


JUDGED = CONFIG.model_copy(update={"eagerness": "auto"})


def judged(
    script: str, chances: list[float | None], config: EndpointingConfig = JUDGED
) -> list[int]:
    """Frames at which utterances end whose pauses are judged like this, one after the other."""
    endpointer, left = Endpointer(lambda: loudness, config), list(chances)
    found = []
    for frame in framed(pcm(script)):
        for change in endpointer.push(frame):
            if isinstance(change, SpeechPaused):
                endpointer.judge(left.pop(0))
            elif isinstance(change, SpeechEnded):
                found.append(change.decided_at // FRAME_SAMPLES)
    return found


@pytest.mark.parametrize(("chance", "frames"), [(1.0, 10), (0.76, 16), (0.0, 75), (None, 8)])
def test_a_judged_pause_is_as_long_as_the_judgement_says(chance: float | None, frames: int) -> None:
    assert judged("SSSS" + "." * 100, [chance]) == [4 + frames]


def test_every_pause_is_judged_by_itself() -> None:
    script = "SSSS" + "." * 40 + "SSSS" + "." * 9
    assert judged(script, [0.0, None]) == [4 + 40 + 4 + 8]
    assert judged("SSSS" + "." * 20 + "SSSS" + "." * 9, [None, None]) == [4 + 8, 4 + 20 + 4 + 8]


def test_without_eagerness_silence_alone_ends_an_utterance() -> None:
    assert judged("SSSS" + "." * 40, [0.0], CONFIG) == [4 + 8]


@pytest.mark.parametrize(("chance", "frames"), [(0.0, 75), (1.0, 10), (None, 5)])
def test_a_pause_is_judged_before_it_can_end(chance: float | None, frames: int) -> None:
    config = JUDGED.model_copy(update={"min_silence_frames": CONFIG.pause_frames})
    assert judged("SSSS" + "." * 100, [chance], config) == [4 + frames]


def test_a_judgement_that_comes_late_ends_the_pause_with_the_next_frame() -> None:
    endpointer = Endpointer(lambda: loudness, JUDGED.model_copy(update={"min_silence_frames": 50}))
    frames = framed(pcm("SSSS" + "." * 31))
    for frame in frames[:-1]:
        endpointer.push(frame)
    endpointer.judge(1.0)
    assert [type(change) for change in endpointer.push(frames[-1])] == [SpeechEnded]


def test_flush_ends_an_open_utterance_and_reset_drops_it() -> None:
    frames = framed(pcm("SSSS."))
    endpointer = Endpointer(lambda: loudness, CONFIG)
    for frame in frames:
        endpointer.push(frame)
    assert endpointer.flush() == [
        SpeechPaused(4 * FRAME_SAMPLES),
        SpeechEnded(4 * FRAME_SAMPLES, 5 * FRAME_SAMPLES),
    ]
    assert endpointer.flush() == []
    for frame in frames:
        endpointer.push(frame)
    endpointer.reset()
    assert endpointer.flush() == []


@given(st.text("S.", max_size=60))
def test_a_flushed_or_reset_endpointer_is_as_new(script: str) -> None:
    """With the real detector, whose own state must go too."""
    rng = np.random.default_rng(0)
    audio = np.frombuffer(pcm(script), "<i2") * rng.uniform(0.2, 1, len(script) * FRAME_SAMPLES)
    frames = framed(audio.astype("<i2").tobytes())

    def run(endpointer: Endpointer) -> list[Change]:
        return [c for frame in frames for c in endpointer.push(frame)] + endpointer.flush()

    used = Endpointer(webrtc(2), CONFIG)
    first = run(used)
    assert run(used) == first
    for frame in frames:
        used.push(frame)
    used.reset()
    assert run(used) == first
