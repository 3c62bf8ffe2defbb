"""Requests with a body: what they may cost, and that whatever comes is answered, or cut off."""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from bench.target import any_certificate, self_signed
from streaming.server import exchange
from streaming.server.app import App
from streaming.server.exchange import EVENTS, Answer, Work, server_sent
from streaming.server.http import RefusedError, Reply, Request
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import TURN, answer, client, configure, fake, run, serving
from tests.streaming.server.test_app import speak as speak_to
from tests.streaming.server.test_app import until as events_until
from tests.streaming.server.test_http import asking, http, message

PATH = "/v1/echo"
MOST = 1000


async def echo(_: Request, body: bytes, answer: Answer) -> None:
    """What is asked for by the first byte."""
    match body[:1]:
        case b"e":
            await answer.begin(EVENTS)
            await answer.write(server_sent({"n": 1}))
            raise RefusedError(HTTPStatus.BAD_REQUEST, "late", "Too late.", param="p")
        case b"!":
            raise ValueError("SECRET WORDS")
        case b"~":
            await answer.begin("text/plain")
            for _n in range(64):
                await answer.write(b"x" * 2**16)
            await answer.end()
        case b"w":
            await asyncio.sleep(60)
        case _:
            await answer.whole(Reply(HTTPStatus.OK, b"%d " % len(body) + body[:9], "text/plain"))


@asynccontextmanager
async def echoing(**changes: Any) -> AsyncIterator[tuple[App, str]]:
    assistant = replace(fake(), works=lambda _: {PATH: Work(MOST, echo)})
    async with serving(assistant, **changes) as found:
        yield found


def posting(body: bytes, **headers: str) -> bytes:
    return asking("POST", PATH, **{"Content_Length": str(len(body)), **headers}) + body


def chunked(*chunks: bytes) -> bytes:
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return asking("POST", PATH, Transfer_Encoding="chunked") + b"".join(parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (posting(b"hello"), 200),
        (posting(b""), 200),
        (posting(b"x" * MOST), 200),
        (asking("POST", PATH), 200),
        (asking("POST", PATH, "1.0", Content_Length="2") + b"hi", 200),
        (asking("POST", PATH, Content_Length="2") + b"hello", 200),
        (chunked(b"hel", b"lo"), 200),
        (chunked(b"x" * 600, b"x" * 401), 413),
        (posting(b"x" * (MOST + 1)), 413),
        (asking("POST", PATH, Content_Length=str(2**62)), 413),
        (asking("POST", PATH, Content_Length="-1"), 400),
        (asking("POST", PATH, Content_Length="x"), 400),
        (asking("POST", PATH, Content_Length="2", Transfer_Encoding="gzip"), 501),
        (asking("POST", PATH, Transfer_Encoding="chunked") + b"zz\r\n", 400),
        (asking("POST", PATH, Transfer_Encoding="chunked") + b"f" * 30 + b"\r\n", 400),
        (asking("GET", PATH), 405),
        (asking("PUT", PATH, Content_Length="1") + b"x", 405),
        (asking("POST", PATH, Host="elsewhere.example", Content_Length="1") + b"x", 403),
        (posting(b"x", Origin="http://elsewhere.example"), 403),
        (posting(b"x", Origin="null"), 403),
        (posting(b"!"), 500),
    ],
)
def test_every_body_has_an_answer(raw: bytes, status: int) -> None:
    @run
    async def test() -> None:
        async with echoing() as (app, host):
            found = await http(host, raw)
            assert found[0] == status
            if status >= 400:
                assert message(found)
            else:
                assert int(found[2].split()[0]) <= MOST
            await eventually(lambda: not app.exchanges._tasks)

    test()


@run
async def test_a_body_comes_in_any_pieces() -> None:
    raw = posting(b"hello there")
    async with echoing() as (_, host):
        for size in (1, 7, 50):
            pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
            assert (await http(host, *pieces))[2] == b"11 hello the"


