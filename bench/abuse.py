"""Abuse of a running server, and what a session beside it notices.

    python -m bench.abuse [--preset tiny] [--seconds 12] [--only NAME ...] [--json FILE]
        [--markdown FILE] [--log FILE] [--root FOLDER]

Starts `salmonn-live serve` on loopback. One well-behaved session streams speech at its own pace, in
a process apart from those who misbehave. How late its windows are: the time from sending the last
sample that a `salmonn.prefill` event is about to the event's arrival. Each abuse has its own such
session, there before it begins; the first row has nobody beside it. `/healthz` is asked for four
times a second, each time over a new connection. Counts and times are bounded: see `bench.abuses`,
`bench.sessions` and `bench.handshakes`.
"""

import argparse
import asyncio
import contextlib
import json
import math
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.abuses import ABUSES, Limits
from bench.bodies import BODIES
from bench.common import keep, parser, show, without
from bench.handshakes import BEFORE
from bench.server_log import pieces_of, summary
from bench.sessions import WITHIN
from bench.spoiled import MARKER
from bench.target import ROOT, Target, self_signed, server
from bench.wires import FRAME, client, speech

Json = dict[str, Any]
ALL = ABUSES | WITHIN | BEFORE | BODIES
RESUME_S = 1.0
"""Who is gone is forgotten soon, so that it can be seen."""

SESSIONS = 16
"""Places for all who misbehave at once."""

TOKEN = "the-right-token"
FILES = 1024
"""File descriptors of the server with TLS: systemd's default."""

PIECE_S = 0.02
PATIENCE_S = 60.0
"""Seconds that a server which answers nobody is waited for."""


@dataclass(slots=True)
class Beside:
    """What the well-behaved session saw."""

    late: list[float] = field(default_factory=list)
    """How late each window was, in milliseconds."""

    lost: bool = False
    """It could not begin, or was cut."""


