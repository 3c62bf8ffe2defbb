"""The server over real sockets, with a scripted model."""

import asyncio
import base64
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.version import version

from assistant.errors import ComponentError
from streaming.config import ServerConfig
from streaming.dialogue.session import Session, one_each
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import Settings
from streaming.realtime.wire import SessionConfig
from streaming.server.app import App, running
from streaming.server.assistant import Assistant
from tests.streaming.fakes import CONFIG, TURNS, Echo, pcm, session

Json = dict[str, Any]
TURN = "...SSSS" + "." * 20


def fake(new_session: Callable[[], Session] | None = None) -> Assistant:
    def protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        return Realtime(
            SessionConfig(id=name, model="fake", expires_at=expires_at, instructions="Reply."),
            Settings(TURNS, CONFIG), new_id, longest=50, longest_text=9000,
            audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=True,
        )  # fmt: skip

    return Assistant("fake", new_session or (lambda: session(pace=None)), protocol)


@asynccontextmanager
async def serving(
    assistant: Assistant | None = None, **changes: Any
) -> AsyncIterator[tuple[App, str]]:
    config = ServerConfig(**{"port": 0, "resume_s": 5.0, "connects_per_s": 1000.0, **changes})
    async with running(assistant or fake(), config) as (app, server):
        port = next(iter(server.sockets)).getsockname()[1]
        yield app, f"127.0.0.1:{port}"


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def call() -> None:
        asyncio.run(asyncio.wait_for(test(), 30))

    call.__name__ = test.__name__
    return call


