"""Connections that break at random points: nothing is lost, nothing comes twice.

    python -m bench.resume [--points 200] [--preset tiny] [--seed 0] [--json FILE]

Starts `salmonn-live serve` on loopback and has conversations with it, made of the demo recording,
through a relay that breaks the connection after some number of bytes in one direction, in the
middle of a frame as likely as not. The Python client comes back by itself. All events of the whole
conversation, ids and times apart, must be those of one that was not disturbed.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.common import keep, parser, show, without
from bench.target import server
from bench.wires import speech
from clients.realtime import SETTINGS, TEXT, Session

Json = dict[str, Any]
Step = bytes | str
"""Audio; or a typed question, or the name of a client event."""

SETTINGS_OF_SERVER = "server: { sessions: 64, resume_s: 20.0, connects_per_s: 1000.0 }\n"
ALONG = 4
"""Conversations at the same time."""

LONGEST_S = 300.0
"""Of a conversation; one that hangs has lost something."""

CLIP_S = 4.0
"""Seconds of the recording that hold its first command and the silence after it."""

COMMIT, ANSWER = "input_audio_buffer.commit", "response.create"
CLEAR = "input_audio_buffer.clear"


def conversations() -> dict[str, tuple[Json, list[Step]]]:
    """Settings and what a client says; after every step but a commit it waits for the answer."""
    clip = speech()[: int(CLIP_S * 32_000)]
    said = clip + bytes(32_000)
    by_hand = {**SETTINGS["audio"]["input"], "turn_detection": None}
    settings = {
        **SETTINGS,
        **TEXT,
        "salmonn": {"binary_audio": True, "prefill": True, "sound_events": True},
    }
    return {
        "spoken": (settings, [said, said]),
        "spoken and typed": (settings, [said, "What was that?", said, "And before?"]),
        "by hand": (
            {**settings, "audio": {"input": by_hand}},
            [clip, COMMIT, ANSWER, clip[16_000:], COMMIT, ANSWER],
        ),
    }


@dataclass(frozen=True, slots=True)
class Break:
    """Where a connection breaks."""

    direction: Literal["up", "down"]
    after: int
    """Bytes in this direction since the conversation began."""

    half_open: bool = False
    """The server does not notice."""


@dataclass(slots=True)
class Relay:
    """Passes bytes on, and breaks connections."""

    target: int
    breaks: list[Break]
    port: int = 0
    passed: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    broken: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        answers, on = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [self._pass("up", client, on), self._pass("down", answers, back)]
        tasks = [asyncio.create_task(way) for way in ways]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        met = [task.result() for task in done]
        back.transport.abort()
        if any(b is not None and b.half_open for b in met):
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await answers.read()  # until the server has had enough
        on.transport.abort()

    async def _pass(
        self, way: Literal["up", "down"], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Break | None:
        """Until the connection breaks: where, if it was us."""
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                point = self.breaks[0] if self.breaks else None
                if point is not None and point.direction == way:
                    left = point.after - self.passed[way]
                    if len(data) > left:
                        self.breaks.pop(0)
                        self.broken += 1
                        writer.write(data[: max(0, left)])
                        self.passed[way] += max(0, left)
                        await asyncio.sleep(0.002)  # so that it goes out
                        return point
                self.passed[way] += len(data)
                writer.write(data)
                await writer.drain()
        return None


@asynccontextmanager
async def relay(target: int, breaks: list[Break]) -> AsyncIterator[Relay]:
    made = Relay(target, breaks)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def converse(
    port: int, settings: Json, steps: list[Step], pause_s: float = 0.0
) -> list[Json]:
    """Have a conversation; all events that the client was given."""
    events: list[Json] = []
    async with asyncio.timeout(LONGEST_S):
        async with Session(f"ws://127.0.0.1:{port}/v1/realtime", settings=settings) as session:
            stream = aiter(session)
            for step in steps:
                if isinstance(step, bytes):
                    for at in range(0, len(step), 640):
                        await session.audio(step[at : at + 640])
                        await asyncio.sleep(pause_s)
                elif "." in step:
                    await session.send(step)
                else:
                    await session.ask(step)
                by_hand = settings["audio"]["input"]["turn_detection"] is None
                if step == COMMIT or (by_hand and isinstance(step, bytes)):
                    continue
                while not events or events[-1]["type"] != "response.done":
                    events.append(await anext(stream))
                events.append({"type": "step"})
            await session.send(CLEAR)  # carried out when all that was heard before it has been
            while events[-1]["type"] != f"{CLEAR}ed":
                events.append(await anext(stream))
    return [event for event in events if event["type"] != "step"]


def told(events: list[Json]) -> list[str]:
    """Events as lines that are the same for two conversations that are: ids by their order, without
    the time of day at which the session will be over.

    Captions and extensions come after the rest: whether the model's words or the protocol's answer
    to a client is first depends on how fast the model is.

    Raises:
        AssertionError: an event was lost, or came twice.
    """
    names: dict[str, str] = {}
    kept = [event for event in events if event["type"] != "salmonn.resumed"]
    numbers = [int(event["event_id"].removeprefix("event_")) for event in kept]
    assert numbers == list(range(1, len(kept) + 1)), f"numbers of events: {numbers}"

    def named(found: re.Match[str]) -> str:
        known = sum(name.startswith(found[1]) for name in names)
        return names.setdefault(found[0], f"{found[1]}{known}")

    families = ("", ".input_audio_transcription.", "salmonn.")
    kept.sort(key=lambda event: max(n for n, part in enumerate(families) if part in event["type"]))
    lines = [json.dumps({k: v for k, v in event.items() if k != "event_id"}) for event in kept]
    lines = [re.sub(r'"expires_at": \d+, ', "", line) for line in lines]
    return [re.sub(r"\b(item_|resp_|conv_|sess_)[\w-]+", named, line) for line in lines]


def answers(events: list[Json]) -> list[str]:
    """The transcripts and the answers."""
    done = ("conversation.item.input_audio_transcription.completed", "response.output_text.done")
    return [str(e.get("transcript", e.get("text"))) for e in events if e["type"] in done]


def difference(events: list[Json], undisturbed: list[str]) -> str | None:
    """What is not as it was; None: everything is."""
    try:
        lines = told(events)
    except AssertionError as error:
        return str(error)
    pairs = enumerate(zip(undisturbed, lines, strict=False))
    for number, (was, now) in pairs:
        if was != now:
            return f"event {number + 1}: {now}, not {was}"
    return None if len(lines) == len(undisturbed) else f"{len(lines)} events"


def points(rng: random.Random, passed: dict[str, int]) -> list[Break]:
    """Where to break a conversation of so many bytes; now and then it breaks again at once."""
    direction: Literal["up", "down"] = rng.choice(("up", "down"))
    first = Break(direction, rng.randrange(passed[direction]), rng.random() < 0.3)
    if rng.random() < 0.8:
        return [first]
    again = Break(direction, first.after + rng.randrange(1500), rng.random() < 0.3)
    return [first, again]


async def undisturbed(port: int, settings: Json, steps: list[Step]) -> tuple[list[Json], Relay]:
    """A conversation through a relay that breaks nothing."""
    async with relay(port, []) as through:
        return await converse(through.port, settings, steps), through


async def check(port: int, chosen: argparse.Namespace) -> list[Json]:
    """All points, shared among the conversations; a row for each of these."""
    rows = []
    pause_s = chosen.pause / 1000
    for number, (name, (settings, steps)) in enumerate(conversations().items()):
        whole, through = await undisturbed(port, settings, steps)
        again, _ = await undisturbed(port, settings, steps)
        right = told(whole)
        assert told(again) == right, "two undisturbed conversations differ"
        rng = random.Random(chosen.seed + number)
        share = len(range(number, chosen.points, len(conversations())))
        places = asyncio.Semaphore(ALONG)
        begun = time.monotonic()

        async def one(breaks: list[Break]) -> tuple[int, str | None]:
            async with places, relay(port, list(breaks)) as through:  # noqa: B023
                try:
                    events = await converse(through.port, settings, steps, pause_s)  # noqa: B023
                except (TimeoutError, ConnectionError) as error:
                    return through.broken, f"{type(error).__name__}: {error}"
                return through.broken, difference(events, right)  # noqa: B023

        all_breaks = [points(rng, through.passed) for _ in range(share)]
        results = await asyncio.gather(*(one(breaks) for breaks in all_breaks))
        wrong = [(b, why) for b, (_, why) in zip(all_breaks, results, strict=True) if why]
        for breaks, why in wrong:
            print(f"{name}: {breaks}: {why}"[:600])
        rows.append(
            {
                "conversation": name,
                "events": len(right),
                "points": share,
                "breaks": sum(broken for broken, _ in results),
                "different": len(wrong),
                "s": round(time.monotonic() - begun),
                "answers": answers(whole),
            }
        )
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="tiny")
    options.add_argument("--points", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pause", type=float, default=1.0, help="ms between 20 ms of audio")
    chosen = options.parse_args()
    with server(chosen.preset, SETTINGS_OF_SERVER) as target:
        rows = asyncio.run(check(target.port, chosen))
    show("Conversations whose connection broke", without("answers", rows))
    keep(chosen, {"preset": chosen.preset, "rows": rows})
    if any(row["different"] for row in rows):
        raise SystemExit("some conversations were not as if nothing had happened")


if __name__ == "__main__":
    main()
