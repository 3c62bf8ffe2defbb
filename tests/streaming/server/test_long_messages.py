"""Long messages, and what they may cost; a session beside them answers as ever."""

import base64
import json
import os
import platform
import weakref
from pathlib import Path
from typing import Any

import pytest

from streaming.server import seats
from streaming.server.large import LARGE, LONGEST, give_back
from streaming.server.rate import Allowance
from tests.streaming.fakes import Echo, pcm
from tests.streaming.server.test_abuse import REPLY, beside, eventually, turn_of
from tests.streaming.server.test_app import (
    TURN,
    answer,
    client,
    configure,
    run,
    say,
    serving,
    take,
    until,
)


@run
async def test_a_long_message_is_audio_or_an_error() -> None:
    long = base64.b64encode(pcm(TURN) + bytes(400_000)).decode()
    assert len(long) > LONGEST
    async with beside() as (_, host), client(host) as socket:
        await configure(socket)
        text = [{"type": "output_text", "text": "x" * 7000}] * 40
        item = {"type": "message", "role": "assistant", "content": text}
        await say(socket, "conversation.item.create", item=item)
        assert "longer" in (await take(socket))["error"]["message"]
        await say(socket, "conversation.item.create", item={**item, "content": text[:20]})
        assert (await until(socket, "conversation.item.done"))[-1]["item"]["role"] == "assistant"
        await say(socket, "input_audio_buffer.append", audio=long[:-5] + "!" + long[-4:])
        assert (await take(socket))["error"]["param"] == "audio"
        await say(socket, "input_audio_buffer.append", audio=long)
        assert answer(await until(socket, "response.done")) == REPLY


@run
async def test_a_long_recording_is_an_item_and_whole_though_its_connection_goes() -> None:
    part = {"type": "input_audio", "audio": base64.b64encode(pcm("S" * 1000)).decode()}
    item = {"id": "rec", "type": "message", "role": "user", "content": [part]}
    event = json.dumps({"type": "conversation.item.create", "item": item})
    assert len(event) > LONGEST
    async with beside() as (app, host):
        async with client(host) as socket:
            told = await configure(socket)
            await socket.send(event)
            seat = app.seats.here[told["id"]]
            await eventually(lambda: seat.given > 0)
            socket.transport.abort()
        async with client(host, f"?session_id={told['id']}&after=2") as back:
            assert (await take(back))["messages"] == 2
            done = (await until(back, "conversation.item.done"))[-1]
            assert done["item"]["content"] == [{"type": "input_audio", "transcript": None}]
            await say(back, "response.create")
            assert answer(await until(back, "response.done")) == "I heard 250 windows"


@run
async def test_a_recording_whose_client_never_comes_back_leaves_nothing_behind() -> None:
    part = {"type": "input_audio", "audio": base64.b64encode(pcm("S" * 1400)).decode()}
    item = {"type": "message", "role": "user", "content": [part]}
    async with serving(resume_s=0.05, backlog_s=0.01) as (app, host):
        async with client(host) as socket:
            await configure(socket)
            await say(socket, "conversation.item.create", item=item)
            await eventually(lambda: any(s.given for s in app.seats.here.values()))
            socket.transport.abort()
        await eventually(lambda: not app.seats.here)
        await eventually(lambda: not app.seats._tasks)


def test_work_is_spent_from_the_allowance_too() -> None:
    allowance = Allowance(0.0)
    assert allowance.spend(0, 0.0, seconds=0.5) == 0  # a burst
    assert allowance.spend(0, 0.0, seconds=1.0) == pytest.approx(2.0, abs=0.1)


@run
async def test_a_long_recording_that_cannot_be_put_anywhere_is_an_error() -> None:
    part = {"type": "input_audio", "audio": base64.b64encode(pcm("S" * 1000)).decode()}
    item = {"type": "message", "role": "user", "content": [part]}
    async with beside() as (_, host), client(host) as bad:
        await configure(bad)
        await say(bad, "conversation.item.create", item=item, previous_item_id="x", event_id="e")
        error = (await take(bad))["error"]
        assert (error["param"], error["event_id"]) == ("previous_item_id", "e")
        part["audio"] = "*" + part["audio"]
        await say(bad, "conversation.item.create", item=item)
        assert (await take(bad))["error"]["param"] == "item.content[0].audio"
        assert await turn_of(bad) == REPLY


def test_memory_of_long_messages_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(seats, "give_back", lambda: calls.append(1))

    @run
    async def scenario() -> None:
        async with serving(resume_s=0.01) as (app, host):
            for length in (LARGE // 4, LARGE):  # bytes: base64 makes a third more of them
                async with client(host) as socket:
                    await configure(socket)
                    audio = base64.b64encode(bytes(length)).decode()
                    await say(socket, "input_audio_buffer.append", audio=audio)
                    await say(socket, "input_audio_buffer.clear")
                    await until(socket, "input_audio_buffer.cleared")
                    assert not calls
                await eventually(lambda: not app.seats.here)
        assert calls == [1]

    scenario()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc keeps what was freed")
def test_freed_memory_is_returned() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [b"x" * 100_000 for _ in range(2000)]
    kept = blocks[::20]  # holes between them
    blocks.clear()
    before = resident()
    give_back()
    assert before - resident() > 100 * 2**20
    assert len(kept) == 100


def test_what_is_in_a_cycle_is_freed() -> None:
    held: Any = Echo()
    held.itself = held
    gone = weakref.ref(held)
    del held
    give_back()
    assert gone() is None