@run
async def test_a_client_that_waits_to_be_told_is_told() -> None:
    async with echoing() as (_, host):
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(asking("POST", PATH, Content_Length="2", Expect="100-continue"))
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hi")
        assert b"2 hi" in await reader.read()
        writer.close()
        refused = asking("POST", PATH, Content_Length="2000", Expect="100-continue")
        assert (await http(host, refused))[0] == 413, "before the body is there"


@run
async def test_the_token_and_the_origin_are_looked_at_before_the_body() -> None:
    async with echoing(token="secret", origins=["https://page.example"]) as (_, host):
        for raw in (
            asking("POST", PATH, Content_Length="9"),
            asking("POST", PATH, Content_Length="9", Authorization="Bearer wrong"),
        ):
            found = await http(host, raw)
            assert found[0] == 401
            assert found[1]["www-authenticate"].startswith("Bearer")
        right = {"Authorization": "bearer secret"}
        assert (await http(host, posting(b"hi", **right)))[0] == 200
        shared = await http(host, posting(b"hi", Origin="https://page.example", **right))
        assert shared[1]["access-control-allow-origin"] == "https://page.example"


@run
async def test_pages_of_known_origins_may_ask_what_they_may_send() -> None:
    async with echoing(origins=["https://page.example"]) as (_, host):
        wanted = {"Access_Control_Request_Headers": "authorization, x-stainless-os"}
        known = asking("OPTIONS", PATH, Origin="https://page.example", **wanted)
        status, headers, _ = await http(host, known)
        assert (status, headers["access-control-allow-methods"]) == (204, "POST")
        assert headers["access-control-allow-headers"] == "authorization, x-stainless-os"
        assert headers["access-control-allow-origin"] == "https://page.example"
        other = asking("OPTIONS", PATH, Origin="https://other.example", **wanted)
        assert (await http(host, other))[0] == 403


@run
async def test_a_slow_body_is_given_up() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "STALL_S", 0.1)
        async with echoing() as (_, host):
            stalled = await http(host, asking("POST", PATH, Content_Length="9") + b"x")
            assert stalled[0] == 408
            reader, writer = await asyncio.open_connection(*host.split(":"))
            writer.write(asking("POST", PATH, Content_Length="999"))
            for _ in range(100):  # never still for long, and much slower than is allowed
                writer.write(b"x")
                await asyncio.sleep(0.02)
                if reader.at_eof() or reader._buffer:  # type: ignore[attr-defined]
                    break
            assert b" 408 " in await reader.read()
            writer.close()


@run
async def test_tiny_chunks_are_refused_before_they_cost_much() -> None:
    assistant = replace(fake(), works=lambda _: {PATH: Work(10**6, echo)})
    async with serving(assistant) as (_, host):
        found = await http(host, chunked(*[b"x"] * 5000))
        assert found[0] == 400
        assert "too small" in message(found)
        assert (await http(host, chunked(*[b"x" * 100] * 5000)))[0] == 200


@run
async def test_so_many_requests_at_once_and_live_sessions_go_on() -> None:
    async with echoing(sessions=1) as (app, host):
        waiting = [await asyncio.open_connection(*host.split(":")) for _ in range(exchange.BODIES)]
        for _, writer in waiting:
            writer.write(asking("POST", PATH, Content_Length="9"))
        await eventually(lambda: len(app.exchanges._tasks) == exchange.BODIES)
        found = await http(host, posting(b"hi"))
        assert (found[0], found[1]["retry-after"]) == (429, "1")
        async with client(host) as socket:
            await configure(socket)
            await speak_to(socket, TURN)
            assert answer(await events_until(socket, "response.done")) == "I heard 3 windows"
        for _, writer in waiting:
            writer.close()
        await eventually(lambda: not app.exchanges._tasks)
        assert (await http(host, posting(b"hi")))[0] == 200


