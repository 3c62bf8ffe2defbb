"""The other side of a call: what aiortc does for one, and the sockets it does it with."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, get_host_addresses
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from streaming.config import IceConfig
from streaming.server.http import RefusedError
from streaming.server.log import log, where
from streaming.server.rtc.hearing import Hearing
from streaming.server.rtc.offer import refused
from streaming.server.rtc.voice import Track, Voice

for _library in ("aiortc", "aioice"):  # they quote what peers send
    logging.getLogger(_library).setLevel(logging.CRITICAL)

LOOPBACK = ("127.0.0.1",)
ANY = ("0.0.0.0", "::")


class Peer:
    """One peer, from its offer until it is gone."""

    def __init__(self, voice: Voice, hearing: Hearing) -> None:
        """Args:
        voice: what it hears.
        hearing: gets what it says.
        """
        everything = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(everything)
        self._hearing = hearing
        self._closing: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        """Set when it is gone."""

        self._connection.addTrack(Track(voice))
        (self._audio,) = self._connection.getTransceivers()
        self._transport = self._audio.receiver.transport
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        self._audio.setCodecPreferences([c for c in codecs if c.mimeType == "audio/opus"])
        self._connection.on("connectionstatechange", self._changed)

    async def answer(self, offer: str, addresses: Sequence[str], config: IceConfig) -> str:
        """The answer to an offer; from here on the peer may connect.

        Args:
            offer: SDP that was looked at.
            addresses: where the peer may connect to.
            config: ports, and an address to tell instead.

        Raises:
            RefusedError: aiortc cannot answer it, or there is no socket for it.
        """
        receiver: Any = self._audio.receiver
        ice: Any = self._transport.transport.iceGatherer._connection

        async def gather(component: int, **_: Any) -> list[Candidate]:
            return await _candidates(ice, component, addresses, config)

        ice.get_component_candidates = gather
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:
            log.info("call.refused %s", where(error))
            raise refused("it cannot be understood") from error
        if not ice.local_candidates:
            why = "No UDP port is free; see server.ice."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", why)
        # the receiver's own would wait for four packets more
        receiver._RTCRtpReceiver__jitter_buffer = self._hearing
        return str(self._connection.localDescription.sdp)

    @property
    def floods(self) -> bool:
        """Whether more of its messages came than it was told it may send, none of them complete."""
        sctp: Any = self._connection.sctp
        return sctp is not None and bool(sctp._advertised_rwnd < 0)

    def on_channel(self, opened: Callable[[RTCDataChannel], None]) -> None:
        """Call `opened` with the channels that the peer opens."""
        self._connection.on("datachannel", opened)

    def _changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.abort()

    @property
    def is_left(self) -> bool:
        """Whether it is gone, or about to be."""
        return self._closing is not None

    def abort(self) -> None:
        """Leave the peer at once."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())

    async def close(self) -> None:
        """Leave the peer."""
        self.abort()
        await self.closed.wait()

    async def _close(self) -> None:
        try:
            await self._connection.close()
        except Exception as error:  # noqa: BLE001 - it is gone, however it went
            log.info("call.fails %s", where(error))
            await self._transport.transport.stop()  # its sockets
        finally:
            self.closed.set()


def reachable(hosts: Sequence[str]) -> list[str]:
    """Addresses that a server has which listens at `hosts`."""
    if not any(host in ANY for host in hosts):
        return list(hosts)
    return [*get_host_addresses(use_ipv4=True, use_ipv6="::" in hosts), *LOOPBACK]


async def _candidates(
    ice: Any, component: int, addresses: Sequence[str], config: IceConfig
) -> list[Candidate]:
    """Sockets for a peer, as it is told of them."""
    found = []
    for address in addresses:
        protocol = await _bound(ice, address, config.ports)
        if protocol is None:
            continue
        ice._protocols.append(protocol)
        host, port = protocol.transport.get_extra_info("sockname")[:2]
        host = config.announced or host
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        found.append(protocol.local_candidate)
    return found


async def _bound(ice: Any, address: str, ports: Sequence[int] | None) -> Any:
    """A socket at an address; None if there is no port for it."""
    loop = asyncio.get_running_loop()
    choice = [0] if ports is None else list(range(ports[0], ports[1] + 1))
    for port in random.sample(choice, len(choice)):
        with contextlib.suppress(OSError):
            _, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(ice), local_addr=(address, port)
            )
            return protocol
    return None
