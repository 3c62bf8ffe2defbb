"""What clients may do to the server; each time a session beside them answers as ever."""

import asyncio
import contextlib
import json
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.spoiled import mutated
from bench.wires import BINARY, PING, TEXT, Raw, raw
from streaming.server import connection as connection_module
from streaming.server import seat as seat_module
from streaming.server import seats, traffic
from streaming.server.app import App
from tests.streaming.fakes import pcm
from tests.streaming.server.test_app import (
    TURN,
    answer,
    client,
    configure,
    run,
    say,
    serving,
    speak,
    take,
    until,
)

REPLY = "I heard 3 windows"


def port(host: str) -> int:
    return int(host.rsplit(":", 1)[1])


async def turn_of(socket: ClientConnection) -> str:
    await speak(socket, TURN)
    return answer(await until(socket, "response.done"))


@asynccontextmanager
async def beside(**changes: Any) -> AsyncIterator[tuple[App, str]]:
    """A server; a session that was there before it all gets its answer after it."""
    async with serving(**changes) as (app, host), client(host) as good:
        await configure(good)
        yield app, host
        assert await turn_of(good) == REPLY


async def closed_with(socket: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        await until(socket, "never")
    return socket.close_code


async def eventually(what: Callable[[], bool]) -> None:
    """Wait until it is so; the test's own limit of time ends it otherwise."""
    while not what():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)


async def for_ever(what: Callable[[], Awaitable[None]]) -> None:
    """Again and again, until the server ends the connection."""
    with contextlib.suppress(OSError):
        while True:
            await what()


# --- messages


@pytest.mark.parametrize("seed", range(3))
def test_mutated_messages_are_errors_and_nothing_more(seed: int) -> None:
    rng = random.Random(seed)

    @run
    async def test() -> None:
        async with beside(sessions=2) as (app, host), client(host) as bad:
            reading = asyncio.create_task(told_of(bad, "the last one"))
            for _ in range(1000):
                await bad.send(mutated(rng))
            await say(bad, "sing", event_id="the last one")
            await reading
            assert b"salmonn_session_errors_total 0.0" in app.metrics.text()
            await turn_by_hand(bad)

    test()


async def told_of(socket: ClientConnection, event_id: str) -> None:
    """Take events up to the error of a message."""
    while (await take(socket)).get("error", {}).get("event_id") != event_id:
        pass


async def turn_by_hand(socket: ClientConnection) -> None:
    """Whatever it was told before, the session answers."""
    await say(socket, "response.cancel")
    await say(socket, "response.create", response={"metadata": {"mine": "yes"}})
    while True:
        event = await take(socket)
        if event["type"] == "error" and "already" in event["error"]["code"]:
            await say(socket, "response.create", response={"metadata": {"mine": "yes"}})
        if event["type"] == "response.done" and event["response"]["metadata"] == {"mine": "yes"}:
            assert event["response"]["status"] == "completed"
            return


@run
async def test_half_a_surrogate_pair_is_told_back() -> None:
    async with beside() as (_, host), client(host) as bad:
        await configure(bad)
        await bad.send('{"type": "sing", "event_id": "\\ud800"}')
        assert (await take(bad))["error"]["event_id"] == "\ud800"
        assert await turn_of(bad) == REPLY


@run
async def test_bad_base64_and_wrong_rates_name_the_field() -> None:
    async with beside() as (_, host), client(host) as bad:
        await configure(bad)
        for text in ("é", "A", "A===", "AA=A", "A A=", "AAA=" * 20_000):
            await say(bad, "input_audio_buffer.append", audio=text)
            assert (await take(bad))["error"]["param"] == "audio", text
        rates: list[object] = [0, -1, 8000, 44_100, "24000", None, 1e300, [], True]
        for rate in rates:
            audio = {"input": {"format": {"type": "audio/pcm", "rate": rate}}}
            await say(bad, "session.update", session={"audio": audio})
            assert (await take(bad))["error"]["param"].startswith("session.audio.input.format")
        assert await turn_of(bad) == REPLY


@run
async def test_audio_byte_by_byte() -> None:
    async with beside() as (_, host), client(host) as socket:
        await configure(socket, salmonn={"binary_audio": True})
        audio = pcm(TURN)
        for byte in audio[:1500]:
            await socket.send(bytes([byte]))
        await socket.send(audio[1500:])
        assert answer(await until(socket, "response.done")) == REPLY


# --- what small messages may cost


@run
async def test_many_small_messages_let_others_have_their_turn() -> None:
    async with serving() as (app, host), client(host) as good, client(host) as bad:
        told = await configure(bad)
        await configure(good)
        seat = app.seats.here[told["id"]]
        before = seat.messages
        update = json.dumps({"type": "session.update", "session": {}}).encode()
        await asyncio.gather(*(bad.send(update.decode()) for _ in range(300)))
        await say(good, "sing")
        await take(good)
        assert seat.messages - before < 300


