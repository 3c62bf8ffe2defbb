"""Packets of Opus: their audio in order and in time, whatever the network does to them."""

from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.server.rate import BURST
from streaming.server.rtc.hearing import FAR, GAP_S, RATE, REORDERED, SOURCES, Hearing

FRAME = 960


@dataclass
class Packet:
    sequence_number: int
    timestamp: int
    payload: bytes
    ssrc: int = 1


def encoded(count: int, first: int = 65_530, at: int = 2**32 - 5 * FRAME) -> list[Packet]:
    """A rising tone; numbers and timestamps wrap."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    encoder.time_base = Fraction(1, RATE)
    time = np.arange(count * FRAME) / RATE
    tone = (8000 * np.sin(2 * np.pi * (300 + 200 * time) * time)).astype("<i2")
    made = []
    for n in range(count):
        frame = av.AudioFrame("s16", "mono", FRAME)
        frame.planes[0].update(tone[n * FRAME : (n + 1) * FRAME].tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, n * FRAME, Fraction(1, RATE)
        (packet,) = encoder.encode(frame)
        made.append(Packet((first + n) % 2**16, (at + n * FRAME) % 2**32, bytes(packet)))
    return made


PACKETS = encoded(30)


def heard(packets: list[Packet]) -> NDArray[np.int16]:
    audio = bytearray()
    hearing = Hearing(audio.extend)
    for packet in packets:
        assert hearing.add(packet) == (False, None)
    return np.frombuffer(bytes(audio), "<i2")


ALL = heard(PACKETS)


def test_each_packet_is_heard_when_it_comes() -> None:
    audio = bytearray()
    hearing = Hearing(audio.extend)
    for n, packet in enumerate(PACKETS):
        hearing.add(packet)
        assert len(audio) == 2 * FRAME * (n + 1)
    assert np.abs(ALL).max() > 5000


@given(st.integers(0, 25), st.permutations(range(REORDERED)))
def test_packets_in_another_order_are_heard_in_theirs(at: int, order: list[int]) -> None:
    at = max(1, at)  # who comes first begins
    moved = [PACKETS[at + n] for n in order]
    assert np.array_equal(heard([*PACKETS[:at], *moved, *PACKETS[at + REORDERED :]]), ALL)


@given(st.sets(st.integers(1, 24)))
def test_what_is_lost_is_silence_and_time_goes_on(lost: set[int]) -> None:
    found = heard([p for n, p in enumerate(PACKETS) if n not in lost])
    assert len(found) == len(ALL)
    for n in lost:
        assert not found[n * FRAME : (n + 1) * FRAME].any()


def test_what_comes_twice_or_too_late_is_heard_once() -> None:
    again = [p for packet in PACKETS for p in (packet, packet)]
    assert np.array_equal(heard(again), ALL)
    assert np.array_equal(heard([*PACKETS, PACKETS[3]]), ALL)


def test_another_stream_begins_anew_and_a_long_gap_is_not_filled_whole() -> None:
    other = encoded(3, first=5 + 10 * FAR, at=77)
    assert len(heard([*PACKETS, *other])) == len(ALL) + 3 * FRAME
    late = [Packet(p.sequence_number, p.timestamp + 99 * RATE, p.payload) for p in PACKETS[5:]]
    after = heard([*PACKETS[:5], *[Packet(p.sequence_number, p.timestamp % 2**32, p.payload)
                                   for p in late]])  # fmt: skip
    assert len(after) == len(ALL) + round(GAP_S * RATE)


@settings(max_examples=60)
@given(st.lists(st.builds(
    Packet, st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=60)
), max_size=12))  # fmt: skip
def test_nothing_that_comes_is_too_much(packets: list[Packet]) -> None:
    heard(packets)


def test_a_flood_of_packets_is_told() -> None:
    floods: list[int] = []
    hearing = Hearing(lambda _: None, lambda: floods.append(1))
    for _ in range(int(BURST)):
        hearing.add(PACKETS[0])
    assert not floods
    for _ in range(int(BURST)):
        hearing.add(PACKETS[0])
    assert floods


def test_more_sources_than_a_microphone_has_are_a_flood() -> None:
    floods: list[int] = []
    hearing = Hearing(lambda _: None, lambda: floods.append(1))
    for ssrc in range(SOURCES):
        hearing.add(replace(PACKETS[0], ssrc=ssrc))
    assert not floods
    hearing.add(replace(PACKETS[0], ssrc=SOURCES))
    assert floods
