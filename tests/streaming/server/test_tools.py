"""Functions of our own over real sockets: the model is scripted, all else is what runs."""

import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection

from assistant.ear.noticing import Sound
from assistant.own_tools import OwnTools, names
from assistant.toolbox.functions import Function
from assistant.tools.form import HERMES
from assistant.tools.tool import Tool, ToolCall
from streaming.controls import Clock
from streaming.events import Runner
from streaming.server import errands
from streaming.shell import Shell
from tests.streaming.fakes import Echo, session
from tests.streaming.server.test_app import (
    Json,
    answer,
    client,
    configure,
    fake,
    run,
    serving,
    speak,
    until,
)

FRAME = 320


class Handy(Echo):
    """Has all functions of ours, and those of a user: a typed question is the call that its reply
    makes, such as `get_date {}`."""

    def __init__(self, shell: Shell, *sounds: Sound) -> None:
        super().__init__()
        more = [function.tool for function in shell.functions.values()]
        self.own = OwnTools(names(), more, ["dog barking", "rain"], HERMES)
        self.to_come = sounds

    def ask(self) -> int:
        windows = super().ask()
        if self.question is not None:
            name, arguments = self.question.split(maxsplit=1)
            self.reply = [ToolCall(f"call_{self.turn}", name, arguments)]
        return windows

    def hear(self, samples: NDArray[np.float32]) -> int:
        windows = super().hear(samples)
        self.own.hear([sound for sound in self.to_come if sound.end <= self.samples])
        return windows

    def whose(self, name: str) -> Runner:
        return "shell" if self.own.is_shells(name) else "session"

    def run(self, call: ToolCall) -> tuple[str, str | None]:
        came = self.own.run(call, self.samples)
        return came.output, came.say

    def notices(self) -> list[tuple[str, str, str]]:
        told = self.own.notices(self.samples)
        return [(notice.kind, notice.name, notice.text) for notice in told]

    def tell_time(self, local: str) -> None:
        self.own.start(local, self.samples)


@asynccontextmanager
async def served(shell: Shell, *sounds: Sound) -> AsyncIterator[str]:
    """The address of a server whose sessions have functions, and hear these sounds."""
    assistant = replace(
        fake(lambda: session(Handy(shell, *sounds), pace=None)), new_calls=lambda: shell.calls()
    )
    async with serving(assistant) as (_, host):
        yield host


@asynccontextmanager
async def talking(host: str) -> AsyncIterator[ClientConnection]:
    async with client(host) as socket:
        await configure(socket, salmonn={"notices": True})
        yield socket


async def call(socket: ClientConnection, name: str, /, **arguments: Any) -> str:
    """Ask for a call, and hear what comes of it; what is told meanwhile is left out."""
    text = f"{name} {json.dumps(arguments)}"
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))
    return answer(await until(socket, "response.done"))


def about(response: Json) -> str | None:
    """What is told of a response: of which kind of notice it is."""
    metadata = response["response"]["metadata"]
    return None if metadata is None else metadata["salmonn"]


@run
async def test_a_list_is_kept_over_sessions_and_servers() -> None:
    with_a_file = Shell(lists=FOLDER[0] / "lists.sqlite")
    async with served(with_a_file) as host:
        async with talking(host) as socket:
            told = await call(socket, "add_to_list", list="shopping", items=["milk", "two eggs"])
            assert told == "I put milk and two eggs on the shopping list."
        async with talking(host) as socket:
            told = await call(socket, "remove_from_list", list="shopping", items=["milk"])
            assert told == "I took milk off the shopping list."
    async with served(Shell(lists=FOLDER[0] / "lists.sqlite")) as host, talking(host) as socket:
        told = await call(socket, "read_list", list="my shopping list")
        assert told == "On the shopping list: two eggs."


@run
async def test_without_a_file_a_list_is_gone_with_its_session() -> None:
    async with served(Shell()) as host:
        async with talking(host) as socket:
            await call(socket, "add_to_list", list="shopping", items=["milk"])
            assert "milk" in await call(socket, "read_list", list="shopping")
        async with talking(host) as socket:
            assert "empty" in await call(socket, "read_list", list="shopping")


@run
async def test_a_timer_that_rings_while_the_user_speaks_is_shown_and_said_afterwards() -> None:
    async with served(Shell()) as host, talking(host) as socket:
        told = await call(socket, "set_timer", duration="one second", name="egg")
        assert told == "Your egg timer is set for 1 second."
        await speak(socket, "." * 30 + "S" * 60 + "." * 40)
        events = await until(socket, "response.done")
        kinds = [event["type"] for event in events]
        assert kinds.index("input_audio_buffer.speech_started") < kinds.index("salmonn.notice")
        assert kinds.index("salmonn.notice") < kinds.index("input_audio_buffer.speech_stopped")
        assert answer(events).startswith("I heard")
        assert about(events[-1]) is None
        events = await until(socket, "response.done")
        assert about(events[-1]) == "timer"
        assert answer(events) == "Your egg timer is up: 1 second."


@run
async def test_an_alarm_rings_where_no_audio_comes() -> None:
    async with served(Shell()) as host, talking(host) as socket:
        told = await call(socket, "set_alarm", time="half past seven")
        assert told == "Your alarm is set for 7:30 am, in 30 minutes."
        NOW[0] = "2026-11-29T07:30:00"
        events = await until(socket, "response.done")
        assert about(events[-1]) == "alarm"
        assert answer(events) == "It is 7:30 am, this is your alarm."


@run
async def test_a_watch_tells_what_it_waited_for_once() -> None:
    barks = [Sound(at * FRAME, (at + 5) * FRAME, "dog barking", 0.9) for at in (20, 60)]
    async with served(Shell(), *barks) as host, talking(host) as socket:
        told = await call(socket, "watch", sound="dog barking")
        assert told == "I will tell you when I hear dog barking."
        await speak(socket, "." * 100)
        events = await until(socket, "response.done")
        assert about(events[-1]) == "watch"
        (notice,) = [event for event in events if event["type"] == "salmonn.notice"]
        assert (notice["notice"], notice["name"]) == ("watch", "dog barking")
        assert answer(events) == notice["text"]
        told = await call(socket, "stop_watching", sound="dog barking")
        assert "not" in told, "it is told once, and there is nothing left to stop"


def function(name: str, runs: Callable[[], object]) -> Function:
    return Function(Tool(name, "", {"type": "object", "properties": {}}), runs)


@run
async def test_a_tool_that_throws_or_hangs_ends_in_a_sentence_and_the_session_goes_on() -> None:
    free = threading.Event()

    def throws() -> None:
        raise OSError("secret")

    shell = Shell([function("throws", throws), function("hangs", free.wait)], wait_s=0.1)
    async with served(shell) as host, talking(host) as socket:
        told = await call(socket, "throws")
        assert told == "That did not work, something went wrong in the tool."
        assert await call(socket, "hangs") == "That took too long."
        assert await call(socket, "get_time") == "It is 7:00 am."
        await speak(socket, "." * 5 + "S" * 12 + "." * 30)
        assert answer(await until(socket, "response.done")).startswith("I heard")
    free.set()


FOLDER: list[Path] = []
NOW: list[str] = []
"""The local time that the server tells."""


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FOLDER[:], NOW[:] = [tmp_path], ["2026-11-29T07:00:00"]
    monkeypatch.setattr(errands, "now", lambda: Clock(NOW[0]))
    monkeypatch.setattr(errands, "TELLS_S", 0.01)
