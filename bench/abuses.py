"""What `bench.abuse` does to a server: each sends until its count or its time is reached.

Messages and frames that are wrong, or too many of them. What clients do before they have a session
is in `bench.handshakes`, what they may do within one in `bench.sessions`.
"""

import asyncio
import base64
import contextlib
import json
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.spoiled import GOOD, Json, mutated
from bench.wires import BINARY, PING, TEXT, client, raw, speech


@dataclass(frozen=True, slots=True)
class Limits:
    port: int
    until: float
    """Of `time.monotonic`."""

    messages: int
    """At most, of those that are cheap to send."""

    token: str | None = None
    """The one that the server asks for."""

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self.until - time.monotonic())

    @property
    def over(self) -> bool:
        return self.left == 0


async def each(limits: Limits, count: int, one: Callable[[int], Awaitable[None]]) -> None:
    """So many at the same time; who is refused or cut off is gone."""

    async def guarded(number: int) -> None:
        try:
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, EOFError):
                await one(number)
        except AttributeError as error:
            if error.name != "call_soon":  # the library aborts a transport that is gone
                raise

    tasks = [asyncio.create_task(guarded(n)) for n in range(count)]
    done, slow = await asyncio.wait(tasks, timeout=limits.left + 5)
    for task in slow:
        task.cancel()
    for task in done:
        task.result()  # an error of ours is no abuse


async def messages(limits: Limits, count: Counter[str]) -> None:
    """Random and mutated messages, as fast as they are taken, over four connections."""

    async def talk(number: int) -> None:
        rng = random.Random(number)
        while count["sent"] < limits.messages and not limits.over:
            with contextlib.suppress(ConnectionClosed):
                async with client(limits.port) as wire:
                    reading = asyncio.create_task(_count_errors(wire, count))
                    while count["sent"] < limits.messages and not limits.over:
                        await wire.send(mutated(rng))
                        count["sent"] += 1
                    await asyncio.sleep(0.3)
                    reading.cancel()
                    continue
            count["connections lost"] += 1

    await each(limits, 4, talk)


async def _count_errors(wire: ClientConnection, count: Counter[str]) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in wire:
            count["refused"] += '"type": "error"' in message[:20]


async def half_open(limits: Limits, count: Counter[str]) -> None:
    """1000 sockets that never finish their handshake."""

    async def hang(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", limits.port)
        count["sent"] += 1
        begun = [b"", b"GET /v1/realtime HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: "]
        writer.write(begun[number % 3])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.left):
                await reader.read()
                count["refused"] += 1
        writer.transport.abort()

    await each(limits, 1000, hang)


async def one_byte(limits: Limits, count: Counter[str]) -> None:
    """Audio in messages of one byte, and messages that come byte by byte."""

    async def tiny_messages() -> None:
        async with client(limits.port) as wire:
            session = {"salmonn": {"binary_audio": True}}
            await wire.send(json.dumps({"type": "session.update", "session": session}))
            while not limits.over:
                await wire.send(b"\1")
                count["sent"] += 1

    async def dripping() -> None:
        async with raw(limits.port) as wire:
            text = json.dumps(GOOD[2]).encode()
            frame = bytes([0x80 | TEXT, 0x80 | 126]) + struct.pack(">H", len(text)) + bytes(4)
            while not limits.over:
                for byte in frame + text:
                    wire.writer.write(bytes([byte]))
                    await wire.writer.drain()
                    await asyncio.sleep(0)
                count["sent"] += 1

    await each(limits, 4, lambda n: tiny_messages() if n % 2 else dripping())


