"""What others in the network are told."""

import asyncio
import socket

import pytest
from zeroconf import NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from streaming.wyoming import announce
from streaming.wyoming.announce import KIND, addresses, announced
from tests.streaming.server.test_app import run


def test_nobody_is_told_of_what_only_this_machine_reaches() -> None:
    with socket.socket() as here, socket.socket() as everywhere:
        here.bind(("127.0.0.1", 0))
        everywhere.bind(("0.0.0.0", 0))
        assert addresses([here]) == []
        assert not [one for one in addresses([everywhere]) if one.startswith("127.")]


@run
async def test_it_is_found_under_the_name_that_home_assistant_looks_for() -> None:
    async with announced(10_800, ["192.0.2.7"], ["127.0.0.1"]) as name:
        assert name is not None
        assert name.startswith("salmonn-live-")
        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as network:
            found = AsyncServiceInfo(KIND, name)
            for _ in range(20):
                if await found.async_request(network.zeroconf, 500):
                    break
        assert found.port == 10_800
        assert found.parsed_addresses() == ["192.0.2.7"]


@run
async def test_a_network_that_is_not_there_is_no_reason_not_to_serve() -> None:
    class Broken:
        def __init__(self, **_: object) -> None:
            raise NonUniqueNameException

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(announce, "AsyncZeroconf", Broken)
        async with announced(10_800, ["192.0.2.7"]) as name:
            assert name is None
        await asyncio.sleep(0)
