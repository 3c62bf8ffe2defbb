"""The log: a line for an event, nothing that a client sent, and never a flood."""

import asyncio
import contextlib
import logging

import pytest
from websockets.exceptions import ConnectionClosed

from streaming.server.log import BURST, Log, one_line_errors, where
from tests.streaming.server.test_app import client, configure, run, serving, take
from tests.streaming.server.test_http import SHAKING, asking

SECRET = "s3cr3t/AbC+dEf=="


def test_lines_of_a_kind_that_come_too_often_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    lines = Log(lambda: now[0])
    with caplog.at_level(logging.INFO):
        for _ in range(BURST + 5):
            lines.line("a.b", why="x")
        lines.line("other.kind")
        now[0] = 1.0
        lines.line("a.b", why="y")
    assert caplog.messages == ["a.b why=x"] * BURST + ["other.kind ", "a.b why=y more=5"]


def test_an_error_is_its_type_and_place() -> None:
    with pytest.raises(ValueError, match="s3cr3t") as caught:
        raise ValueError(SECRET)
    assert where(caught.value).startswith("error=ValueError at=test_log.py:")


@run
async def test_errors_of_the_event_loop_are_one_line_each() -> None:
    loop = asyncio.get_running_loop()
    lines = Log(lambda: 0.0)
    handle = one_line_errors(lines)
    with pytest.MonkeyPatch.context() as patch:
        told: list[str] = []
        patch.setattr("streaming.server.log.log.log", lambda level, form, *a: told.append(form % a))
        for _ in range(1000):
            handle(loop, {"message": SECRET, "exception": OSError(24, SECRET)})
        handle(loop, {"message": SECRET})
    assert len(told) == BURST + 1
    assert "error=OSError" in told[0]
    assert "errno=24" in told[0]
    assert not any(SECRET in line for line in told)


NASTY = [
    asking("GET", "/v1/realtime", **SHAKING, Sec_WebSocket_Protocol=f"realtime, x.{SECRET}"),
    asking("GET", "/v1/realtime", **SHAKING, Authorization=f"Bearer {SECRET}\x01"),
    asking("GET", "/v1/realtime", **SHAKING)[:-2] + f"Authorization:\r\n {SECRET}\r\n\r\n".encode(),
    asking("GET", f"/v1/realtime?session_id={SECRET}&after= 3", **SHAKING),
    asking("POST", f"/v1/realtime?session_id={SECRET}", "1.1"),
    asking("GET", f"/v1/realtime?session_id={SECRET}", "1.0", **SHAKING),
    asking("GET", "/", X=f"\x1b]0;{SECRET}\x07\x1b[31m2026-11-28 ERROR forged"),
    asking("GET", f"/{SECRET}"),
    asking("GET", "/v1/realtime", **{**SHAKING, "Sec_WebSocket_Key": SECRET}),
    asking("GET", "/v1/realtime", **{**SHAKING, "Sec_WebSocket_Version": SECRET}),
    asking("GET", "/v1/realtime", **{**SHAKING, "Connection": SECRET}),
    asking("GET", "/v1/realtime", **SHAKING, Sec_WebSocket_Extensions=f";;{SECRET}"),
    asking("GET", "/", Host=f"evil.{SECRET}"),
    asking("GET", "/v1/realtime", Origin=f"http://{SECRET}"),
    f"{SECRET}\r\n\r\n".encode(),
    asking("GET", "/", X=SECRET)[:-9],
    b"",
]


@pytest.mark.parametrize("token", [None, "another"])
def test_nothing_of_a_request_is_in_the_log(
    token: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    @run
    async def test() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streaming.server.connection.WRONG_TOKEN_S", 0.0)
            patch.setattr("streaming.server.app.WRONG_TOKEN_S", 0.0)
            async with serving(token=token) as (_, host):
                for raw in NASTY:
                    _, writer = await asyncio.open_connection(*host.split(":"))
                    writer.write(raw)
                    writer.close()  # and go, whatever the answer
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
                    reader, writer = await asyncio.open_connection(*host.split(":"))
                    writer.write(raw)
                    if raw.endswith(b"\r\n\r\n"):
                        await reader.readline()  # and go after the answer
                    writer.transport.abort()

    with caplog.at_level(logging.DEBUG, "salmonn-live"):
        test()
    whole = caplog.text
    assert len(caplog.records) > 5
    assert SECRET[:6] not in whole
    assert "forged" not in whole
    assert "\x1b" not in whole
    assert "Traceback" not in whole


@run
async def test_who_comes_and_goes_writes_few_lines() -> None:
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streaming.server.log.log.log", lambda level, form, *a: told.append(form % a))
        async with serving() as (_, host):
            for n in range(200):
                _, writer = await asyncio.open_connection(*host.split(":"))
                writer.write([b"", b"GET / HT", b"GET /v1/realtime HTTP/1.1\r\nX: "][n % 3])
                writer.transport.abort()
            await asyncio.sleep(0.1)
            async with client(host) as socket:
                await configure(socket)
    assert len(told) <= 2 * BURST


def test_what_is_typed_and_wrong_is_in_no_line(caplog: pytest.LogCaptureFixture) -> None:
    @run
    async def test() -> None:
        async with serving() as (_, host), client(host) as socket:
            await configure(socket)
            for text in (SECRET, f'{{"type": "{SECRET}"}}', f'{{"{SECRET}": 1}}', "\udcff" * 3):
                with contextlib.suppress(UnicodeEncodeError, ConnectionClosed):
                    await socket.send(text)
                    await take(socket)

    with caplog.at_level(logging.DEBUG, "salmonn-live"):
        test()
    assert SECRET[:6] not in caplog.text
