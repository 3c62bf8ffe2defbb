"""Clients that come and go as they like; a session beside them answers as ever."""

import asyncio
import base64
import json

import pytest

from streaming.dialogue.session import one_each
from streaming.server import app as app_module
from streaming.server.rate import Comers
from tests.streaming.fakes import Echo, session
from tests.streaming.server.test_abuse import REPLY, beside, closed_with, eventually, port, turn_of
from tests.streaming.server.test_app import (
    TURN,
    client,
    configure,
    fake,
    run,
    serving,
    speak,
    take,
    until,
)


@run
async def test_sockets_that_never_shake_hands_make_room() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "STRANGERS", 5)
        async with beside() as (app, host):
            hanging = [await asyncio.open_connection("127.0.0.1", port(host)) for _ in range(9)]
            await eventually(lambda: b'why="stranger"} 4.0' in app.metrics.text())
            async with client(host) as socket:
                await configure(socket)
                assert await turn_of(socket) == REPLY
            for _, writer in hanging:
                writer.transport.abort()


def test_refused_connects_do_not_count() -> None:
    comers = Comers(5.0)
    assert [comers.are_too_many(100.0) for _ in range(30)] == [False] * 5 + [True] * 25
    assert [comers.are_too_many(101.01) for _ in range(6)] == [False] * 5 + [True]


@run
async def test_who_left_without_a_word_keeps_nobody_out() -> None:
    async with serving(sessions=2, resume_s=20.0) as (app, host):
        async with client(host) as speaker:
            told = await configure(speaker)
            await speak(speaker, TURN)
            await until(speaker, "response.done")
        async with client(host) as silent:
            await take(silent)
        async with client(host) as third:
            await configure(third)
            assert told["id"] in app.seats.here, "what was said is kept"
            assert len(app.seats.here) == 2


@run
async def test_who_vanishes_mid_reply_leaves_nothing_behind() -> None:
    slow = fake(lambda: session(Long(), pace=one_each))
    async with serving(slow, resume_s=0.0) as (app, host):
        for _ in range(5):
            async with client(host) as socket:
                await configure(socket)
                await speak(socket, TURN)
                await until(socket, "response.output_text.delta")
                socket.transport.abort()
            await eventually(lambda: not app.seats.here)
        await eventually(lambda: not app.places.worker.sessions)


class Long(Echo):
    """An answer that goes on and on."""

    def token(self) -> str | None:
        return "and "


@run
async def test_who_vanishes_with_much_unheard_leaves_nothing_behind() -> None:
    async with serving(resume_s=0.0, backlog_s=0.01) as (app, host):
        async with client(host) as socket:
            await configure(socket)
            await socket.send(
                json.dumps(
                    {
                        "type": "input_audio_buffer.append",
                        "audio": base64.b64encode(bytes(2**22)).decode(),
                    }
                )
            )
            await eventually(lambda: any(s.given for s in app.seats.here.values()))
            socket.transport.abort()
        await eventually(lambda: not app.seats.here)


@run
async def test_tokens_that_are_no_ascii_are_wrong_tokens() -> None:
    async with serving(token="secret") as (_, host):
        reader, writer = await asyncio.open_connection("127.0.0.1", port(host))
        head = b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n"
        writer.write(
            head
            + b"Authorization: Bearer \xc3\xa9\xff\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 401 " in await reader.readline()
        writer.transport.abort()


@run
async def test_numbers_with_thousands_of_digits_cannot_be_resumed() -> None:
    async with serving() as (_, host), client(host) as socket:
        told = await configure(socket)
        query = f"?session_id={told['id']}&after={'9' * 5000}"
        async with client(host, query) as odd:
            assert await closed_with(odd) == 1011
        assert await turn_of(socket) == REPLY
