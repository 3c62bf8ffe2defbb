"""The track that answers are played on, 20 ms at a time, whatever there is to play."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE

Packet: TypeAlias = "av.Packet[Any]"

FRAME_S = 0.02
FRAME_BYTES = round(FRAME_S * VOICE_RATE) * SAMPLE_BYTES

CLOCK = 48_000
"""Ticks per second of Opus' clock in RTP (RFC 7587)."""

LATE_FRAMES = 5
"""Frames that are sent in one go when the event loop was held up; of more, the time is left out,
and no audio: a burst would be played late by who gets it."""


class Voice:
    """What of a session's answers is to be sent, and when it was."""

    def __init__(self, ran_empty: Callable[[], None]) -> None:
        """`ran_empty`: called when everything was sent."""
        self._ran_empty = ran_empty
        self._waiting = bytearray()

    def ends_at(self, now: float) -> float:
        """When all that there is will have been sent."""
        return now + len(self._waiting) / SAMPLE_BYTES / VOICE_RATE

    def play(self, pcm: bytes, now: float) -> None:
        """Send this after all that there is."""
        self._waiting += pcm

    def stop(self, now: float) -> int:
        """Send no more of what there is; how many samples of it were not sent."""
        missed = len(self._waiting) // SAMPLE_BYTES
        self._waiting.clear()
        return missed

    def take(self) -> bytes:
        """The next frame, which is sent now; what is left is filled up with silence."""
        taken = bytes(self._waiting[:FRAME_BYTES])
        del self._waiting[:FRAME_BYTES]
        if taken and not self._waiting:
            asyncio.get_running_loop().call_soon(self._ran_empty)
        return taken.ljust(FRAME_BYTES, b"\0")


class Track(MediaStreamTrack):
    """A voice in Opus: a packet each 20 ms, of silence if there is nothing else."""

    kind = "audio"

    def __init__(self, voice: Voice) -> None:
        """`voice`: what is sent."""
        super().__init__()
        self._voice = voice
        self._sent = 0  # frames, with those that were left out
        self._begun_at: float | None = None
        self._encoder: Any = av.CodecContext.create("libopus", "w")
        self._encoder.sample_rate, self._encoder.layout = VOICE_RATE, "mono"
        self._encoder.format, self._encoder.bit_rate = "s16", 32_000
        self._encoder.time_base = Fraction(1, VOICE_RATE)
        self._encoder.options = {"application": "voip"}

    async def recv(self) -> Packet:
        """The next packet, when it is due.

        Raises:
            MediaStreamError: the track has ended.
        """
        loop = asyncio.get_running_loop()
        if self._begun_at is None:
            self._begun_at = loop.time()
        wait = self._begun_at + FRAME_S * self._sent - loop.time()
        if wait < -LATE_FRAMES * FRAME_S:
            self._sent += round(-wait / FRAME_S)
        await asyncio.sleep(max(0.0, wait))
        if self.readyState != "live":
            raise MediaStreamError
        packet = self._encoded(self._voice.take())
        packet.pts, packet.time_base = round(CLOCK * FRAME_S) * self._sent, Fraction(1, CLOCK)
        self._sent += 1
        return packet

    def _encoded(self, pcm: bytes) -> Packet:
        frame = av.AudioFrame("s16", "mono", len(pcm) // SAMPLE_BYTES)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.time_base = VOICE_RATE, Fraction(1, VOICE_RATE)
        frame.pts = self._sent * frame.samples
        packet: Packet
        (packet,) = self._encoder.encode(frame)
        return packet