@run
async def test_requests_are_counted_as_new_connections_are() -> None:
    async with echoing(connects_per_s=2.0) as (_, host):
        statuses = [(await http(host, posting(b"hi")))[0] for _ in range(4)]
        assert statuses[:2] == [200, 200]
        assert 429 in statuses[2:]


@run
async def test_work_for_a_client_that_left_ends() -> None:
    async with echoing() as (app, host):
        _, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(posting(b"w"))
        await eventually(lambda: bool(app.exchanges._tasks))
        writer.transport.abort()
        await eventually(lambda: not app.exchanges._tasks)


@run
async def test_an_answer_that_nobody_reads_is_broken_off() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "STALL_S", 0.2)
        async with echoing() as (app, host):
            _, writer = await asyncio.open_connection(*host.split(":"))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(posting(b"~"))
            await eventually(lambda: bool(app.exchanges._tasks))
            await eventually(lambda: not app.exchanges._tasks)
            writer.transport.abort()


@run
async def test_an_error_after_the_first_event_is_an_event() -> None:
    async with echoing() as (_, host):
        status, headers, body = await http(host, posting(b"e"))
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        events = [json.loads(line[6:]) for line in body.split(b"\r\n") if line[:5] == b"data:"]
        assert events[0] == {"n": 1}
        assert events[1]["error"] == {
            "type": "invalid_request_error", "code": "late", "message": "Too late.", "param": "p",
        }  # fmt: skip
        old = asking("POST", PATH, "1.0", Content_Length="1") + b"~"
        status, headers, body = await http(host, old)
        assert "transfer-encoding" not in headers
        assert len(body) == 2**22


@run
async def test_a_server_that_ends_waits_for_answers_and_takes_no_more_requests() -> None:
    async with echoing() as (app, host):
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(asking("POST", PATH, Content_Length="5"))
        await eventually(lambda: bool(app.exchanges._tasks))
        ending = asyncio.create_task(app.drain(5.0))
        await eventually(lambda: app.exchanges.draining)
        assert (await http(host, posting(b"hi")))[0] == 503
        writer.write(b"hello")
        assert b"5 hello" in await reader.read()
        writer.close()
        await ending


@run
async def test_a_server_that_has_waited_long_enough_breaks_answers_off() -> None:
    async with echoing() as (app, host):
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(posting(b"w"))
        await eventually(lambda: bool(app.exchanges._tasks))
        await app.drain(0.05)
    assert await reader.read() == b""
    writer.close()


def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @run
    async def test() -> None:
        async with echoing() as (_, host):
            await http(host, posting(b"!SECRET", X="SECRET"))
            await http(host, asking("POST", f"{PATH}?SECRET=1", Content_Length="1") + b"x")
            await http(host, asking("POST", PATH, Transfer_Encoding="chunked") + b"SECRET\r\n")

    caplog.set_level(logging.DEBUG)
    test()
    assert f"request.ends path={PATH} status=500" in caplog.text
    assert "request.fails error=ValueError" in caplog.text
    assert "SECRET" not in caplog.text


@run
async def test_a_request_takes_no_strangers_place() -> None:
    async with echoing() as (app, host):
        _, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(posting(b"w"))
        await eventually(lambda: bool(app.exchanges._tasks))
        assert not app.strangers._here
        writer.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_bodies_and_answers_are_the_same_under_tls(tmp_path: Path) -> None:
    self_signed(tmp_path)
    files = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}

    @run
    async def test() -> None:
        async with echoing(**files) as (app, host):
            for body, expected in ((b"hello", b"5 hello"), (b"~", b"x" * 2**16)):
                reader, writer = await asyncio.open_connection(
                    *host.split(":"), ssl=any_certificate()
                )
                raw = posting(body)
                writer.write(raw[:40])
                await asyncio.sleep(0.01)
                writer.write(raw[40:])
                answer = await reader.read()
                assert b" 200 " in answer[:20]
                assert expected in answer
                assert len(answer) > 2**22 or body == b"hello"
                writer.close()
                await eventually(lambda: not app.exchanges._tasks)

    test()
