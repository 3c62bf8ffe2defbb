"""The Python client against a real server with a scripted model, and against servers that err."""

import asyncio
import json
import socket
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from clients import realtime
from clients.realtime import SETTINGS, Json, Session, SessionLostError
from streaming.dialogue.session import one_each
from tests.clients.servers import SHORT, answers, begin, say, scripted, stay, url
from tests.streaming.fakes import pcm, session
from tests.streaming.server.test_app import TURN, fake, run, serving


@run
async def test_speaking_and_asking() -> None:
    async with serving() as (_, host), Session(url(host), settings=SHORT) as talk:
        await talk.audio(pcm(TURN))
        assert await answers(talk, 1) == ["I heard 3 windows"]
        await talk.ask("What was that?")
        assert (await answers(talk, 1))[0].startswith("I heard")


@run
async def test_a_connection_that_drops_is_not_noticed() -> None:
    paced = fake(lambda: session(pace=one_each))
    audio = pcm(TURN * 2)
    for drop_at in (0, 3000, 9000, 16000):
        async with serving(paced) as (_, host), Session(url(host), settings=SHORT) as talk:
            reading = asyncio.create_task(answers(talk, 2))
            for at in range(0, len(audio), 640):
                await talk.audio(audio[at : at + 640])
                if at <= drop_at < at + 640:
                    await asyncio.sleep(0.02)
                    assert talk._socket is not None
                    talk._socket.transport.abort()
                    await asyncio.sleep(0.02)
            # The second follows so soon that it goes on with the first.
            assert await reading == ["I heard 3 windows", "I heard 10 windows"], drop_at


# --- messages that are no events


@pytest.mark.parametrize(
    "message",
    ["no json", "", "[1]", "{}", '{"type": 3}', "null", "[" * 100_000, b"binary", b'{"type": "x"}'],
    ids=repr,
)
def test_what_is_no_event_is_an_error_and_the_session_goes_on(message: str | bytes) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(message)
        await begin(connection)
        await connection.send(message)
        await say(connection, type="salmonn.sound", event_id="event_2", name="knock")
        await stay(connection)

    @run
    async def test() -> None:
        async with scripted(talk) as url, Session(url) as session:
            events = aiter(session)
            came = [await anext(events) for _ in range(4)]
        assert [event["type"] for event in came] == [
            "error", "session.created", "error", "salmonn.sound",
        ]  # fmt: skip
        assert came[0]["error"]["code"] == "unreadable_message"
        assert "is no event" in came[0]["error"]["message"]

    test()