async def fifteen_mib(limits: Limits, count: Counter[str]) -> None:
    """Appends of 15 MiB in every format, ones that are longer, and as long ones without audio."""
    append = {"type": "input_audio_buffer.append"}
    full = json.dumps({**append, "audio": base64.b64encode(bytes(15 * 2**20)).decode()})
    longer = json.dumps({**append, "audio": base64.b64encode(bytes(15 * 2**20 + 3)).decode()})
    text = [{"type": "input_text", "text": "x" * 7999}] * 2500
    item = {"type": "message", "role": "user", "content": text}
    chatter = json.dumps({"type": "conversation.item.create", "item": item})
    formats = [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}]

    async def talk(number: int) -> None:
        async with client(limits.port) as wire:
            reading = asyncio.create_task(_count_errors(wire, count))
            session = {"audio": {"input": {"format": formats[number]}}}
            await wire.send(json.dumps({"type": "session.update", "session": session}))
            for message in (chatter, longer, full, full, "x" * (22 * 2**20)):
                count["sent"] += 1
                await wire.send(message)
            await wire.wait_closed()
            count["refused"] += wire.close_code == 1009
            await reading

    await each(limits, 3, talk)


async def bad_base64(limits: Limits, count: Counter[str]) -> None:
    """Appends that are not base64."""
    rng = random.Random(0)
    alphabet = "ABCDabcd0189+/=-_ \n\t\\é\0"

    async def talk(_: int) -> None:
        async with client(limits.port) as wire:
            reading = asyncio.create_task(_count_errors(wire, count))
            while count["sent"] < limits.messages // 10 and not limits.over:
                text = "".join(rng.choices(alphabet, k=rng.randrange(1, 2000))) + "="
                await wire.send(json.dumps({"type": "input_audio_buffer.append", "audio": text}))
                count["sent"] += 1
            await asyncio.sleep(0.3)
            reading.cancel()

    await each(limits, 2, talk)


async def wrong_rates(limits: Limits, count: Counter[str]) -> None:
    """Formats that there are not, and audio in formats that change all the time."""
    rates = [0, -1, 1, 8000, 11025, 44100, 10**9, 1e309, "24000", None, [], True, 24000.5]
    formats: list[Json] = [{"type": "audio/pcm", "rate": rate} for rate in rates]
    formats += [{"type": kind} for kind in ("audio/opus", "audio/wav", "", None, 7)]
    good = [{"type": "audio/pcmu"}, {"type": "audio/pcm", "rate": 16000}, {"type": "audio/pcma"}]

    async def talk(number: int) -> None:
        rng = random.Random(number)
        async with client(limits.port) as wire:
            reading = asyncio.create_task(_count_errors(wire, count))
            while count["sent"] < limits.messages // 10 and not limits.over:
                chosen = rng.choice(formats + good)
                session = {"audio": {"input": {"format": chosen}}}
                await wire.send(json.dumps({"type": "session.update", "session": session}))
                await wire.send(json.dumps(GOOD[2]))
                count["sent"] += 2
            await asyncio.sleep(0.3)
            reading.cancel()

    await each(limits, 2, talk)


