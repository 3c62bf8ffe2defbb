"""Makes the service known in the network, so that Home Assistant finds it by itself."""

import contextlib
import ipaddress
import logging
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zeroconf import InterfaceChoice
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from streaming.wyoming.info import PROGRAM

KIND = "_wyoming._tcp.local."
"""What Home Assistant looks for."""

log = logging.getLogger("salmonn-live")


def addresses(sockets: list[socket.socket]) -> list[str]:
    """The addresses of IPv4 at which others reach these sockets; none where only this machine
    does."""
    import ifaddr

    bound = {sock.getsockname()[0] for sock in sockets if sock.family == socket.AF_INET}
    if "0.0.0.0" in bound:
        ips = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
        bound = {str(ip) for ip in ips}
    return sorted(one for one in bound if not ipaddress.ip_address(one).is_loopback)


@asynccontextmanager
async def announced(
    port: int, at: list[str], interfaces: InterfaceChoice | list[str] = InterfaceChoice.Default
) -> AsyncIterator[str | None]:
    """Announces the service while it runs.

    Args:
        port: of the service.
        at: addresses of IPv4 at which it is reached.
        interfaces: of the network, where it is announced.

    Yields:
        The name that it has in the network; None where it cannot be announced, which is logged.
    """
    name = f"{PROGRAM}-{uuid.getnode():012x}.{KIND}"
    found = AsyncServiceInfo(KIND, name, port, addresses=[socket.inet_aton(one) for one in at])
    async with contextlib.AsyncExitStack() as stack:
        try:
            network = await stack.enter_async_context(AsyncZeroconf(interfaces=interfaces))
            await network.async_register_service(found, allow_name_change=True)
        except Exception as error:  # noqa: BLE001 - no network is no reason not to serve
            log.warning("wyoming.unannounced error=%s", type(error).__name__)
            yield None
            return
        try:
            yield found.name
        finally:
            await network.async_unregister_service(found)