@asynccontextmanager
async def client(host: str, query: str = "", **more: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{host}/v1/realtime{query}", compression=None, **more) as socket:
        yield socket


async def configure(socket: ClientConnection, **changes: Any) -> Json:
    """Take `session.created`, wish for short endpoints at 16 kHz, and take `session.updated`."""
    created = await take(socket)
    assert created["type"] == "session.created"
    detection = {"type": "server_vad", "silence_duration_ms": 160}
    audio = {"input": {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": detection}}
    await say(socket, "session.update", session={"type": "realtime", "audio": audio, **changes})
    assert (await take(socket))["type"] == "session.updated"
    return created["session"]  # type: ignore[no-any-return]


async def take(socket: ClientConnection) -> Json:
    return json.loads(await socket.recv())  # type: ignore[no-any-return]


async def say(socket: ClientConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def speak(socket: ClientConnection, script: str) -> None:
    audio = base64.b64encode(pcm(script)).decode()
    await say(socket, "input_audio_buffer.append", audio=audio)


async def until(socket: ClientConnection, kind: str) -> list[Json]:
    events: list[Json] = []
    while not events or events[-1]["type"] != kind:
        events.append(await take(socket))
    return events


def answer(events: list[Json]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


@run
async def test_a_turn_over_a_socket() -> None:
    async with serving() as (_, host), client(host, "?model=anything") as socket:
        await configure(socket)
        await speak(socket, TURN)
        assert answer(await until(socket, "response.done")) == "I heard 3 windows"


@run
async def test_browsers_get_their_subprotocol_and_others_none() -> None:
    async with serving() as (_, host):
        offered = ["realtime", "openai-insecure-api-key.x", "openai-agents-sdk.1"]
        async with client(host, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
        async with client(host) as socket:
            assert socket.subprotocol is None


@run
async def test_audio_can_come_as_binary_messages_where_that_is_wished() -> None:
    async with serving() as (_, host), client(host) as socket:
        await configure(socket, salmonn={"binary_audio": True, "latency": True})
        for at in range(0, len(pcm(TURN)), 999):
            await socket.send(pcm(TURN)[at : at + 999])
        latency = (await until(socket, "salmonn.latency"))[-1]
        assert latency["windows"] == 3
        assert latency["endpoint_wait_ms"] == 160
        assert latency["compute_ms"] >= 0


def get(host: str, path: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(f"http://{host}{path}") as found:
            return found.status, found.headers["Content-Type"], found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


@run
async def test_pages() -> None:
    async with serving() as (_, host), client(host) as socket:
        await configure(socket)
        await speak(socket, TURN)
        await until(socket, "response.done")
        asked = ["/healthz", "/readyz", "/v1/models", "/metrics", "/", "/app.js", "/worklet.js"]
        asked += ["/../config.yaml", "/nothing", "/__init__.py"]
        found = [await asyncio.to_thread(get, host, path) for path in asked]
    assert [status for status, _, _ in found] == [200] * 7 + [404] * 3
    assert json.loads(found[2][2])["data"][0]["id"] == "fake"
    assert "salmonn_sessions 1.0" in found[3][2]
    assert "salmonn_first_text_seconds_count 1.0" in found[3][2]
    assert "salmonn_endpoint_wait_seconds_count 1.0" in found[3][2]
    assert 'salmonn_reply_seconds_count{stage="secret"} 1.0' in found[3][2]
    assert found[4][1] == "text/html"
    assert "javascript" in found[5][1]


async def refused(host: str, **more: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with client(host, **more):
            pass
    return caught.value.response.status_code


@run
async def test_a_token_is_asked_for_and_taken_from_header_or_subprotocol() -> None:
    async with serving(token="secret") as (_, host):
        assert await refused(host) == 401
        assert await refused(host, additional_headers={"Authorization": "Bearer wrong"}) == 401
        async with client(host, additional_headers={"Authorization": "Bearer secret"}) as socket:
            await configure(socket)
        keyed = ["realtime", "openai-insecure-api-key.secret"]
        async with client(host, subprotocols=keyed) as socket:
            await configure(socket)


@run
async def test_pages_of_others_may_not_connect() -> None:
    async with serving(origins=["https://friend.example"]) as (_, host):
        assert await refused(host, origin="https://evil.example") == 403
        for origin in (f"http://{host}", "https://friend.example"):
            async with client(host, origin=origin) as socket:
                await configure(socket)


@run
async def test_there_are_so_many_places_and_a_place_becomes_free() -> None:
    async with serving(sessions=1, resume_s=0.0) as (app, host):
        async with client(host) as socket:
            await configure(socket)
            assert await refused(host) == 503
        await asyncio.sleep(0.1)
        async with client(host) as socket:
            await configure(socket)
        assert b'refused_total{why="busy"} 1.0' in app.metrics.text()


@run
async def test_so_many_connects_per_second() -> None:
    async with serving(sessions=1, connects_per_s=2.0) as (_, host), client(host):
        codes = [await refused(host) for _ in range(3)]
        assert codes == [503, 429, 429]


def plain(events: list[Json]) -> list[Json]:
    """Events without what differs from session to session."""
    return [e for e in events if not e["type"].startswith("salmonn.")]


async def conversation(host: str, drop_at: int | None, rng: random.Random) -> list[Json]:
    """A talk of two turns; the connection drops before its n-th piece, and comes back."""
    audio = pcm(TURN + "SSSSS" + "." * 20)
    events: list[Json] = []
    query, sent = "", 0
    while True:
        async with client(host, query) as socket:
            if not query:
                told = await configure(socket, salmonn={"binary_audio": True})
                events = [{"event_id": "event_2", "type": "x"}]
            else:
                back = await take(socket)
                assert back["type"] == "salmonn.resumed"
                sent = back["audio_bytes"]
            rest = audio[sent:]
            stop = len(rest) if drop_at is None else max(0, drop_at * 1280 - sent)
            for at in range(0, stop, 1280):
                await socket.send(rest[at : min(at + 1280, stop)])
            if drop_at is not None:
                for _ in range(rng.randrange(4)):
                    events.append(await take(socket)) if stop > 30_000 else None
                number = int(events[-1]["event_id"].removeprefix("event_"))
                query, drop_at = f"?session_id={told['id']}&after={number}", None
                socket.transport.abort()
                continue
            while [e["type"] for e in events].count("response.done") < 2:
                events.append(await take(socket))
            return plain(events)[1:]


@run
async def test_a_dropped_session_goes_on_where_it_was() -> None:
    rng = random.Random(0)
    paced = fake(lambda: session(pace=one_each))
    async with serving(paced, sessions=40) as (_, host):
        whole = await conversation(host, None, rng)
        for drop_at in (0, 1, 5, 9, 13, 14, 15, 16, 18, 22):
            again = await conversation(host, drop_at, rng)
            assert [e["type"] for e in again] == [e["type"] for e in whole], drop_at
            assert [e["event_id"] for e in again] == [e["event_id"] for e in whole]
            assert answer(again) == answer(whole)


@run
async def test_what_cannot_be_resumed_is_told() -> None:
    async with serving() as (_, host), client(host, "?session_id=sess_x&after=1") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1011


@run
async def test_a_session_that_fails_ends_alone() -> None:
    class Failing(Echo):
        def ask(self) -> int:
            raise ComponentError("a part of the model is gone")

    listeners = [Failing(), Echo()]
    assistant = fake(lambda: session(listeners.pop(0), pace=None))
    async with serving(assistant) as (_, host), client(host) as bad:
        await configure(bad)
        async with client(host) as good:
            await configure(good)
            await speak(bad, TURN)
            error = (await until(bad, "error"))[-1]["error"]
            assert (error["type"], error["message"]) == (
                "server_error",
                "a part of the model is gone",
            )
            with pytest.raises(ConnectionClosed):
                await bad.recv()
            await speak(good, TURN)
            assert answer(await until(good, "response.done")) == "I heard 3 windows"


@run
async def test_too_long_a_message_ends_the_connection_only() -> None:
    async with serving(message_mb=0.01) as (_, host):
        async with client(host) as socket:
            await configure(socket)
            await socket.send("x" * 20_000)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1009
        async with client(host) as socket:
            await configure(socket)


@run
async def test_a_server_that_goes_finishes_what_is_being_said() -> None:
    async with serving() as (app, host), client(host) as socket:
        await configure(socket)
        await speak(socket, "...SSSS" + "." * 8)
        await until(socket, "response.created")
        draining = asyncio.create_task(app.drain(5))
        assert (await until(socket, "response.done"))[-1]["response"]["status"] == "completed"
        await draining
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert await refused(host) == 503
        assert (await asyncio.to_thread(get, host, "/readyz"))[0] == 503


def test_the_client_library_is_the_one_expected() -> None:
    assert int(version.split(".")[0]) >= 15


@run
async def test_a_number_that_never_was_does_not_stop_the_server() -> None:
    async with serving() as (_, host), client(host) as socket:
        told = await configure(socket)
        async with client(host, f"?session_id={told['id']}&after=999999") as odd:
            with pytest.raises(ConnectionClosed):
                await odd.recv()
        await speak(socket, TURN)
        assert answer(await until(socket, "response.done")) == "I heard 3 windows"


@run
async def test_bad_messages_cost_nobody_a_place() -> None:
    async with serving(sessions=1, resume_s=0.0) as (_, host):
        for _ in range(3):
            async with client(host) as socket:
                await configure(socket)
                await socket.send("[" * 100_000)
                assert (await take(socket))["type"] == "error"
            await asyncio.sleep(0.05)


@run
async def test_who_comes_back_takes_the_place_of_a_half_open_connection() -> None:
    async with serving() as (_, host), client(host) as old:
        told = await configure(old)
        async with client(host, f"?session_id={told['id']}&after=2") as new:
            assert (await take(new))["type"] == "salmonn.resumed"
            with pytest.raises(ConnectionClosed):
                await until(old, "never")
            assert (old.close_code, old.close_reason) == (
                1008,
                "the session goes on over another connection",
            )
            await speak(new, TURN)
            assert answer(await until(new, "response.done")) == "I heard 3 windows"


@run
async def test_a_session_lasts_so_long_and_says_so() -> None:
    before = time.time()
    async with serving(session_minutes=0.01) as (_, host), client(host) as socket:
        created = await configure(socket)  # and says nothing more
        assert before < created["expires_at"] + 1 <= time.time() + 2
        events = await until(socket, "error")
        warning = next(e for e in events if e["type"] == "salmonn.session_expires")
        assert warning["expires_at"] == created["expires_at"]
        assert warning.keys() == {"type", "event_id", "expires_at", "seconds_left"}
        assert events[-1]["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed):
            await take(socket)
        assert socket.close_code == 1001
        assert "lasted as long as it may" in (socket.close_reason or "")


@run
async def test_a_session_that_ends_while_its_client_is_away_tells_it_later() -> None:
    async with serving(session_minutes=0.005) as (app, host):
        async with client(host) as socket:
            told = await configure(socket)
        seat = app.seats.here[told["id"]]
        await seat.ended.wait()
        async with client(host, f"?session_id={told['id']}&after=2") as back:
            events = await until(back, "error")
            assert events[-1]["error"]["code"] == "session_expired"


@run
async def test_a_session_that_failed_is_not_to_be_come_back_to() -> None:
    class Failing(Echo):
        def ask(self) -> int:
            raise RuntimeError("a bug, with words of the user's")

    failing = fake(lambda: session(Failing(), pace=None))
    async with serving(failing) as (_, host), client(host) as bad:
        await configure(bad)
        await speak(bad, TURN)
        assert (await until(bad, "error"))[-1]["error"]["message"] == "an error of the server"
        with pytest.raises(ConnectionClosed):
            await take(bad)
        assert bad.close_code == 1011
