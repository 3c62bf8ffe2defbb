"""Processes that are killed, with the tiny model: what a client is told is as if they were not."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from bench.failover import SETTINGS_OF_SERVER, all_there, through
from bench.resume import Break, conversations, difference, told
from bench.target import Target, server

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="replicas need a Unix socket"),
    # the relay is left as it is cut off
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with server("tiny", SETTINGS_OF_SERVER, options=["--replicas", "2"]) as found:
        yield found


def test_a_conversation_goes_on_when_its_replica_is_killed(target: Target) -> None:
    async def test() -> None:
        settings, steps = conversations()["spoken"]
        how = settings, steps[:1], 0.0
        await all_there(target, 2)
        whole, relay = await through(target, [], *how)
        in_the_reply = Break("down", relay.passed["down"] * 3 // 4)
        await all_there(target, 2)  # and the session of before is not
        events, relay = await through(target, [in_the_reply], *how)
        assert relay.broken == 1
        assert difference(events, told(whole)) is None

    asyncio.run(test())
