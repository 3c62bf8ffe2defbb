"""Audio that comes in packets of Opus, in order, without waiting longer than it must."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from streaming.audio.wire_audio import InputFormat
from streaming.server.rate import Allowance

RATE = 48_000
"""Samples per second, of Opus' clock and of what is decoded."""

FORMAT = InputFormat("pcm16", RATE)
"""Of what is decoded."""

REORDERED = 3
"""Packets that come before one that is late, at most; then it counts as lost."""

FAR = 100
"""Packets; a larger step in their numbers is another stream."""

SOURCES = 16
"""Sources of packets, at most. A peer has one; aiortc keeps figures of each, for as long as the
call lasts."""

GAP_S = 1.0
"""Longest silence in place of what was lost, or was never sent, in seconds."""


class Packet(Protocol):
    """A packet of RTP (RFC 3550)."""

    ssrc: int
    """32 bits, of its source."""

    sequence_number: int
    """16 bits."""

    timestamp: int
    """32 bits, counts samples."""

    payload: bytes


class Hearing:
    """Decodes a peer's packets as they come. It stands in the place of the jitter buffer of
    aiortc's receiver, which would hold back 80 ms of them."""

    def __init__(
        self, take: Callable[[bytes], None], flooded: Callable[[], None] = lambda: None
    ) -> None:
        """Args:
        take: gets audio, mono in `FORMAT`.
        flooded: called when more packets come than a client may send messages, or from more
            than `SOURCES`.
        """
        self._take, self._flooded = take, flooded
        self._allowance = Allowance(time.monotonic())
        self._sources: set[int] = set()
        self._decoder: Any = None  # there was no packet yet
        self._next = self._at = 0  # number and timestamp of the packet that is due
        self._early: dict[int, Packet] = {}

    def add(self, packet: Packet) -> tuple[bool, None]:
        """Take a packet. Nothing is left to do for whoever gave it."""
        self._sources.add(packet.ssrc)
        if self._allowance.spend(0, time.monotonic()) > 0 or len(self._sources) > SOURCES:
            self._flooded()
        ahead = (packet.sequence_number - self._next) % 2**16
        if self._decoder is None or FAR <= ahead <= 2**16 - FAR:
            self._begin(packet)
            ahead = 0
        if ahead < FAR:  # or it is too late
            self._early[packet.sequence_number] = packet
        while self._next in self._early or len(self._early) > REORDERED:
            self._decode(self._early.pop(min(self._early, key=self._ahead)))
        return False, None

    def _begin(self, packet: Packet) -> None:
        self._early.clear()
        self._next, self._at = packet.sequence_number, packet.timestamp
        self._decoder = av.CodecContext.create("libopus", "r")

    def _ahead(self, number: int) -> int:
        """How many packets come before the one with this number."""
        return (number - self._next) % 2**16

    def _decode(self, packet: Packet) -> None:
        missing = (packet.timestamp - self._at) % 2**32
        if 0 < missing < 2**31:  # or time has gone back
            self._take(bytes(2 * min(missing, round(GAP_S * RATE))))
        self._next = (packet.sequence_number + 1) % 2**16
        samples = _decoded(self._decoder, packet.payload)
        self._at = (packet.timestamp + len(samples)) % 2**32
        self._take(samples.tobytes())


def _decoded(decoder: Any, payload: bytes) -> NDArray[np.int16]:
    """The samples of a packet, both channels as one; none if it is no Opus."""
    try:
        frames = decoder.decode(av.Packet(payload)) if payload else []
    except av.FFmpegError:
        frames = []
    mixed = [frame.to_ndarray().reshape(-1, 2).mean(axis=1).astype("<i2") for frame in frames]
    return np.concatenate([np.zeros(0, np.int16), *mixed])
