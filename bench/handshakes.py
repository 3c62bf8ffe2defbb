"""What `bench.abuse` does before there is a session: requests of all kinds, and none at all."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from bench.abuses import Abuse, Limits, each
from bench.spoiled import MARKER
from bench.target import any_certificate
from bench.wires import client

SOCKET = "/v1/realtime"
UPGRADE = (
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip


def request(line: str, *headers: str, body: str = "") -> bytes:
    """As it stands on the wire; characters over 127 are bytes."""
    return "\r\n".join([line, *headers, "", body]).encode("latin-1")


def handshake(*headers: str, target: str = SOCKET, host: str = "127.0.0.1") -> bytes:
    return request(f"GET {target} HTTP/1.1", f"Host: {host}", *UPGRADE, *headers)


async def exchange(port: int, sent: bytes, seconds: float = 5.0) -> bytes:
    """The whole answer, of a websocket its head; nothing where none came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(seconds):
            while part := await reader.read(2**16):
                answer += part
                if answer.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in answer:
                    break
    except (OSError, TimeoutError):
        pass  # cut off, perhaps in the middle of an answer
    finally:
        writer.transport.abort()
    return answer


def status(answer: bytes) -> int:
    """Of an answer; 0: there was none."""
    words = answer.split(maxsplit=2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") else 0


def requests_with_secrets() -> list[bytes]:
    """Requests that are wrong, each with what nobody else may read."""
    ours = "openai-insecure-api-key."
    session = f"{SOCKET}?session_id={MARKER}"
    return [
        handshake(f"Sec-WebSocket-Protocol: realtime, {ours}{MARKER}"),
        handshake(f"Authorization: Bearer {MARKER}\x01"),
        handshake("Authorization: Bearer", f" {MARKER}"),  # folded
        handshake(f"Authorization: Bearer {MARKER}", f"Authorization: Bearer {MARKER}"),
        handshake(f"X: \x1b]0;{MARKER}\x07\x1b[31m2026-11-28 ERROR {MARKER}"),
        handshake(f"X: {MARKER}\r2026-11-28 ERROR {MARKER}"),
        handshake(f"X: {MARKER}\x00", f"Origin: http://[{MARKER}"),
        handshake(f"{MARKER} without a colon"),
        handshake(f"X: {MARKER * 2000}"),
        handshake(*[f"X-{n}: {MARKER}" for n in range(200)]),
        handshake(f"Origin: http://{MARKER}", f"Origin: {MARKER}"),
        handshake(target=f"{session}&after= 3"),
        handshake(target=f"//[{MARKER}"),
        handshake(target=f"{SOCKET}?{MARKER}=%0d%0a%1b[31m{MARKER}"),
        handshake(host=f"{MARKER}:port"),
        request(f"GET {session} HTTP/1.2", "Host: 127.0.0.1", *UPGRADE),
        request(f"GET {session} HTTP/9", "Host: 127.0.0.1", *UPGRADE),
        request(f"{MARKER} {SOCKET} HTTP/1.1", "Host: 127.0.0.1"),
        request(f"GET {session}", "Host: 127.0.0.1"),
        request(f"GET {SOCKET} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket",
                "Connection: Upgrade", f"Sec-WebSocket-Key: {MARKER}", "Sec-WebSocket-Version: 8"),
        request(f"POST {SOCKET} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {MARKER}"),
        f"\x16\x03\x01\x02\x00\x01{MARKER}\r\n\r\n".encode(),  # TLS, to a port without
        f"\xff\xfe{MARKER}\r\n\r\n".encode("latin-1"),
        f"{MARKER}\r\n\r\n".encode(),
    ]  # fmt: skip


async def unfinished(limits: Limits, count: Counter[str]) -> None:
    """Handshakes that go away unfinished, or are wrong; all of them hold secrets."""
    whole = handshake(f"Authorization: Bearer {MARKER}", target=f"{SOCKET}?session_id={MARKER}")
    wrong = requests_with_secrets()
    count.update({"gone": 0, "unanswered": 0})

    async def gone(number: int) -> None:
        """Away without a goodbye (RST) or with one, at any byte."""
        _, writer = await asyncio.open_connection("127.0.0.1", limits.port)
        writer.write(whole[: 7 * number % len(whole)])
        await asyncio.sleep(0.01)
        if number % 2:
            now = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        writer.close()
        count["gone"] += 1

    async def answered(number: int) -> None:
        answer = status(await exchange(limits.port, wrong[number % len(wrong)]))
        count["refused"] += answer >= 400
        count["unanswered"] += answer == 0

    async def knock(number: int) -> None:
        turn = number
        while not limits.over:
            count["sent"] += 1
            await (answered(turn // 2) if turn % 2 else gone(turn // 2))
            turn += 10
            await asyncio.sleep(0.05)

    await each(limits, 10, knock)


async def plain_gets(limits: Limits, count: Counter[str]) -> None:
    """Plain GETs at the socket, as a picture on any page makes them; others want in meanwhile."""
    get = request(f"GET {SOCKET} HTTP/1.1", "Host: 127.0.0.1")
    count.update({"unanswered": 0, "websockets": 0, "let in": 0, "came back": 0})

    async def knock(_: int) -> None:
        while not limits.over:
            answer = status(await exchange(limits.port, get))
            count["sent"] += 1
            count["refused"] += answer >= 400
            count["unanswered"] += answer == 0

    async def visit() -> None:
        """Get in, leave unheard, and come back a little later."""
        count["websockets"] += 1
        with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
            async with client(limits.port, open_timeout=5) as wire:
                name = json.loads(await wire.recv())["session"]["id"]
            count["let in"] += 1
            await asyncio.sleep(0.3)
            async with client(limits.port, query=f"?session_id={name}&after=1") as wire:
                told = str(await wire.recv())
                count["came back"] += "salmonn.resumed" in told

    await asyncio.gather(each(limits, 8, knock), _paced(limits, 12, visit))


async def _paced(limits: Limits, per_s: float, one: Callable[[], object]) -> None:
    """So many per second, until it is over."""
    tasks, begin = [], time.monotonic()
    while not limits.over:
        tasks.append(asyncio.ensure_future(one()))  # type: ignore[call-overload]
        await asyncio.sleep(max(0, begin + len(tasks) / per_s - time.monotonic()))
    await asyncio.gather(*tasks)


async def silent_tls(limits: Limits, count: Counter[str]) -> None:
    """1,100 connections that never begin TLS: 350 more per second, also for those cut off."""
    count.update({"let in": 0, "failed": 0})
    places = asyncio.Semaphore(1100)
    begin = time.monotonic()

    async def hang(number: int) -> None:
        await asyncio.sleep(max(0, begin + number / 350 - time.monotonic()))
        async with places:
            if limits.over:
                return
            reader, writer = await asyncio.open_connection("127.0.0.1", limits.port)
            count["sent"] += 1
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(limits.left):
                    await reader.read()
                    count["refused"] += 1
            writer.transport.abort()

    async def visit() -> None:
        try:
            async with client(limits.port, tls=True, open_timeout=10) as wire:
                await wire.recv()
            count["let in"] += 1
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
            count["failed"] += 1

    many = round(350 * limits.left)
    await asyncio.gather(each(limits, many, hang), _paced(limits, 2, visit))


async def half_tls(limits: Limits, count: Counter[str]) -> None:
    """TLS that begins and breaks off, plain HTTP to the port of TLS, versions that are too old."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = any_certificate().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    begun = outgoing.read()
    wrong = [handshake(f"X: {MARKER}"), begun[:-1], begun + MARKER.encode(), b"\x16\x03\x00" * 99]

    async def knock(number: int) -> None:
        turn = number
        while not limits.over:
            await exchange(limits.port, wrong[turn % len(wrong)], 0.2)
            count["sent"] += 1
            turn += 1

    await each(limits, 8, knock)


async def wrong_tokens(limits: Limits, count: Counter[str]) -> None:
    """200 clients that try one wrong token after another; others bring the right one."""
    began = time.monotonic()
    count.update({"right tokens": 0, "let in": 0, "let in by a wrong one": 0})

    async def guess(number: int) -> None:
        turn = number
        while not limits.over:
            wrong = [f"{MARKER}{turn}", limits.token or "", MARKER][turn % 3]
            key = [f"Bearer {wrong}!", f"Basic {wrong}", f"bearer {wrong} {wrong}"][turn % 3]
            count["sent"] += 1
            turn += 1
            try:
                async with client(limits.port, additional_headers={"Authorization": key}):
                    count["let in by a wrong one"] += 1
            except InvalidStatus as error:
                count[f"answered {error.response.status_code}"] += 1
                count["refused"] += 1
            except (OSError, InvalidHandshake, TimeoutError):
                count["cut off"] += 1
            await asyncio.sleep(0)

    async def visit() -> None:
        count["right tokens"] += 1
        with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
            async with client(limits.port, token=limits.token, open_timeout=10) as wire:
                await wire.recv()
                count["let in"] += 1

    await asyncio.gather(each(limits, 200, guess), _paced(limits, 4, visit))
    count["wrong ones answered per s"] = round(count["refused"] / (time.monotonic() - began))


def foreign_requests() -> list[bytes]:
    """Requests that other software makes, and pages that are not ours."""
    host = "Host: 127.0.0.1"
    paths = ("/", "/healthz", "/metrics", SOCKET, "/nothing")
    methods = ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "BREW")
    return [
        *(request(f"{method} {path} HTTP/1.1", host) for method in methods for path in paths),
        *(request(f"{method} {path} HTTP/1.0") for method in ("GET", "HEAD") for path in paths),
        *(request(f"GET {path} HTTP/1.1", host, host) for path in paths),
        *(request(f"GET {path} HTTP/1.1") for path in paths),
        *(request(f"GET {path} HTTP/1.1", "Host: evil:8765") for path in paths),
        request("CONNECT evil:443 HTTP/1.1", "Host: evil:443"),
        request("GET http://evil/ HTTP/1.1", "Host: evil"),
        request("OPTIONS * HTTP/1.1", host),
        request("POST / HTTP/1.1", host, "Content-Length: 3", body="abc"),
        request("POST / HTTP/1.1", host, "Transfer-Encoding: chunked", body="1\r\na\r\n0\r\n\r\n"),
        request("POST / HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3"),
        request("POST / HTTP/1.1", host, "Content-Length: 3", "Transfer-Encoding: chunked"),
        request("POST / HTTP/1.1", host, "Content-Length: -1"),
        request("GET / HTTP/1.1", "Host:"),
        request("GET / HTTP/1.1", "Host: ["),
        request("GET / HTTP/1.1", "Host: 127.0.0.1:99999"),
        request("GET //[ HTTP/1.1", host),
        request("GET /é HTTP/1.1", host),
        request(f"GET /{'x' * 9000} HTTP/1.1", host),
        request("GET / HTTP/1.1", host, *[f"X-{n}: x" for n in range(200)]),
        request("GET / HTTP/1.1", host, "X: " + "x" * 20_000),
        request("GET / HTTP/1.1", host, "Host : 127.0.0.1"),
        request("GET / HTTP/2.0", host),
        request("PRI * HTTP/2.0", body="SM\r\n\r\n"),
        request("GET /"),
    ]  # fmt: skip


def rebinding_requests() -> list[bytes]:
    """Handshakes of pages that are not ours."""
    evil = "http://evil:8765"
    return [
        handshake(f"Origin: {evil}", host="evil:8765"),
        handshake(f"Origin: {evil}"),
        handshake("Origin: null"),
        handshake("Origin: http://127.0.0.1.evil"),
        handshake("Origin: http://[", host="evil"),
        handshake("Host: evil"),
        handshake("Origin: http://127.0.0.1", "Origin: http://evil"),
        handshake("Authorization: Bearer a", "Authorization: Bearer b", "Origin: http://evil"),
        handshake(target="//evil/v1/realtime", host="evil"),
        handshake(target=f"http://evil{SOCKET}", host="evil"),
    ]


async def foreign(limits: Limits, count: Counter[str]) -> None:
    """Other methods, versions, hosts and origins: all are answered, and none has a session."""
    count.update({"unanswered": 0, "let in": 0, "bodies after HEAD": 0})
    requests = [*foreign_requests(), *rebinding_requests()]

    async def knock(number: int) -> None:
        turn = number
        while not limits.over:
            sent = requests[turn % len(requests)]
            answer = await exchange(limits.port, sent)
            count["sent"] += 1
            count["refused"] += status(answer) >= 400
            count["let in"] += status(answer) == 101
            count["unanswered"] += status(answer) == 0
            _, _, body = answer.partition(b"\r\n\r\n")
            count["bodies after HEAD"] += sent.startswith(b"HEAD") and body != b""
            turn += 4
            await asyncio.sleep(0.01)

    await each(limits, 4, knock)


BEFORE = {
    "unfinished handshakes, secrets": Abuse(unfinished),
    "plain GETs at the socket": Abuse(plain_gets),
    "other hosts, methods, versions": Abuse(foreign),
    "wrong tokens": Abuse(wrong_tokens, token=True),
    "silent TLS connections": Abuse(silent_tls, tls=True),
    "broken TLS": Abuse(half_tls, tls=True),
}
