"""Spoiled offers of WebRTC, as SDP and in forms, sent to a running server.

    python -m bench.rtc_fuzz [--port 8765] [--offers 100000] [--seed 0]

Needs `salmonn-live serve` on loopback, with `server.connects_per_s: 10000` in its configuration,
and `salmonn-live[webrtc]`. Calls that come about all the same are hung up. Now and then a page is
asked for beside them: how long it takes is the figure. Ends with an error if the server does.
"""

import argparse
import asyncio
import collections
import json
import random
import time

from aiortc import RTCConfiguration, RTCPeerConnection

CALLS = "/v1/realtime/calls"

AT_ONCE = 4
"""Requests at once."""

MISTAKES = 4
"""Of an offer, at most."""


def mutated(body: bytes, chance: random.Random) -> bytes:
    """A body with up to `MISTAKES` mistakes in it: lines that are missing, twice, elsewhere or cut,
    and bytes and numbers that are others."""
    spoilt = body
    for _ in range(chance.randrange(1, MISTAKES + 1)):
        lines = spoilt.split(b"\r\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 4:
                lines[at] = lines[at].replace(
                    b"0", b"%d" % chance.randrange(2 ** chance.randrange(70))
                )
            case _:
                line = bytearray(lines[at] or b" ")
                line[chance.randrange(len(line))] = chance.randrange(256)
                lines[at] = bytes(line)
        spoilt = b"\r\n".join(lines)
    return spoilt


async def _offer() -> bytes:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    peer.createDataChannel("oai-events")
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp.encode()
    await peer.close()
    return offer


def _form(offer: bytes) -> bytes:
    parts = {"sdp": offer, "session": json.dumps({"type": "realtime"}).encode()}
    made = [
        b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), part)
        for name, part in parts.items()
    ]
    return b"".join(made) + b"--cut--\r\n"


async def _ask(port: int, method: str, path: str, kind: str = "", body: bytes = b"") -> bytes:
    """The whole answer to a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


async def _attack(port: int, offer: bytes, seed: int) -> int:
    """Send one spoiled offer; the status of its answer."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        body, kind = mutated(_form(offer), chance), "multipart/form-data; boundary=cut"
    else:
        body, kind = mutated(offer, chance), "application/sdp"
    answer = await _ask(port, "POST", CALLS, kind, body)
    status = int(answer.split()[1])
    for line in answer.split(b"\r\n"):
        if line.startswith(b"Location: "):
            await _ask(port, "POST", line[10:].decode() + "/hangup")
    return status


async def fuzz(port: int, offers: int, seed: int) -> None:
    """Send so many offers, and print how the server took them."""
    offer, found, slowest = await _offer(), collections.Counter[int](), 0.0
    for first in range(seed, seed + offers, AT_ONCE):
        begun = time.monotonic()
        attacks = [asyncio.create_task(_attack(port, offer, first + n)) for n in range(AT_ONCE)]
        page = await _ask(port, "GET", "/healthz")
        assert page.endswith(b"ok\n"), "the server is not well"
        slowest = max(slowest, time.monotonic() - begun)
        found.update(await asyncio.gather(*attacks))
    told = ", ".join(f"{count} x {status}" for status, count in sorted(found.items()))
    print(f"{found.total()} offers: {told}; a page came within {1000 * slowest:.0f} ms")
    assert not found[500], "an offer was an error of the server's"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=8765)
    options.add_argument("--offers", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    asyncio.run(fuzz(given.port, given.offers, given.seed))


if __name__ == "__main__":
    main()