async def well_behaved(
    target: Target, there: Callable[[], None], over: Callable[[], bool]
) -> Beside:
    """Stream speech at its pace until it is over; `there` is called when it may begin."""
    vad_off = {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": None}
    session = {
        "type": "realtime",
        "audio": {"input": vad_off},
        "salmonn": {"binary_audio": True, "prefill": True},
    }
    seen = Beside()
    sent: list[float] = []  # when each piece of 20 ms was sent
    clip = speech()
    try:
        wire_of = client(target.port, tls=target.tls, token=target.token, open_timeout=PATIENCE_S)
        async with wire_of as wire:
            await wire.send(json.dumps({"type": "session.update", "session": session}))

            async def read() -> None:
                async for message in wire:
                    event = json.loads(message)
                    if event["type"] == "salmonn.prefill":
                        piece = round(event["audio_ms"] / (1000 * PIECE_S)) - 1
                        seen.late.append(1000 * (time.perf_counter() - sent[piece]))
                    assert event["type"] != "error", event

            reading = asyncio.create_task(read())
            there()
            begin = time.perf_counter()
            while not over():
                at = len(sent) * FRAME % (len(clip) - FRAME)
                sent.append(time.perf_counter())
                await wire.send(clip[at : at + FRAME])
                await asyncio.sleep(begin + len(sent) * PIECE_S - time.perf_counter())
            async with asyncio.timeout(PATIENCE_S):  # whoever holds it up, these windows count
                await (await wire.ping())
            await asyncio.sleep(0.5)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
    except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
        seen.lost = True
    return seen


def misbehave(name: str, limits: Json, seconds: float, told: Connection) -> None:
    """In a process of its own."""
    count: Counter[str] = Counter()
    told.send(None)  # loaded
    told.recv()
    given = Limits(until=time.monotonic() + seconds, **limits)
    try:
        asyncio.run(ALL[name].run(given, count))  # type: ignore[arg-type]
    except Exception:
        count["broken off"] += 1
        raise
    finally:
        told.send(dict(count))


@contextmanager
def abuser(target: Target, name: str | None, seconds: float, messages: int) -> Iterator[Any]:
    """The process that misbehaves, and our end of the pipe to it; None: nobody."""
    if name is None:
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    limits = {"port": target.port, "messages": messages, "token": target.token}
    process = spawn.Process(target=misbehave, args=(name, limits, seconds, theirs))
    process.start()
    ours.recv()
    try:
        yield process, ours
    finally:
        process.terminate()
        process.join()


@dataclass(slots=True)
class Watch:
    """What is seen of a server from outside."""

    peak: float
    """Megabytes."""

    healthz: list[float] = field(default_factory=list)
    """Milliseconds that it took."""

    failed: int = 0
    """Times that it was not answered."""


async def watch(target: Target, seen: Watch) -> None:
    """Look at the server, for ever."""

    async def memory() -> None:
        while True:
            seen.peak = max(seen.peak, target.resident_mb())
            await asyncio.sleep(0.1)

    async def health() -> None:
        while True:
            began = time.perf_counter()
            try:
                await asyncio.to_thread(target.get, "/healthz", PATIENCE_S)
                seen.healthz.append(1000 * (time.perf_counter() - began))
            except OSError:
                seen.failed += 1
            await asyncio.sleep(0.25)

    await asyncio.gather(memory(), health())


async def beside(target: Target, name: str | None, seconds: float, messages: int) -> Json:
    """The well-behaved session, and an abuse beside it; None: nobody."""
    seen, logged = Watch(before := target.resident_mb()), target.log.stat().st_size
    longest = seconds * (1 if name is None else ALL[name].longer)
    with abuser(target, name, longest, messages) as attack:
        begun = time.monotonic()

        def over() -> bool:
            now = time.monotonic() - begun
            working = attack is not None and attack[0].is_alive() and now < longest + 15
            return now > seconds and not working

        watching = asyncio.create_task(watch(target, seen))
        there = (lambda: None) if attack is None else (lambda: attack[1].send(None))
        session = await well_behaved(target, there, over)
        if session.lost and attack is not None:
            there()  # it may not have been told
            await asyncio.to_thread(
                attack[0].join, max(0.0, begun + longest + 15 - time.monotonic())
            )
        spent = time.monotonic() - begun
        counts = attack[1].recv() if attack is not None and attack[1].poll() else {}
    await asyncio.sleep(RESUME_S + 1.5)
    alive, left = await asyncio.to_thread(health_of, target)
    watching.cancel()
    with target.log.open("rb") as log:
        log.seek(logged)
        written = log.read()
    lines = summary(written)
    late = session.late or [math.nan]
    return {
        "abuse": name or "nobody",
        "sent": counts.pop("sent", 0),
        "refused": counts.pop("refused", 0),
        "s": round(spent),
        "alive": alive,
        "sessions left": left,
        "MB before": round(before),
        "peak": round(seen.peak),
        "after": round(target.resident_mb()) if alive else 0,
        "log lines": lines.lines,
        "not ours": len(lines.strange),
        "pieces of secrets": pieces_of(MARKER.encode(), written),
        "page, worst, ms": whole(max(seen.healthz, default=math.nan)),
        "page failed": seen.failed,
        "windows": len(session.late),
        "late, ms": whole(statistics.median(late)),
        "worst": whole(max(late)),
        "session": "lost" if session.lost else "kept",
        "besides": counts,
    }


def whole(ms: float) -> int | str:
    """A figure without its fraction; "-" where there is none."""
    return "-" if math.isnan(ms) else round(ms)


def health_of(target: Target) -> tuple[bool, int | str]:
    """Whether it answers, and how many sessions it has."""
    try:
        alive = target.get("/healthz", PATIENCE_S) == "ok\n"
        return alive, int(target.metric("salmonn_sessions"))
    except OSError:
        return False, "-"


def listed(besides: Json) -> str:
    return ", ".join(f"{what}: {count:,}" for what, count in besides.items())


SHORT = ("s", "alive", "windows")
"""Columns for which a table in a document has no room; who is not alive has "-" elsewhere."""


def markdown(rows: list[Json]) -> str:
    """A table for the documentation."""
    cells = [{**row, "besides": listed(row["besides"])} for row in rows]
    for column in SHORT:
        cells = without(column, cells)
    lines = [list(cells[0]), ["---"] * len(cells[0])]
    lines += [
        [f"{value:,}" if type(value) is int else str(value) for value in row.values()]
        for row in cells
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def tell(rows: list[Json]) -> None:
    """Tables for a terminal."""
    show("Abuse, and what a session beside it notices", without("besides", rows))
    counted = [
        {"abuse": row["abuse"], "besides": what, "count": count}
        for row in rows
        for what, count in row["besides"].items()
    ]
    if counted:
        show("What else was counted", counted)


def serving(name: str | None) -> Json:
    """The kind of server that an abuse is done to: arguments of `bench.target.server`."""
    abuse = None if name is None else ALL[name]
    if abuse is not None and abuse.tls:
        return {"tls": True, "files": FILES}
    return {"token": TOKEN} if abuse is not None and abuse.token else {}


def settings(kind: Json, folder: Path) -> str:
    """Its `config.yaml`."""
    more = ""
    if "token" in kind:
        more = f", token: {kind['token']}"
    if "tls" in kind:
        more = f", {self_signed(folder)}"
    return f"server: {{ sessions: {SESSIONS}, resume_s: {RESUME_S}{more} }}\n"


def run(chosen: argparse.Namespace) -> Iterator[Json]:
    """The rows, as they come; a server that an abuse has ended is started again."""
    for kind, group in groupby([None, *chosen.only], serving):
        names = list(group)
        while names:
            with tempfile.TemporaryDirectory() as folder:
                given = {"log": chosen.log, "root": chosen.root, **kind}
                with server(chosen.preset, settings(kind, Path(folder)), **given) as target:
                    asyncio.run(beside(target, None, 4.0, 0))  # warms up
                    while names:
                        name = names.pop(0)
                        row = asyncio.run(beside(target, name, chosen.seconds, chosen.messages))
                        yield row
                        if not row["alive"]:
                            break


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="tiny")
    options.add_argument("--seconds", type=float, default=12.0, help="of each abuse")
    options.add_argument("--messages", type=int, default=100_000, help="random and mutated ones")
    options.add_argument("--only", nargs="*", choices=list(ALL), default=list(ALL))
    options.add_argument("--markdown", type=Path, help="write the table to this file")
    options.add_argument("--log", type=Path, help="add the servers' logs to this file")
    options.add_argument("--root", type=Path, default=ROOT, help="the checkout whose server runs")
    chosen = options.parse_args()
    if shutil.which("openssl") is None:
        print("No openssl, so no certificate: the rows with TLS are left out.")
        chosen.only = [name for name in chosen.only if not ALL[name].tls]
    rows = []
    for row in run(chosen):
        rows.append(row)
        print(f"{row['abuse']}: late {row['late, ms']} ms, worst {row['worst']} ms", flush=True)
        keep(chosen, {"preset": chosen.preset, "rows": rows})
        if chosen.markdown is not None:
            chosen.markdown.write_text(markdown(rows))
    tell(rows)


if __name__ == "__main__":
    main()
