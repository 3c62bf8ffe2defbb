"""Spoiled frames of the Wyoming protocol, sent to a running service.

    python -m bench.wyoming_fuzz [--port 10800] [--frames 100000] [--seed 0]

Needs `salmonn-live wyoming`, or `serve --wyoming`, on loopback, with `server.connects_per_s: 10000`
in its configuration. Each connection sends one frame of
each kind, spoiled in its own way, and reads until the service closes it. Now and then `describe` is
sent beside them: how long its answer takes is the figure. Ends with an error if the service does.
"""

import argparse
import asyncio
import contextlib
import json
import random
import time
from typing import Any

SEEDS: dict[str, bytes] = {}
"""A frame of each kind."""

AT_ONCE = 8
"""Connections at once."""


def _seed(kind: str, payload: bytes = b"", **data: object) -> None:
    told = json.dumps(data).encode() if data else b""
    head = {"type": kind, "version": "1.10.2"}
    lengths = {"data_length": len(told), "payload_length": len(payload)}
    SEEDS[kind] = json.dumps({**head, **lengths}).encode() + b"\n" + told + payload


_FORMAT: dict[str, Any] = {"rate": 16_000, "width": 2, "channels": 1}
_seed("describe")
_seed("ping", text="there?")
_seed("transcribe", language="en")
_seed("audio-start", **_FORMAT)
_seed("audio-chunk", bytes(range(256)) * 8, **_FORMAT)
_seed("audio-stop")
_seed("transcript", text="What was that?", context={"conversation_id": "1"})
_seed("synthesize-start")
_seed("synthesize-chunk", text="Hello. ")
_seed("synthesize", text="Hello there.")
_seed("synthesize-stop")


def spoiled(frame: bytes, seed: int) -> bytes:
    """A frame with up to three mistakes in it: bytes that are others, missing, twice or new."""
    chance = random.Random(seed ^ len(frame))
    spoilt = bytearray(frame)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(spoilt) + 1)
        match chance.randrange(5):
            case 0 if at < len(spoilt):
                spoilt[at] = chance.randrange(256)
            case 1:
                del spoilt[at : at + chance.randrange(1, 20)]
            case 2:
                spoilt[at:at] = spoilt[max(0, at - 20) : at]
            case 3:
                spoilt[at:at] = chance.randbytes(chance.randrange(1, 8))
            case _:
                spoilt = bytearray(
                    spoilt.replace(b'_length": ', b'_length": %d' % chance.randrange(99), 1)
                )
    return bytes(spoilt)


async def _attack(port: int, seed: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError):
        for frame in SEEDS.values():
            writer.write(spoiled(frame, seed))
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return len(SEEDS)


async def _describe(port: int) -> float:
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SEEDS["describe"])
    line = await asyncio.wait_for(reader.readline(), 60)
    assert json.loads(line)["type"] == "info", "the service is not well"
    writer.close()
    return time.monotonic() - begun


async def fuzz(port: int, frames: int, seed: int) -> None:
    """Send so many frames, and print how the service took them."""
    sent, slowest = 0, 0.0
    while sent < frames:
        attacks = [_attack(port, seed + sent + n) for n in range(AT_ONCE)]
        *counts, waited = await asyncio.gather(*attacks, _describe(port))
        sent += int(sum(counts))
        slowest = max(slowest, waited)
    print(f"{sent} frames; describe was answered within {1000 * slowest:.0f} ms")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=10_800)
    options.add_argument("--frames", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    asyncio.run(fuzz(given.port, given.frames, given.seed))


if __name__ == "__main__":
    main()
