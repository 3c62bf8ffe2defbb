"""What `bench.abuse` asks over plain HTTP: more than a server can do, and what is no request."""

import asyncio
import json
import random
from collections import Counter

from bench.abuses import Abuse, Limits, each
from bench.handshakes import exchange, request, status
from bench.spoiled import MARKER
from bench.target import ROOT

RECORDING = ROOT / "demo" / "kitchen.flac"
PATHS = ("/v1/audio/transcriptions", "/v1/audio/speech", "/v1/chat/completions")
JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=b"


def post(path: str, kind: str, body: bytes, *headers: str) -> bytes:
    """A whole request."""
    about = ("Host: 127.0.0.1", kind, f"Content-Length: {len(body)}", *headers)
    return request(f"POST {path} HTTP/1.1", *about) + body


def form(recording: bytes) -> bytes:
    """A form with a recording."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head + recording + b"\r\n--b--\r\n"


def asked() -> list[bytes]:
    """Requests that are right, and take long."""
    speech = json.dumps({"input": "It is late, and the lamps are on. " * 10}).encode()
    chat = {"messages": [{"role": "user", "content": f"{MARKER} Hello?"}], "stream": True}
    return [
        post(PATHS[0], FORM, form(RECORDING.read_bytes())),
        post(PATHS[1], JSON, speech),
        post(PATHS[2], JSON, json.dumps(chat).encode()),
    ]


async def much(limits: Limits, count: Counter[str]) -> None:
    """Recordings, texts and chats, from more clients than are answered at once."""
    wanted = asked()

    async def ask(number: int) -> None:
        while not limits.over:
            answer = await exchange(limits.port, wanted[number % len(wanted)], limits.left + 60)
            count["sent"] += 1
            count["answered" if status(answer) == 200 else "refused"] += 1
            await asyncio.sleep(0.05)

    await each(limits, 12, ask)


def broken() -> list[bytes]:
    """Requests that are wrong, each in another way; none of them is answered with 200."""
    chunked = ("Host: 127.0.0.1", FORM, "Transfer-Encoding: chunked")
    head = request(f"POST {PATHS[0]} HTTP/1.1", *chunked)
    silence = b"fLaC" + bytes(1_000_000)
    return [
        post(PATHS[0], FORM, b"\r\n--b" * 100_000),
        post(PATHS[0], FORM, form(b"RIFF" + MARKER.encode())),
        post(PATHS[0], FORM, form(silence)),
        post(PATHS[0], JSON, b"{}"),
        post(PATHS[1], JSON, b"[" * 200_000),
        post(PATHS[1], JSON, json.dumps({"input": MARKER, "mood": MARKER}).encode()),
        post(PATHS[2], JSON, b'{"messages": [' + b"{}," * 50_000),
        post(PATHS[2], JSON, json.dumps({"messages": [MARKER] * 5_000}).encode()),
        head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n",
        head + b"nothing\r\n",
        request(f"POST {PATHS[0]} HTTP/1.1", "Host: 127.0.0.1", FORM, f"Content-Length: {2**40}"),
        post(PATHS[1], JSON, b"{}", "Origin: http://elsewhere.example"),
    ]


async def bodies(limits: Limits, count: Counter[str]) -> None:
    """Bodies that are broken, of any kind, and some that never end."""
    wrong = broken()

    async def ask(number: int) -> None:
        rng = random.Random(number)
        while not limits.over:
            if number < 2:  # it stands still
                sent = request(f"POST {PATHS[0]} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 9")
            else:
                sent = rng.choice(wrong)
            answer = await exchange(limits.port, sent, min(15.0, limits.left + 1))
            count["sent"] += 1
            count["refused"] += status(answer) >= 400
            count["taken for right"] += status(answer) == 200
            await asyncio.sleep(0.01)

    await each(limits, 8, ask)


BODIES = {
    "recordings, texts and chats": Abuse(much),
    "broken bodies": Abuse(bodies),
}
