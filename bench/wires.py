"""Ways to a server for `bench.abuse`: a session that is patient, and a websocket by hand."""

import asyncio
import base64
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from assistant.sound import recording
from bench.target import ROOT, any_certificate

FRAME = 640
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def speech() -> bytes:
    """The demo recording at 16 kHz, PCM16."""
    return recording.to_pcm16(recording.load(ROOT / "demo" / "kitchen.flac"))


@asynccontextmanager
async def client(
    port: int, *, query: str = "", tls: bool = False, token: str | None = None, **more: Any
) -> AsyncIterator[ClientConnection]:
    """A session. `query`: of its address; `more`: for the library.

    It is patient: answers to pings come after all that was sent before, which may be a flood.
    """
    key = {} if token is None else {"Authorization": f"Bearer {token}"}
    usual = {"compression": None, "max_size": None, "ping_interval": None}
    more = {**usual, "additional_headers": key, **more}
    if tls:
        more["ssl"] = any_certificate()
    address = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/v1/realtime{query}"
    wire = await connect(address, **more)
    try:
        yield wire
    finally:
        if not wire.transport.is_closing():  # cut off by the server, it cannot even be aborted
            await wire.close()


@dataclass(frozen=True, slots=True)
class Raw:
    """A websocket by hand, for what no library sends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self, opcode: int, payload: bytes, *, first: int = 0x80) -> None:
        """One masked frame; `first`: its FIN and RSV bits."""
        await self.frames(opcode, payload, 1, first=first)

    async def frames(self, opcode: int, payload: bytes, count: int, *, first: int = 0x80) -> None:
        """Several of them at once."""
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 2**16:
            length = bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            length = bytes([0x80 | 127]) + struct.pack(">Q", size)
        self.writer.write((bytes([first | opcode]) + length + bytes(4) + payload) * count)
        await self.writer.drain()
        await asyncio.sleep(0)  # draining alone lets nobody else work

    async def say(self, kind: str, **fields: Any) -> None:
        await self.frame(TEXT, json.dumps({"type": kind, **fields}).encode())

    async def close_code(self, seconds: float = 5.0) -> int | None:
        """Of the close frame that comes; None: the connection ended without one."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(seconds):
                while True:
                    opcode, size = await self.reader.readexactly(2)
                    if size == 126:
                        (size,) = struct.unpack(">H", await self.reader.readexactly(2))
                    elif size == 127:
                        (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
                    payload = await self.reader.readexactly(size)
                    if opcode & 15 == CLOSE:
                        return int(struct.unpack(">H", payload[:2])[0])
        return None


@asynccontextmanager
async def raw(port: int, extensions: str = "", deaf: bool = False) -> AsyncIterator[Raw]:
    """`deaf`: what the server sends is not read, and soon there is no room for it."""
    plain = socket.socket()
    if deaf:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plain)
    key = base64.b64encode(bytes(16)).decode()
    lines = [
        "GET /v1/realtime HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
        "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Extensions: {extensions}"] if extensions else []),
    ]  # fmt: skip
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionRefusedError(head[:30])
        if deaf:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
