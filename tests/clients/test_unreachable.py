"""The Python client against a server that cannot be reached, or refuses."""

import ssl
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from clients import realtime
from clients.errors import ClientError
from clients.realtime import Session, SessionLostError, address
from tests.clients.servers import begin, scripted, stay, url
from tests.streaming.server.test_app import run, serving


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited between two tries, without waiting so long."""
    waited: list[float] = []

    async def short(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(realtime, "sleep", short)
    return waited


@pytest.mark.parametrize(
    ("tries", "waited"), [(1, []), (3, [0.25, 0.5]), (99, [0.25, 0.5, 1, 2, 4])]
)
def test_a_server_that_is_not_there_is_told_after_the_last_try(
    tries: int, waited: list[float], waits: list[float]
) -> None:
    @run
    async def test() -> None:
        with pytest.raises(SessionLostError, match="ws://127.0.0.1:9"):
            async with Session("ws://127.0.0.1:9/v1/realtime", tries=tries):
                pass

    test()
    assert waits == waited


REFUSALS = [
    (HTTPStatus.UNAUTHORIZED, b"A token is needed.\n", "A token is needed. .HTTP 401."),
    (
        HTTPStatus.FORBIDDEN,
        b'{"error": {"message": "Not from there."}}',
        "Not from there. .HTTP 403",
    ),
    (HTTPStatus.BAD_REQUEST, b'{"error": "x"}', "error.* .HTTP 400."),
    (HTTPStatus.NOT_FOUND, b"<html><body>nginx</body></html>", "realtime: Not Found .HTTP 404."),
    (HTTPStatus.UPGRADE_REQUIRED, b"", "Upgrade Required .HTTP 426."),
    (HTTPStatus.NOT_IMPLEMENTED, b"[" * 100_000, "HTTP 501"),
    (HTTPStatus.OK, b"a\x1bpage\nof a thousand words" * 99, "a.page of .{200,300} .HTTP 200.$"),
]


@pytest.mark.parametrize(("status", "body", "told"), REFUSALS)
def test_a_refusal_that_cannot_get_better_is_told_at_once_in_the_servers_words(
    status: HTTPStatus, body: bytes, told: str, waits: list[float]
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
        return Response(status.value, status.phrase, headers, body)

    @run
    async def test() -> None:
        async with serve(stay, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(SessionLostError, match=told) as caught:
                async with Session(f"ws://user:secret@127.0.0.1:{port}/v1/realtime?key=secret"):
                    pass
        assert "secret" not in str(caught.value)

    test()
    assert waits == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_for_now_is_tried_again(status: int, waits: list[float]) -> None:
    busy = [status, status]

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus(busy.pop()), "later\n") if busy else None

    @run
    async def test() -> None:
        async def talk(connection: ServerConnection) -> None:
            await begin(connection)
            await stay(connection)

        async with serve(talk, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            async with Session(f"ws://127.0.0.1:{port}/v1/realtime") as session:
                assert (await anext(aiter(session)))["type"] == "session.created"

    test()
    assert waits == [0.25, 0.5]


def test_a_server_that_ends_every_connection_is_not_tried_for_ever(waits: list[float]) -> None:
    async def busy(connection: ServerConnection) -> None:
        await connection.close(1013, "all sessions are taken")

    @run
    async def test() -> None:
        async with scripted(*[busy] * 3) as url:
            with pytest.raises(SessionLostError, match="all sessions are taken"):
                async with Session(url, tries=3) as session:
                    await anext(aiter(session))

    test()
    assert waits == [0.25, 0.5]


@run
async def test_a_certificate_that_nobody_vouches_for_is_told_at_once() -> None:
    error = ssl.SSLCertVerificationError("self-signed certificate")

    async def connect(*_: Any, **__: Any) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realtime, "connect", connect)
        with pytest.raises(SessionLostError, match="self-signed certificate"):
            async with Session("wss://127.0.0.1:9/v1/realtime"):
                pass


@run
async def test_a_wrong_token_is_told() -> None:
    async with serving(token="right") as (_, host):
        async with Session(url(host), token="right"):
            pass
        with pytest.raises(SessionLostError, match="401"):
            async with Session(url(host), token="wrong"):
                pass


@pytest.mark.parametrize("token", ["a\nb", "\x00", "日本", "\x7f"])
def test_a_token_that_cannot_be_sent_is_told_without_it(token: str) -> None:
    with pytest.raises(ClientError, match="the token has characters") as caught:
        Session("ws://h/v1/realtime", token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "127.0.0.1:8765/v1/realtime", "localhost:8765", "", "ws:///v1/realtime", "ws://:1/", "ws://h:x/",
        "ws://h:99999/", "ws://h:0/", "ws://[::1/", "ftp://h/", "file:///etc/passwd", "a\nb",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_with_what_one_looks_like(given: str) -> None:
    with pytest.raises(ClientError, match="ws://HOST:PORT/v1/realtime") as caught:
        Session(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ws://h:1/v1/realtime", "ws://h:1/v1/realtime"),
        ("http://h:1/v1/realtime/", "ws://h:1/v1/realtime"),
        ("HTTPS://h", "wss://h/v1/realtime"),
        ("http://[::1]:8765/", "ws://[::1]:8765/v1/realtime"),
        ("wss://u:p@h/other?model=x", "wss://u:p@h/other?model=x"),
    ],
)
def test_addresses_of_pages_are_those_of_their_sockets(given: str, meant: str) -> None:
    assert address(given) == meant
