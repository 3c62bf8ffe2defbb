"""Frames that are spoiled in every way end in an error, or in nothing, and the service goes on."""

import asyncio
import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.wyoming_fuzz import SEEDS, spoiled
from streaming.wyoming import framing
from streaming.wyoming.framing import Message, WyomingError, header, read
from tests.streaming.server.test_app import run
from tests.streaming.wyoming.home_assistant import describe
from tests.streaming.wyoming.services import serving

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["type", "data", "data_length", "payload_length", "version"])


def parsed(stream: bytes) -> list[Message | str]:
    """What a client's bytes are, and why they end."""

    async def look() -> list[Message | str]:
        reader = asyncio.StreamReader(limit=framing.HEADER_BYTES)
        reader.feed_data(stream)
        reader.feed_eof()
        found: list[Message | str] = []
        try:
            while (message := await read(reader)) is not None:
                found.append(message)
        except WyomingError as error:
            found.append(str(error))
        return found

    return asyncio.run(look())


@settings(max_examples=200)
@given(st.dictionaries(KEYS, JSON))
def test_any_header_is_one_or_an_error(values: dict[str, object]) -> None:
    with contextlib.suppress(WyomingError):
        found = header(json.dumps(values).encode())
        assert 0 <= found.data_length <= framing.DATA_BYTES
        assert 0 <= found.payload_length <= framing.PAYLOAD_BYTES


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_their_end(stream: bytes) -> None:
    assert all(isinstance(found, Message) for found in parsed(stream)[:-1])


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_a_service_that_is_sent_spoiled_frames_goes_on(seed: int) -> None:
    @run
    async def test() -> None:
        async with serving() as (_, port):
            for number in range(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for name in SEEDS:
                    writer.write(spoiled(SEEDS[name], seed + number))
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 20)
                writer.close()
            assert await describe(port)

    test()
