"""Abuse of a running server, and what a session beside it notices.

    python -m bench.abuse [--preset tiny] [--seconds 12] [--only NAME ...] [--json FILE]

Starts `salmonn-live serve` on loopback. One well-behaved session streams speech at its own pace, in
a process apart from those who misbehave. How late its windows are: the time from sending the last
sample that a `salmonn.prefill` event is about to the event's arrival. Each abuse has its own such
session; the first row has nobody beside it. Counts and times are bounded: see
`bench.abuses.ABUSES`.
"""

import asyncio
import contextlib
import json
import multiprocessing
import statistics
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from bench.abuses import ABUSES, FRAME, Limits, client, speech
from bench.common import keep, parser
from bench.target import Target, server

Json = dict[str, Any]
RESUME_S = 1.0
SETTINGS = f"server: {{ sessions: 16, resume_s: {RESUME_S} }}\n"
"""Places for all who misbehave at once; who is gone is forgotten soon, so that it can be seen."""

PIECE_S = 0.02


async def well_behaved(port: int, over: Callable[[], bool]) -> list[float]:
    """Stream speech at its pace until it is over; how late each window was, in milliseconds."""
    vad_off = {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": None}
    session = {
        "type": "realtime",
        "audio": {"input": vad_off},
        "salmonn": {"binary_audio": True, "prefill": True},
    }
    late: list[float] = []
    sent: list[float] = []  # when each piece of 20 ms was sent
    clip = speech()
    async with client(port) as wire:
        await wire.send(json.dumps({"type": "session.update", "session": session}))

        async def read() -> None:
            async for message in wire:
                event = json.loads(message)
                if event["type"] == "salmonn.prefill":
                    piece = round(event["audio_ms"] / (1000 * PIECE_S)) - 1
                    late.append(1000 * (time.perf_counter() - sent[piece]))
                assert event["type"] != "error", event

        reading = asyncio.create_task(read())
        begin = time.perf_counter()
        while not over():
            at = len(sent) * FRAME % (len(clip) - FRAME)
            sent.append(time.perf_counter())
            await wire.send(clip[at : at + FRAME])
            await asyncio.sleep(begin + len(sent) * PIECE_S - time.perf_counter())
            if reading.done():
                break
        await asyncio.sleep(0.5)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    return late


def misbehave(name: str, port: int, seconds: float, messages: int, told: Connection) -> None:
    """In a process of its own."""
    count: Counter[str] = Counter()
    told.send(None)  # loaded: it begins
    limits = Limits(port, time.monotonic() + seconds, messages)
    asyncio.run(ABUSES[name].run(limits, count))  # type: ignore[arg-type]
    told.send(dict(count))


async def beside(target: Target, name: str | None, seconds: float, messages: int) -> Json:
    """The well-behaved session, and an abuse beside it; None: nobody."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    before, logged = target.resident_mb(), target.log_lines()
    longest = seconds * (1 if name is None else ABUSES[name].longer)
    abuser = None
    if name is not None:
        given = (name, target.port, longest, messages, theirs)
        abuser = spawn.Process(target=misbehave, args=given)
        abuser.start()
        await asyncio.to_thread(ours.recv)
    begun = time.monotonic()

    def over() -> bool:
        now = time.monotonic() - begun
        working = abuser is not None and abuser.is_alive() and now < longest + 15
        return now > seconds and not working

    peak = before

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, target.resident_mb())
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    late = await well_behaved(target.port, over)
    spent = time.monotonic() - begun
    counts = ours.recv() if ours.poll() else {}
    if abuser is not None:
        abuser.terminate()
        abuser.join()
    await asyncio.sleep(RESUME_S + 1.5)
    watching.cancel()
    late = late or [float("nan")]
    return {
        "abuse": name or "nobody",
        "sent": counts.pop("sent", 0),
        "refused": counts.pop("refused", 0),
        "besides": ", ".join(f"{what}: {n}" for what, n in counts.items()),
        "s": round(spent),
        "alive": await asyncio.to_thread(target.get, "/healthz") == "ok\n",
        "sessions left": int(await asyncio.to_thread(target.metric, "salmonn_sessions")),
        "MB before": round(before),
        "peak": round(peak),
        "after": round(target.resident_mb()),
        "log lines": target.log_lines() - logged,
        "windows": len(late),
        "late, ms": round(statistics.median(late)),
        "worst": round(max(late)),
    }


def markdown(rows: list[Json]) -> str:
    """A table for the documentation."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [
        [f"{value:,}" if type(value) is int else str(value) for value in row.values()]
        for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="tiny")
    options.add_argument("--seconds", type=float, default=12.0, help="of each abuse")
    options.add_argument("--messages", type=int, default=100_000, help="random and mutated ones")
    options.add_argument("--only", nargs="*", choices=list(ABUSES), default=list(ABUSES))
    chosen = options.parse_args()
    rows = []
    with server(chosen.preset, SETTINGS) as target:
        asyncio.run(beside(target, None, 4.0, 0))  # warms up
        for name in (None, *chosen.only):
            rows.append(asyncio.run(beside(target, name, chosen.seconds, chosen.messages)))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    print(markdown(rows))
    keep(chosen, {"preset": chosen.preset, "rows": rows})


if __name__ == "__main__":
    main()