@pytest.mark.parametrize("fields", [{}, {"session": {}}, {"session": {"id": 3}}, {"session": None}])
def test_a_session_without_a_name_goes_on_but_cannot_be_resumed(fields: Json) -> None:
    async def first(connection: ServerConnection) -> None:
        await say(connection, type="session.created", event_id="event_x", **fields)
        assert json.loads(await connection.recv())["type"] == "session.update"
        connection.transport.abort()

    async def second(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert "session_id" not in connection.request.path
        await begin(connection)
        await stay(connection)

    @run
    async def test() -> None:
        async with scripted(first, second) as url, Session(url) as session:
            events = aiter(session)
            kinds = [(await anext(events))["type"] for _ in range(3)]
        assert kinds == ["session.created", "salmonn.restarted", "session.created"]

    test()


@run
async def test_a_server_that_does_not_say_what_it_has_is_left() -> None:
    async def first(connection: ServerConnection) -> None:
        await begin(connection)
        await connection.recv()
        connection.transport.abort()

    async def second(connection: ServerConnection) -> None:
        await say(connection, type="salmonn.resumed", audio_bytes="many")
        await stay(connection)

    async with scripted(first, second) as url, Session(url) as session:
        events = aiter(session)
        await anext(events)
        with pytest.raises(SessionLostError, match="does not say"):
            await anext(events)
        with pytest.raises(SessionLostError, match="does not say"):  # and who asks again is told
            await anext(aiter(session))


@run
async def test_whatever_goes_wrong_while_reading_nobody_waits_for_ever() -> None:
    async def talk(connection: ServerConnection) -> None:
        await begin(connection)
        await stay(connection)

    class Broken(Session):
        async def _take(self, event: Json) -> None:
            raise RuntimeError("a bug")

    async with scripted(talk) as url, Broken(url) as session:
        with pytest.raises(SessionLostError, match="RuntimeError") as caught:
            await anext(aiter(session))
    assert isinstance(caught.value.__cause__, RuntimeError)


@run
async def test_who_waits_for_events_is_told_of_the_end() -> None:
    async def talk(connection: ServerConnection) -> None:
        await begin(connection)
        await stay(connection)

    async with scripted(talk) as url:
        async with Session(url) as session:
            events = aiter(session)
            await anext(events)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
        with pytest.raises(SessionLostError, match="was ended"):
            await waiting


# --- farewells


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1008, "the session goes on over another connection"),
        (1009, "message too big"),
        (1011, "the session failed"),
    ],
)
def test_a_farewell_is_final(code: int, reason: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await begin(connection)
        await connection.close(code, reason)

    @run
    async def test() -> None:
        async with scripted(talk) as url, Session(url) as session:
            with pytest.raises(SessionLostError, match=reason):
                _ = [event async for event in session]

    test()


@run
async def test_who_cannot_begin_another_session_is_told() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(1011, realtime.FORGOTTEN)

    async with scripted(talk) as url, Session(url) as session:
        with pytest.raises(SessionLostError, match="cannot be resumed"):
            await anext(aiter(session))


# --- a server that was started anew


@run
async def test_a_server_that_forgot_the_session_gets_another_one() -> None:
    got: list[Any] = []
    over = asyncio.Event()

    async def first(connection: ServerConnection) -> None:
        await begin(connection)
        for _ in range(4):
            await connection.recv()
        connection.transport.abort()

    async def second(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert "session_id=sess_1&after=1" in connection.request.path
        assert not mine._ready.is_set()
        await mine.audio(b"34")  # said while there is no session
        await mine.send("input_audio_buffer.commit")
        await connection.close(1011, realtime.FORGOTTEN)

    async def third(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert "session_id" not in connection.request.path
        await begin(connection, "sess_2")
        for _ in range(3):
            message = await connection.recv()
            got.append(json.loads(message) if isinstance(message, str) else message)
        connection.transport.abort()

    async def fourth(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert "session_id=sess_2&after=1" in connection.request.path
        await say(connection, type="salmonn.resumed", audio_bytes=2, messages=1)
        got.append(json.loads(await connection.recv()))
        over.set()
        await stay(connection)

    async with scripted(first, second, third, fourth) as url, Session(url) as mine:
        events = aiter(mine)
        await anext(events)
        audio = {"input": {"turn_detection": None}}
        await mine.send("session.update", session={"type": "realtime", "audio": audio})
        await mine.audio(b"12")
        await mine.send("response.create")
        kinds = [(await anext(events))["type"] for _ in range(3)]
        await over.wait()
    assert kinds == ["salmonn.restarted", "session.created", "salmonn.resumed"]
    commit = {"type": "input_audio_buffer.commit"}
    assert got[1:] == [b"34", commit, commit]
    assert got[0]["type"] == "session.update"
    heard = got[0]["session"]["audio"]["input"]
    assert heard == {**SETTINGS["audio"]["input"], "turn_detection": None}  # as it was last


@run
async def test_a_conversation_goes_on_at_a_server_that_was_started_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with serving(port=port) as (_, host):
        session = await Session(url(host), settings=SHORT).__aenter__()
        await session.audio(pcm(TURN))
        assert await answers(session, 1) == ["I heard 3 windows"]
    await session.audio(pcm(TURN))
    async with serving(port=port):
        assert await answers(session, 1) == ["I heard 3 windows"]
        await session.__aexit__(None, None, None)


# --- what is kept


@run
async def test_a_session_that_only_types_stays_bounded() -> None:
    async def talk(connection: ServerConnection) -> None:
        await begin(connection)
        await stay(connection)

    async with scripted(talk) as url, Session(url) as session:
        for number in range(3000):
            await session.send("response.create", event_id=str(number))
        assert len(session._outbox) == 1000