async def broken_frames(limits: Limits, count: Counter[str]) -> None:
    """Invalid UTF-8, reserved bits and opcodes, lengths that lie, frames without an end."""
    broken = [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b'{"type": "\xf8\x88"}', b"\x80" * 500]
    heads = [
        b"\x83\x80",
        b"\x8b\xfe\xff\xff",
        b"\xb1\x80",
        b"\x81\x05hello",
        b"\x81\xff" + b"\xff" * 8,
    ]

    async def talk(number: int) -> None:
        for turn in range(1000):
            if limits.over:
                return
            with contextlib.suppress(OSError, EOFError):
                async with raw(limits.port) as wire:
                    count["sent"] += 1
                    if turn % 2:
                        await wire.frame(TEXT, broken[turn // 2 % len(broken)])
                    else:
                        wire.writer.write(heads[turn // 2 % len(heads)] + bytes(4))
                    count["refused"] += await wire.close_code() is not None
            await asyncio.sleep(0.2)  # under the limit of connections per second

    async def endless(_: int) -> None:
        async with raw(limits.port) as wire:
            await wire.frame(TEXT, b"{", first=0)
            while not limits.over:
                await wire.frame(0, b"", first=0)
                count["empty fragments"] += 1

    await each(limits, 4, lambda n: talk(n) if n else endless(n))


async def bombs(limits: Limits, count: Counter[str]) -> None:
    """Compressed frames of 64 KiB that become 64 MiB, whether compression was agreed on or not."""
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(64 * 2**20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    offer = "permessage-deflate; client_max_window_bits"

    async def talk(_: int) -> None:
        while not limits.over:
            with contextlib.suppress(OSError, EOFError):
                async with raw(limits.port, offer) as wire:
                    count["sent"] += 1
                    with contextlib.suppress(OSError):
                        await wire.frame(BINARY, bomb[:-4], first=0xC0)
                    count["refused"] += await wire.close_code() is not None
            await asyncio.sleep(0.2)

    await each(limits, 2, talk)


async def connects(limits: Limits, count: Counter[str]) -> None:
    """200 connects per second."""

    async def hello() -> None:
        count["sent"] += 1
        try:
            async with client(limits.port, open_timeout=5) as wire:
                await wire.recv()
                count["let in"] += 1
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
            count["refused"] += 1

    tasks, begin = [], time.monotonic()
    while not limits.over:
        tasks.append(asyncio.create_task(hello()))
        await asyncio.sleep(max(0, begin + len(tasks) / 200 - time.monotonic()))
    await asyncio.gather(*tasks)


async def never_reads(limits: Limits, count: Counter[str]) -> None:
    """Questions, nonsense and pings from clients that never read an answer."""

    async def talk(number: int) -> None:
        async with raw(limits.port, deaf=True) as wire:
            while not limits.over:
                if number % 2:
                    await wire.frames(PING, bytes(125), 50)
                    count["sent"] += 49
                else:
                    await wire.say("sing", event_id="x" * 500)
                count["sent"] += 1

    async def guarded(number: int) -> None:
        try:
            async with asyncio.timeout(limits.left + 2):
                await talk(number)
        except (OSError, ConnectionClosed):
            count["refused"] += 1

    await each(limits, 4, guarded)


async def vanishing(limits: Limits, count: Counter[str]) -> None:
    """Clients that are gone, without a goodbye, when their answer begins."""
    said = base64.b64encode(speech() + bytes(32_000)).decode()
    detection = {"type": "server_vad", "silence_duration_ms": 200}
    given = {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": detection}

    async def talk(_: int) -> None:
        while not limits.over:
            with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed):
                async with client(limits.port) as wire:
                    session = {"audio": {"input": given}, "output_modalities": ["text"]}
                    await wire.send(json.dumps({"type": "session.update", "session": session}))
                    append = {"type": "input_audio_buffer.append", "audio": said}
                    await wire.send(json.dumps(append))
                    async for message in wire:
                        if '"response.output_text.delta"' in message:
                            break
                    count["sent"] += 1
                    wire.transport.abort()
            await asyncio.sleep(0.3)

    await each(limits, 2, talk)


@dataclass(frozen=True, slots=True)
class Abuse:
    run: Callable[[Limits, Counter[str]], Awaitable[None]]
    longer: float = 1.0
    """So many times the seconds asked for, at most."""

    tls: bool = False
    """Of a server with a certificate, and with few file descriptors."""

    token: bool = False
    """Of a server that asks for one."""


ABUSES = {
    "random and mutated messages": Abuse(messages, 10.0),
    "half-open sockets": Abuse(half_open),
    "1-byte chunks": Abuse(one_byte),
    "15 MiB messages": Abuse(fifteen_mib, 3.0),
    "bad base64": Abuse(bad_base64),
    "wrong rates": Abuse(wrong_rates),
    "invalid UTF-8, broken frames": Abuse(broken_frames),
    "compression bombs": Abuse(bombs),
    "200 connects per second": Abuse(connects),
    "a reader that never reads": Abuse(never_reads, 1.5),
    "vanishing mid-reply": Abuse(vanishing),
}
