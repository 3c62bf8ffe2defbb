"""The data channel of a call, as a session's connection."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from aiortc import RTCDataChannel

from streaming.server.rtc.peer import Peer

UNTAKEN, UNTAKEN_BYTES = 2_000, 4 * 2**20
"""Most messages, and bytes of them, that wait to be taken: a channel cannot be made to wait, as a
socket can, so a peer that sends more is cut off."""

UNSENT_BYTES = 64 * 2**10
"""Bytes that are on their way to the peer, beyond which nothing more is sent."""


class Channel:
    """Messages of one peer, from when it opens a channel until it leaves."""

    def __init__(self, peer: Peer, flooded: Callable[[], None]) -> None:
        """Args:
        peer: opens the channel.
        flooded: called when it sends more than can wait.
        """
        self.transport = peer
        self._peer, self._flooded = peer, flooded
        self._channel: RTCDataChannel | None = None
        self._opened, self._drained = asyncio.Event(), asyncio.Event()
        self._untaken: deque[str | bytes] = deque()
        self._untaken_bytes = 0
        self._news = asyncio.Event()
        peer.on_channel(self._open)

    @property
    def is_open(self) -> bool:
        """Whether the peer has opened it."""
        return self._opened.is_set()

    def _open(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:  # one is enough
            channel.close()
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = UNSENT_BYTES
        channel.on("message", self._take)
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("close", self._peer.abort)
        self._opened.set()

    def _take(self, message: str | bytes) -> None:
        self._untaken.append(message)
        self._untaken_bytes += len(message)
        self._news.set()
        if len(self._untaken) > UNTAKEN or self._untaken_bytes > UNTAKEN_BYTES:
            self._flooded()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages, as they come."""
        while True:
            while not self._untaken:
                self._news.clear()
                await self._news.wait()
            message = self._untaken.popleft()
            self._untaken_bytes -= len(message)
            yield message

    async def send(self, message: str | bytes, text: bool | None = None) -> None:
        """Send a message as text, once the channel is open.

        Raises:
            ConnectionResetError: the peer is gone.
        """
        await self._opened.wait()
        channel = self._channel
        if channel is None or channel.readyState != "open":
            raise ConnectionResetError
        self._drained.clear()
        channel.send(message.decode() if isinstance(message, bytes) else message)
        if channel.bufferedAmount > UNSENT_BYTES:
            await self._drained.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it when the peer has got everything."""
        while self._channel is not None and self._channel.bufferedAmount > 0:
            if self._channel.readyState != "open":
                break
            await asyncio.sleep(0.02)
        await self._peer.close()

    async def wait_closed(self) -> None:
        """Wait until the peer is gone."""
        await self._peer.closed.wait()
