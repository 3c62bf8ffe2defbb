"""HTTP at the server's port: whatever a client may send is answered, and readably."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.server import connection as connection_module
from streaming.server.http import HEAD_BYTES, LINE_BYTES, LINES, Head, RefusedError, Request
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import TURN, answer, client, configure, run, serving, speak
from tests.streaming.server.test_app import until as events_until

Answer = tuple[int, dict[str, str], bytes]


async def http(host: str, *parts: bytes) -> Answer:
    """Send bytes as they are; status, headers with lower-case names and body of what comes."""
    reader, writer = await asyncio.open_connection(*host.split(":"))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    return _parsed(answer)


def _parsed(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), {name.lower(): value for name, value in headers.items()}, body


def message(found: Answer) -> str:
    return str(json.loads(found[2])["error"]["message"])


def asking(method: str, path: str, version: str = "1.1", **headers: str) -> bytes:
    given = {"Host": "localhost", **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode()


SHAKING = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec_WebSocket_Version": "13",
}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (asking("HEAD", "/healthz"), 200),
        (asking("GET", "/healthz", "1.0", Host=""), 200),
        (asking("GET", "/", "1.0"), 200),
        (asking("OPTIONS", "/v1/realtime"), 204),
        (asking("OPTIONS", "*"), 204),
        (asking("POST", "/healthz"), 405),
        (asking("DELETE", "/v1/realtime"), 405),
        (asking("BREW", "/"), 405),
        (asking("POST", "/v1/realtime/calls", Content_Length="4") + b"v=0\n", 415),
        (asking("GET", "/v1/realtime/calls"), 405),
        (asking("POST", "/v1/realtime/calls/rtc_1/hangup"), 404),
        (asking("POST", "/v1/realtime/calls/rtc_1/accept"), 405),
        (asking("POST", "/v1/realtime/client_secrets", Content_Length="2") + b"{}", 415),
        (asking("POST", "/v1/realtime/sessions"), 501),
        (asking("GET", "/v1/realtime?call_id=rtc_1", **SHAKING), 501),
        (asking("POST", "/v1/realtime/transcription_sessions"), 501),
        (asking("GET", "/v1/realtime?intent=transcription", **SHAKING), 501),
        (asking("GET", "/healthz/"), 200),
        (asking("GET", "/v1/realtime"), 426),
        (asking("GET", "/v1/realtime/"), 426),
        (asking("GET", "/realtime", **SHAKING), 404),
        (asking("GET", "/openai/v1/realtime", **SHAKING), 404),
        (asking("GET", "//["), 400),
        (asking("GET", "https://[::1"), 400),
        (asking("GET", "/", Host="") + b"", 400),
        (asking("GET", "/", X="\x01"), 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nOrigin: a\r\nOrigin: a\r\n\r\n", 400),
        (asking("GET", "/v1/realtime", Origin="http://["), 403),
        (asking("GET", "/", Host="localhost:x"), 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (asking("GET", "/", X="x" * HEAD_BYTES), 431),
    ],
)
def test_every_request_has_an_answer(raw: bytes, status: int) -> None:
    @run
    async def test() -> None:
        async with serving() as (_, host):
            found = await http(host, raw)
            assert found[0] == status
            assert int(found[1]["content-length"]) >= len(found[2])
            if status >= 400:
                assert found[1]["content-type"] == "application/json"
                assert message(found)

    test()


@run
async def test_answers_say_what_would_be_right() -> None:
    async with serving(token="secret") as (_, host):
        head = await http(host, asking("HEAD", "/healthz"))
        assert (head[1]["content-length"], head[2]) == ("3", b"")
        assert (await http(host, asking("PUT", "/")))[1]["allow"] == "GET, HEAD, OPTIONS"
        needed = await http(host, asking("GET", "/v1/realtime"))
        assert needed[0] == 401
        assert needed[1]["www-authenticate"].startswith("Bearer")
        upgrade = await http(host, asking("GET", "/v1/realtime", Authorization="Bearer secret"))
        assert (upgrade[0], upgrade[1]["upgrade"]) == (426, "websocket")


@run
async def test_a_head_comes_in_any_pieces_and_with_the_first_frame() -> None:
    shake = asking("GET", "/v1/realtime/?model=x", **SHAKING)
    for size in (1, 7, 1000):
        async with serving() as (_, host):
            reader, writer = await asyncio.open_connection(*host.split(":"))
            frame = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"{}"  # a message that is no event
            whole = shake + frame
            for at in range(0, len(whole), size):
                writer.write(whole[at : at + size])
                await asyncio.sleep(0)
            assert b" 101 " in await reader.readline()
            await reader.readuntil(b'"code": "unknown_or_invalid_event"')
            writer.transport.abort()


@run
async def test_a_folded_header_opens_a_socket() -> None:
    folded = asking("GET", "/v1/realtime", **SHAKING)[:-2] + b"X: a\r\n b\r\n\r\n"
    async with serving() as (_, host):
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(folded)
        assert b" 101 " in await reader.readline()
        writer.transport.abort()


@given(
    st.lists(st.integers(1, 50), max_size=9),
    st.binary(max_size=20),
    st.sampled_from(["/", "/a/?b=%20", "*", "http://x/y"]),
)
def test_a_head_is_the_same_however_it_is_cut(cuts: list[int], rest: bytes, target: str) -> None:
    raw = asking("GET", target, X="a") + rest
    reader, found, at = Head(), None, 0
    for size in [*cuts, len(raw)]:
        found = reader.push(raw[at : at + size]) if found is None else found
        at += size
        if found is not None:
            break
    assert found is not None
    request, after = found
    assert request == Request("GET", target, "1.1", (("host", "localhost"), ("x", "a")))
    assert rest.startswith(after)
    assert request.serialised() == raw[: len(raw) - len(rest)].lower().replace(
        b"get " + target.lower().encode() + b" http", b"GET " + target.encode() + b" HTTP"
    )


@pytest.mark.parametrize("cut", [1, 5000, 99_999])
def test_the_longest_head_and_one_byte_more(cut: int) -> None:
    def taken(length: int) -> bool:
        raw = asking("GET", "/", X="x" * 7990, Y="x" * 7990, Z="@")
        raw = raw.replace(b"@", b"x" * (length - len(raw) + 1))
        reader = Head()
        try:
            return any(reader.push(raw[at : at + cut]) for at in range(0, length, cut))
        except RefusedError as error:
            return error.status != 431

    assert taken(HEAD_BYTES)
    assert not taken(HEAD_BYTES + 1)


def test_the_longest_header_and_the_most_of_them() -> None:
    for extra, allowed in ((0, True), (1, False)):
        for raw in (
            asking("GET", "/", X="x" * (LINE_BYTES - 1 + extra)),
            asking("GET", "/", **{f"X{n}": "" for n in range(LINES - 1 + extra)}).replace(
                b"\r\n\r\n",
                b"".join(b"\r\nX: x" for n in range(LINES - 1 + extra)) + b"\r\n\r\n",
            ),
        ):
            if allowed:
                assert Head().push(raw) is not None
            else:
                with pytest.raises(RefusedError):
                    Head().push(raw)


# --- who may ask for what


@run
async def test_a_plain_request_takes_nobodys_place_and_no_turn() -> None:
    async with serving(sessions=1, connects_per_s=3.0, resume_s=9.0) as (app, host):
        for _ in range(20):
            assert (await http(host, asking("GET", "/v1/realtime")))[0] == 426
        async with client(host) as socket:
            await configure(socket)
            assert (await http(host, asking("GET", "/v1/realtime")))[0] == 503
        await eventually(lambda: next(iter(app.seats.here.values())).left_at is not None)
        assert (await http(host, asking("GET", "/v1/realtime")))[0] == 426
        assert len(app.seats.here) == 1, "who left and had not been heard was made to go"


@run
async def test_what_needs_the_token() -> None:
    async with serving(token="secret") as (_, host):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection_module, "WRONG_TOKEN_S", 0.0)
            for path, status in [("/metrics", 401), ("/v1/models", 401), ("/healthz", 200),
                                 ("/readyz", 200), ("/", 200), ("/app.js", 200)]:  # fmt: skip
                assert (await http(host, asking("GET", path)))[0] == status, path
                keyed = asking("GET", path, Authorization="bearer secret")
                assert (await http(host, keyed))[0] == 200


@run
async def test_a_wrong_token_is_answered_late_and_nobody_else() -> None:
    waits: list[float] = []
    async with serving(token="secret") as (app, host):
        with pytest.MonkeyPatch.context() as patch:
            later = app.seats._loop.call_later
            patch.setattr(connection_module, "WRONG_TOKEN_S", 0.01)

            def counted(seconds: float, what: Any, *given: Any) -> asyncio.TimerHandle:
                waits.append(seconds)
                return later(seconds, what, *given)

            patch.setattr(app.seats._loop, "call_later", counted)
            await http(host, asking("GET", "/metrics"))
            assert 0.01 in waits
            waits.clear()
            await http(host, asking("GET", "/metrics", Authorization="Bearer secret"))
            assert 0.01 not in waits


@asynccontextmanager
async def certified(folder: Path, **changes: Any) -> AsyncIterator[tuple[Any, str]]:
    """A server with TLS."""
    pair = folder / "c.pem", folder / "k.pem"
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -out {} -keyout {}"
    )
    await asyncio.to_thread(
        subprocess.run, make.format(*pair).split(), check=True, capture_output=True
    )
    certificate, key = map(str, pair)
    async with serving(certificate=certificate, key=key, **changes) as given:
        yield given


def test_tls_serves_pages_and_sockets_and_counts_who_never_shakes_hands(tmp_path: Path) -> None:
    @run
    async def test() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streaming.server.app.STRANGERS", 5)
            async with certified(tmp_path) as (app, host):
                trust = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
                trust.check_hostname = False
                name, port = host.split(":")
                silent = [await asyncio.open_connection(name, port) for _ in range(9)]
                await eventually(lambda: b'why="stranger"} 4.0' in app.metrics.text())
                reader, writer = await asyncio.open_connection(name, port, ssl=trust)
                writer.write(asking("POST", "/v1/realtime/calls", Content_Length="1") + b"x")
                assert b" 415 " in (await reader.read())
                writer.close()
                plain = await asyncio.open_connection(name, port)
                plain[1].write(asking("GET", "/"))
                assert await plain[0].read() == b""  # no TLS, no answer
                where = f"wss://{host}/v1/realtime"
                from websockets.asyncio.client import connect

                async with connect(where, ssl=trust, origin=f"https://{host}") as socket:  # type: ignore[arg-type]
                    await configure(socket)
                    await speak(socket, TURN)
                    assert answer(await events_until(socket, "response.done"))
                for _, writer in [*silent, plain]:
                    writer.transport.abort()

    test()
