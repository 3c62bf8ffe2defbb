"""A call: a session whose audio goes by tracks, and whose messages go by a data channel."""

import asyncio
from collections.abc import Sequence

from streaming.config import IceConfig
from streaming.realtime.protocol import Realtime
from streaming.server.playback import Playback
from streaming.server.rtc.channel import Channel
from streaming.server.rtc.hearing import FORMAT, Hearing
from streaming.server.rtc.peer import Peer, reachable
from streaming.server.rtc.voice import Voice
from streaming.server.seat import Seat
from streaming.server.seats import Seats

HELD_BYTES = 2 * FORMAT.sample_bytes * FORMAT.rate
"""Most audio that waits while the session takes something else; of more, the oldest is lost."""


WATCH_S = 0.5
"""Seconds between two looks at what a peer sends."""

HUNG_UP = 1000
"""Close code of a call that was hung up (RFC 6455, section 7.4)."""


class Call:
    """One of them, from its offer to its end."""

    def __init__(self, seats: Seats, protocol: Realtime) -> None:
        """Args:
        seats: of the server.
        protocol: of a session that has not begun.
        """
        self._seats, self._protocol = seats, protocol
        self._seat: Seat | None = None
        self._held = bytearray()
        self._voice = Voice(self._played)
        self._peer = Peer(self._voice, Hearing(self._hear, self._flooded))
        self._channel = Channel(self._peer, self._flooded)
        protocol.over_track(FORMAT)

    async def answer(self, offer: str, ice: IceConfig, hosts: Sequence[str]) -> str:
        """The answer to an offer, as SDP.

        Raises:
            RefusedError: it cannot be answered.
        """
        return await self._peer.answer(offer, ice.addresses or reachable(hosts), ice)

    def begin(self) -> None:
        """The session begins; there has to be a place for it."""
        playback = Playback(self._voice)
        self._seat = self._seats.take(self._protocol, playback, resumable=False)

    async def attend(self) -> None:
        """Serve the session until it or the peer is gone."""
        assert self._seat is not None, "begin() comes first"
        watching = asyncio.create_task(self._watch())
        try:
            await self._seats.attend(self._seat, self._channel)
        finally:
            watching.cancel()
            await self.leave()

    async def _watch(self) -> None:
        """Look after what aiortc has no limit for: parts of messages that never become one."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._peer.floods:
                self._flooded()

    def hang_up(self) -> None:
        """The call is over; its peer has the time to read the last events."""
        if self._seat is not None:
            self._seat.end(HUNG_UP, "the call was hung up")
        if not self._channel.is_open:  # nobody reads anything
            self._peer.abort()

    async def leave(self) -> None:
        """Leave the peer."""
        await self._peer.close()

    def _played(self) -> None:
        if self._seat is not None:
            self._seat.play_on()

    def _flooded(self) -> None:
        if not self._peer.is_left:
            self._seats.cut("flood")
            self._peer.abort()

    def _hear(self, audio: bytes) -> None:
        """Give the session audio; while it takes something else or is behind, that waits."""
        self._held += audio
        del self._held[:-HELD_BYTES]
        if self._seat is not None and self._seats.may_hear(self._seat):
            self._seat.hear(bytes(self._held))
            self._held.clear()
