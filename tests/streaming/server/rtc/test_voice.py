"""The track of answers: at its pace, to the sample, and cleared at once."""

import asyncio
from typing import Any

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from assistant.voice.voice import VOICE_RATE
from streaming.server.rtc.voice import CLOCK, FRAME_BYTES, LATE_FRAMES, Track, Voice
from tests.streaming.server.test_app import run


def tone(seconds: float) -> bytes:
    at = np.arange(round(seconds * VOICE_RATE))
    return (9000 * np.sin(2 * np.pi * 440 * at / VOICE_RATE)).astype("<i2").tobytes()


@run
async def test_what_is_sent_is_counted_to_the_sample_and_it_says_when_that_is_all() -> None:
    empty: list[int] = []
    voice = Voice(lambda: empty.append(1))
    assert voice.take() == bytes(FRAME_BYTES)
    voice.play(bytes(range(250)) * 6, 0.0)  # 1500 bytes
    assert voice.ends_at(5.0) == pytest.approx(5.0 + 750 / VOICE_RATE)
    assert voice.take() == (bytes(range(250)) * 6)[:FRAME_BYTES]
    assert voice.ends_at(5.0) == pytest.approx(5.0 + 270 / VOICE_RATE)
    await asyncio.sleep(0)
    assert not empty
    assert voice.take() == (bytes(range(250)) * 6)[FRAME_BYTES:].ljust(FRAME_BYTES, b"\0")
    await asyncio.sleep(0)
    assert len(empty) == 1
    voice.play(bytes(2000), 0.0)
    voice.take()
    assert voice.stop(0.0) == (2000 - FRAME_BYTES) // 2
    assert voice.ends_at(5.0) == 5.0
    voice.take()
    await asyncio.sleep(0)
    assert len(empty) == 1, "what was stopped did not end by itself"


@run
async def test_packets_have_the_time_of_their_audio() -> None:
    voice = Voice(lambda: None)
    track = Track(voice)
    voice.play(tone(0.1), 0.0)
    decoder = av.CodecContext.create("libopus", "r")
    sound = []
    for n in range(8):
        packet = await track.recv()
        assert packet.pts == n * CLOCK // 50
        sound += [frame.to_ndarray() for frame in decoder.decode(av.Packet(bytes(packet)))]
    levels = [int(np.abs(piece).max()) for piece in sound]
    assert min(levels[1:5]) > 6000
    assert levels[7] < 100
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


@run
async def test_a_loop_that_was_held_up_leaves_time_out_and_no_audio() -> None:
    voice = Voice(lambda: None)
    track = Track(voice)
    await track.recv()
    voice.play(tone(1.0), 0.0)
    loop: Any = asyncio.get_running_loop()
    now = loop.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: now + 1.0)
        packet = await track.recv()
    assert packet.pts is not None
    assert packet.pts > CLOCK * 0.9
    assert voice.stop(0.0) == VOICE_RATE - FRAME_BYTES // 2
    assert LATE_FRAMES < 10