@run
async def test_answers_are_spent_from_the_allowance_too() -> None:
    async with serving() as (app, host), client(host) as socket:
        told = await configure(socket)
        text = [{"type": "output_text", "text": "x" * 8000}] * 20
        item = {"id": "long", "type": "message", "role": "assistant", "content": text}
        await say(socket, "conversation.item.create", item=item)
        await until(socket, "conversation.item.done")
        spent: list[float] = []
        allowance = app.seats.here[told["id"]].allowance
        with pytest.MonkeyPatch.context() as patch:
            spend = allowance.spend

            def counted(_: object, size: float, now: float, seconds: float) -> float:
                spent.append(size)
                return spend(0, now)

            patch.setattr(type(allowance), "spend", counted)
            await say(socket, "conversation.item.retrieve", item_id="long")
            await until(socket, "conversation.item.retrieved")
            await say(socket, "sing")
            await until(socket, "error")
        assert 160_000 < spent[0] < 170_000


@run
async def test_a_client_that_reads_large_answers_is_not_cut() -> None:
    async with serving() as (app, host), client(host, max_size=None) as socket:
        await configure(socket)
        text = [{"type": "output_text", "text": "x" * 8000}] * 25
        item = {"id": "long", "type": "message", "role": "assistant", "content": text}
        await say(socket, "conversation.item.create", item=item)
        await until(socket, "conversation.item.done")
        reading = asyncio.create_task(told_of(socket, "the last one"))
        for _ in range(60):  # 12 MB, three times what is kept
            await say(socket, "conversation.item.retrieve", item_id="long")
        await say(socket, "sing", event_id="the last one")
        await reading
        assert b"salmonn_connections_cut_total{" not in app.metrics.text()


# --- frames


@run
async def test_broken_frames_end_their_connection_only() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(30 * 2**20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    async with beside() as (_, host):
        for opcode, payload, first, code in [
            (TEXT, b"\xff\xfe", 0x80, 1007),
            (TEXT, b"\xed\xa0\x80", 0x80, 1007),
            (BINARY, bomb[:-4], 0xC0, 1002),  # compressed, though the server declined to
            (3, b"", 0x80, 1002),
            (PING, bytes(126), 0x80, 1002),
        ]:
            async with raw(port(host), "permessage-deflate") as bad:
                await bad.frame(opcode, payload, first=first)
                assert await bad.close_code(20) == code


@run
async def test_a_message_without_an_end_is_cut_off() -> None:
    async with beside(resume_s=0.0) as (app, host), raw(port(host)) as bad:
        await bad.frame(TEXT, b"{", first=0)
        await for_ever(lambda: bad.frame(0, b"", first=0))
        assert b'connections_cut_total{why="fragments"} 1.0' in app.metrics.text()


# --- readers


async def deaf(host: str, talk: Callable[[Raw], Any]) -> None:
    """Talk without reading until the server has had enough."""
    async with raw(port(host), deaf=True) as bad:
        await for_ever(lambda: talk(bad))


@run
async def test_who_never_reads_events_is_cut_off() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "UNREAD_S", 0.2)
        for module in (seats, traffic):
            patch.setattr(module, "FAREWELL_S", 0.2)
        async with beside(resume_s=0.0) as (app, host):
            text = [{"type": "output_text", "text": "x" * 7000}] * 8
            item = {"type": "message", "role": "assistant", "content": text}
            await deaf(host, lambda bad: bad.say("conversation.item.create", item=item))
            assert b'connections_cut_total{why="unread"} 1.0' in app.metrics.text()
            await eventually(lambda: len(app.seats.here) == 1)


async def _create_items(bad: Raw, count: int) -> None:
    text = [{"type": "output_text", "text": "x" * 7000}] * 4
    for _ in range(count):
        item = {"type": "message", "role": "assistant", "content": text}
        await bad.say("conversation.item.create", item=item)


@run
async def test_who_reads_late_is_told_why_it_was_cut_off() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "UNREAD_S", 0.2)
        for module in (seats, traffic):
            patch.setattr(module, "FAREWELL_S", 20.0)
        async with beside(resume_s=0.0) as (app, host), raw(port(host), deaf=True) as bad:
            talking = asyncio.create_task(_create_items(bad, 400))  # may be made to wait for ever
            await eventually(lambda: b'cut_total{why="unread"}' in app.metrics.text())
            bad.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert await bad.close_code(20) == 1008
            talking.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await talking


@run
async def test_pings_of_who_never_reads_are_not_kept() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_module, "UNSENT_BYTES", 2**16)
        async with beside(resume_s=0.0) as (app, host):
            await deaf(host, lambda bad: bad.frames(PING, bytes(125), 500))
            assert b'connections_cut_total{why="unread"} 1.0' in app.metrics.text()


@run
async def test_few_events_are_kept_and_never_many_bytes() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seat_module, "KEPT_BYTES", 10_000)
        async with serving() as (app, host), client(host) as socket:
            told = await configure(socket)
            for _ in range(40):
                await say(socket, "sing", event_id="x" * 500)
                await take(socket)
            (seat,) = app.seats.here.values()
            assert seat.last == 42
            assert sum(len(line) for line, _ in seat._log) <= 10_000
            for number, code in ((42, None), (2, 1011)):
                query = f"?session_id={told['id']}&after={number}"
                async with client(host, query) as back:
                    if code is None:
                        assert (await take(back))["type"] == "salmonn.resumed"
                    else:
                        assert await closed_with(back) == code
