"""What `bench.abuse` does within a session: all of it allowed, and more than anyone needs."""

import asyncio
import base64
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.abuses import Abuse, Limits, each
from bench.spoiled import MARKER
from bench.wires import FRAME, TEXT, client, speech

Json = dict[str, Any]


class Session:
    """One that reads all the time, and counts what it is told."""

    def __init__(self, wire: ClientConnection, count: Counter[str]) -> None:
        self.wire, self._count = wire, count
        self.id = ""
        self.types: Counter[str] = Counter()
        """Events by type."""

        self.bytes = 0
        self.items: set[str] = set()
        """Events that said that an item is in the conversation."""

        self.messages: int | None = None
        """That the server had taken when it was come back to."""

        self._news = asyncio.Event()

    @property
    def cut(self) -> bool:
        """It ended."""
        return self.wire.close_code is not None

    async def read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.wire:
                event = json.loads(message)
                kind = event["type"]
                self.types[kind] += 1
                self.bytes += len(message)
                self._count["refused"] += kind == "error"
                if kind == "session.created":
                    self.id = event["session"]["id"]
                elif kind == "conversation.item.done":
                    self.items.add(event["event_id"])
                elif kind == "salmonn.resumed":
                    self.messages = event["messages"]
                self._news.set()
        self._news.set()

    async def say(self, kind: str, **fields: Any) -> None:
        await self.send(json.dumps({"type": kind, **fields}))

    async def send(self, message: str | bytes) -> None:
        self._count["sent"] += 1
        await self.wire.send(message)

    async def type(self, text: str, item_id: str | None = None, parts: int = 1) -> None:
        """Put a question into the conversation, or a long answer of so many parts."""
        kind, role = ("input_text", "user") if parts == 1 else ("output_text", "assistant")
        content = [{"type": kind, "text": text}] * parts
        item = {"type": "message", "role": role, "content": content, "id": item_id}
        await self.say("conversation.item.create", item=item)

    async def at_once(self, count: int, kind: str, **fields: Any) -> None:
        """So many short messages in one segment."""
        text = json.dumps({"type": kind, **fields}).encode()
        assert len(text) < 126
        frame = bytes([0x80 | TEXT, 0x80 | len(text)]) + bytes(4) + text
        self.wire.transport.write(frame * count)
        self._count["sent"] += count
        await asyncio.sleep(0)

    async def came(self, kind: str, times: int, seconds: float) -> bool:
        """Wait until it was told an event of this type so many times."""
        return await self.until(lambda: self.types[kind] >= times, seconds)

    async def until(self, what: Callable[[], bool], seconds: float) -> bool:
        """Wait until it is so; False: it is not, after these seconds, or when it was cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (what() or self.cut):
                    self._news.clear()
                    await self._news.wait()
        return what()


@asynccontextmanager
async def open_session(
    limits: Limits, count: Counter[str], query: str = "", *, taken_over: bool = False
) -> AsyncIterator[Session]:
    """Where it is cut it is over, and counted unless it was to be taken over."""
    async with client(limits.port, query=query) as wire:
        ours = Session(wire, count)
        reading = asyncio.create_task(ours.read())
        try:
            yield ours
        except ConnectionClosed:
            pass
        finally:
            count["cut"] += ours.cut and not taken_over
            reading.cancel()


LARGE_SETTINGS = {"tools": [{"type": "function", "name": "f", "description": "x" * 40_000}]}
"""Not more than settings may be."""


async def _grow(ours: Session, updates: int) -> None:
    """Make its settings large: 15,000 keys for each update, where there is no limit."""
    await ours.say("session.update", session=LARGE_SETTINGS)
    for turn in range(updates):
        keys = {f"{turn}:{n}": 0 for n in range(15_000)}
        await ours.say("session.update", session={"tracing": keys})


async def growing_settings(limits: Limits, count: Counter[str]) -> None:
    """Settings that grow; then 300 small updates in one segment, all answered with the settings."""

    async def talk(_: int) -> None:
        while not limits.over:
            async with open_session(limits, count) as ours:
                await _grow(ours, 4)
                await asyncio.sleep(0.5)
                await ours.at_once(300, "session.update", session={})
                await ours.came("session.updated", 305, limits.left + 4)
                count["answered"] += ours.types["session.updated"]

    await each(limits, 1, talk)


async def ping_pong(limits: Limits, count: Counter[str]) -> None:
    """Three sessions with large settings that update nothing, again and again."""

    async def talk(_: int) -> None:
        async with open_session(limits, count) as ours:
            await _grow(ours, 8)
            while not (limits.over or ours.cut):
                wanted = ours.types["session.updated"] + 1
                await ours.say("session.update", session={})
                await ours.came("session.updated", wanted, limits.left)
            count["answered"] += ours.types["session.updated"]

    await each(limits, 3, talk)


RETRIEVE, RETRIEVED = "conversation.item.retrieve", "conversation.item.retrieved"


async def _type_large(ours: Session) -> None:
    """An item of 250 kB."""
    await ours.type(MARKER + "x" * 7_970, "large", parts=31)


async def many_retrieved(limits: Limits, count: Counter[str]) -> None:
    """A message of 60 bytes that is answered with 250 kB, a hundred times in one segment."""
    await each(limits, 2, lambda _: _retrieve(limits, count, 100, 0.0))


async def honest_reader(limits: Limits, count: Counter[str]) -> None:
    """20 items of 250 kB at once, as a client asks for them that restores a conversation; it reads
    all the time, and is not to be cut."""
    await each(limits, 1, lambda _: _retrieve(limits, count, 20, 0.1))


async def _retrieve(limits: Limits, count: Counter[str], at_once: int, pause_s: float) -> None:
    while not limits.over:
        async with open_session(limits, count) as ours:
            await _type_large(ours)
            while not (limits.over or ours.cut):
                wanted = ours.types[RETRIEVED] + at_once
                await ours.at_once(at_once, RETRIEVE, item_id="large")
                await ours.came(RETRIEVED, wanted, limits.left + 3)
                await asyncio.sleep(pause_s)
            count["answered"] += ours.types[RETRIEVED]
            count["MB"] += ours.bytes // 10**6
        await asyncio.sleep(0.2)


async def long_questions(limits: Limits, count: Counter[str]) -> None:
    """Questions longer than the model's context, in one item and in forty; then one that is not."""
    text = MARKER + "x" * (8000 - len(MARKER))
    message = {"type": "message", "role": "user"}
    inline = [{**message, "content": [{"type": "input_text", "text": text}]}] * 20
    responses: list[tuple[int, Json]] = [  # items, and what is asked for
        (1, {}), (40, {}), (0, {"input": inline}), (0, {"instructions": text * 25}),
        (0, {"conversation": "none", "input": inline[:1]}),
    ]  # fmt: skip

    async def talk(_: int) -> None:
        while not limits.over:
            async with open_session(limits, count) as ours:
                for items, response in responses:
                    wrong = ours.types["error"]
                    for _ in range(items):
                        await ours.type(text)
                    await ours.say("response.create", response=response)
                    told = await ours.came("error", wrong + 1, 5)
                    count["told so"] += told
                    await _nothing_asked(ours)
                count["sessions"] += 1
                await ours.type("What is it?")
                done = ours.types["response.done"] + 1
                await ours.say("response.create")
                answered = await ours.came("response.done", done, 5)
                count["answered after it"] += answered
            await asyncio.sleep(0.2)

    await each(limits, 2, talk)


