"""Replicas that are killed at random points: their sessions go on elsewhere as if nothing were.

    python -m bench.failover [--points 100] [--preset tiny] [--replicas 2] [--minute] [--json FILE]

Starts `salmonn-live serve --replicas` on loopback and has conversations with it, made of the demo
recording. In each, the replica that has the session is killed (SIGKILL) when some number of bytes
has passed in one direction. All events of the conversation, ids and times apart, must be those of
one that was not disturbed, over the same connection. The next one waits until all replicas are
there again.
"""

import argparse
import asyncio
import contextlib
import os
import random
import re
import signal
import statistics
import time
from dataclasses import dataclass
from typing import Any, Literal

from bench.common import keep, parser, show, without
from bench.resume import (
    Break,
    Json,
    Relay,
    Step,
    answers,
    conversations,
    converse,
    difference,
    told,
)
from bench.target import Target, server

SETTINGS_OF_SERVER = "server: { resume_s: 0.5 }\n"  # nobody comes back: nobody is cut off

READY_S = 300.0
"""How long all replicas may take until they are there again."""


@dataclass(slots=True)
class Killing(Relay):
    """Passes bytes on, and kills the replica that has the session when so many have passed."""

    server: Target | None = None
    in_reply: bool | None = None
    """Whether a reply was being given when it was killed; None: it was not."""

    killed_at: float = 0.0
    quiet_s: float = 0.0
    """From then until the client was told anything more, in seconds."""

    replies: int = 0
    """Replies that have begun and are not over."""

    async def _pass(
        self, way: Literal["up", "down"], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Break | None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if way == "down":
                    self._follow(data)
                self.passed[way] += len(data)
                point = self.breaks[0] if self.breaks else None
                if point is not None and point.direction == way and self.passed[way] > point.after:
                    self.breaks.pop()
                    await self._kill()
                writer.write(data)
                await writer.drain()
        return None

    def _follow(self, data: bytes) -> None:
        if self.killed_at and not self.quiet_s:
            self.quiet_s = time.monotonic() - self.killed_at
        self.replies += data.count(b'"type": "response.created"')
        self.replies -= data.count(b'"type": "response.done"')

    async def _kill(self) -> None:
        assert self.server is not None
        pid = await asyncio.to_thread(busy, self.server)
        self.in_reply, self.killed_at = self.replies > 0, time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self.broken += 1


def by_replica(target: Target, name: str) -> dict[str, float]:
    """A figure of each replica."""
    found = re.findall(rf'{name}{{replica="(\d+)"}} (\S+)', target.get("/metrics"))
    return {replica: float(value) for replica, value in found}


def busy(target: Target) -> int:
    """The process of the replica that has the session."""
    sessions, pids = (by_replica(target, f"salmonn_replica_{x}") for x in ("sessions", "pid"))
    (replica,) = (number for number, count in sessions.items() if count)
    return int(pids[replica])


async def all_there(target: Target, replicas: int) -> None:
    """Wait until all replicas are there, and no session is."""
    async with asyncio.timeout(READY_S):
        while True:
            sessions = await asyncio.to_thread(by_replica, target, "salmonn_replica_sessions")
            if len(sessions) == replicas and not any(sessions.values()):
                return
            await asyncio.sleep(0.2)


async def through(
    target: Target, breaks: list[Break], settings: Json, steps: list[Step], pause_s: float
) -> tuple[list[Json], Killing]:
    """A conversation through a relay that kills at these points."""
    made = Killing(target.port, breaks, server=target)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        return await converse(made.port, settings, steps, pause_s), made
    finally:
        listening.close()
        if made.tasks:
            await asyncio.wait(made.tasks, timeout=5)  # both sides have gone
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # so that what was aborted is closed


def minute() -> dict[str, tuple[Json, list[Step]]]:
    """A talk of a minute."""
    settings, (said, _) = conversations()["spoken"]
    return {"a minute": (settings, [said] * round(60 * 32_000 / len(said)))}


async def check(target: Target, chosen: argparse.Namespace) -> list[Json]:
    """All points, shared among the conversations; a row for each of these."""
    rows = []
    talks = minute() if chosen.minute else conversations()
    for number, (name, (settings, steps)) in enumerate(talks.items()):
        share = len(range(number, chosen.points, len(talks)))
        how = settings, steps, chosen.pause / 1000
        await all_there(target, chosen.replicas)
        whole, relay = await through(target, [], *how)
        right, passed = told(whole), dict(relay.passed)
        again, _ = await through(target, [], *how)
        assert told(again) == right, "two undisturbed conversations differ"
        rng = random.Random(chosen.seed + number)
        wrong, killed = [], []
        for _ in range(share):
            direction: Literal["up", "down"] = rng.choice(("up", "down"))
            since = passed[direction] * 9 // 10 if chosen.minute else 0
            point = Break(direction, rng.randrange(since, passed[direction]))
            await all_there(target, chosen.replicas)
            before = target.metric("salmonn_moving_seconds_total")
            try:
                events, relay = await through(target, [point], *how)
                why = difference(events, right)
            except (TimeoutError, ConnectionError) as error:
                why = f"{type(error).__name__}: {error}"
            moving_s = target.metric("salmonn_moving_seconds_total") - before
            killed.append((moving_s, relay))
            if why:
                wrong.append(why)
            shown = f"{moving_s:.2f} s, in a reply: {relay.in_reply}"
            print(f"{name}: {point.direction} {point.after}: {shown}: {(why or 'as it was')[:500]}")
        rows.append(row(name, share, right, wrong, killed) | {"answers": answers(whole)})
    return rows


def row(
    name: str,
    points: int,
    right: list[str],
    wrong: list[str],
    killed: list[tuple[float, Killing]],
) -> dict[str, Any]:
    """What came of the points of one conversation."""
    moving = [seconds for seconds, relay in killed if relay.broken] or [0.0]
    return {
        "conversation": name,
        "events": len(right),
        "points": points,
        "killed": sum(relay.broken for _, relay in killed),
        "in a reply": sum(relay.in_reply is True for _, relay in killed),
        "different": len(wrong),
        "moving_s_median": round(statistics.median(moving), 2),
        "moving_s_most": round(max(moving), 2),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="tiny")
    options.add_argument("--points", type=int, default=100)
    options.add_argument("--replicas", type=int, default=2)
    options.add_argument(
        "--minute", action="store_true", help="a talk of a minute, killed in its last tenth"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pause", type=float, default=1.0, help="ms between 20 ms of audio")
    chosen = options.parse_args()
    more = ["--replicas", str(chosen.replicas)]
    with server(chosen.preset, SETTINGS_OF_SERVER, options=more) as target:
        rows = asyncio.run(check(target, chosen))
    show("Conversations whose replica was killed", without("answers", rows))
    points, wrong = (sum(row[key] for row in rows) for key in ("points", "different"))
    print(f"{points - wrong} of {points} went on as if nothing had been.")
    keep(chosen, {"preset": chosen.preset, "replicas": chosen.replicas, "rows": rows})
    if wrong:
        raise SystemExit("some conversations were not as if nothing had happened")


if __name__ == "__main__":
    main()