async def _nothing_asked(ours: Session, seconds: float = 4.0) -> bool:
    """Wait until every answer that was begun is over."""

    def idle() -> bool:
        return ours.types["response.done"] >= ours.types["response.created"]

    return await ours.until(idle, seconds)


async def recordings(limits: Limits, count: Counter[str]) -> None:
    """Items with recordings of up to 28 s; another client comes for the session meanwhile."""
    items = {seconds: _recording(seconds) for seconds in (2, 10, 28)}

    async def talk(number: int) -> None:
        rng = random.Random(number)
        while not limits.over:
            item = items[rng.choice(list(items))]
            async with open_session(limits, count, taken_over=True) as first:
                await first.came("session.created", 1, 5)
                sending = asyncio.create_task(_quietly(first.send(item)))
                await asyncio.sleep(rng.random())
                query = f"?session_id={first.id}&after={first.types.total()}"
                async with open_session(limits, count, query) as second:
                    taken = await second.came("salmonn.resumed", 1, 5)
                    count["taken over"] += taken
                    if second.messages == 0:  # it had not come: a client sends it again
                        await second.send(item)
                    if not first.items:
                        await second.came("conversation.item.done", 1, limits.left + 4)
                    found = len(first.items | second.items)
                    count["taken once"] += found == 1
                    count["taken twice"] += found > 1
                    count["never taken"] += found == 0
                sending.cancel()

    await each(limits, 2, talk)


def _recording(seconds: int) -> str:
    """A message with so much silence in an item, at 24 kHz."""
    part = {"type": "input_audio", "audio": base64.b64encode(bytes(48_000 * seconds)).decode()}
    item = {"type": "message", "role": "user", "content": [part]}
    return json.dumps({"type": "conversation.item.create", "item": item})


async def _quietly(sent: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionClosed):
        await sent


async def typed_questions(limits: Limits, count: Counter[str]) -> None:
    """Speech at its pace, and between any two pieces a question, an answer wished for, a cancel."""
    clip = speech()
    text = {"type": "input_text", "text": f"What is {MARKER}?"}
    item = {"type": "message", "role": "user", "content": [text]}
    aside = {"conversation": "none", "input": [item]}
    wishes: list[tuple[str, Json]] = [
        ("conversation.item.create", {"item": item}),
        ("response.create", {}),
        ("response.create", {"response": aside}),
        ("response.cancel", {}),
        ("input_audio_buffer.commit", {}),
        ("input_audio_buffer.clear", {}),
    ]
    given = {"format": {"type": "audio/pcm", "rate": 16000}}

    async def talk(number: int) -> None:
        rng = random.Random(number)
        async with open_session(limits, count) as ours:
            binary = {"audio": {"input": given}, "salmonn": {"binary_audio": True}}
            binary["output_modalities"] = ["text"]  # minutes of speech would be played to their end
            await ours.say("session.update", session=binary)
            at = 0
            while not (limits.over or ours.cut):
                await ours.send(clip[at : at + FRAME])
                at = (at + FRAME) % (len(clip) - FRAME)
                kind, fields = rng.choice(wishes)
                await ours.say(kind, **fields)
                await asyncio.sleep(0.02)
            await ours.send(bytes(2 * 16_000))  # silence: what is asked in speech waits for its end
            await _nothing_asked(ours)
            count["answers"] += ours.types["response.created"]
            count["never over"] += ours.types["response.created"] - ours.types["response.done"]

    await each(limits, 3, talk)


WITHIN = {
    "settings that grow, 300 updates": Abuse(growing_settings),
    "updates back and forth": Abuse(ping_pong),
    "250 kB retrieved, 100 at once": Abuse(many_retrieved),
    "an honest reader of 250 kB": Abuse(honest_reader),
    "questions over the context": Abuse(long_questions),
    "recordings of 28 s, taken over": Abuse(recordings),
    "questions and cancels in speech": Abuse(typed_questions),
}
