"""Sessions in replicas, which here are threads at the other end of real sockets."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from assistant.model import Salmonn
from streaming.dialogue.session import Session
from streaming.server.app import App
from streaming.server.replicas import replicas
from streaming.server.replicas.replica import Replica
from streaming.server.replicas.replicas import Replicas
from tests.streaming.fakes import Echo, session
from tests.streaming.server.test_app import (
    Json,
    client,
    configure,
    fake,
    get,
    say,
    serving,
    speak,
    take,
    until,
)

NO_MODEL = cast(Salmonn, None)
WARM = partial(session, pace=None)


class Broken(Echo):
    def ask(self) -> int:
        raise RuntimeError("what somebody said")


def broken() -> Session:
    return session(Broken(), pace=None)


class House:
    """Replicas that come and go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen()
        self._links: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, number: int) -> None:
        link = self._links[number] = socket.socket(socket.AF_UNIX)
        link.connect(str(self.path))
        self._threads.append(threading.Thread(target=Replica(link, number, NO_MODEL).run))
        self._threads[-1].start()

    def kill(self, number: int) -> None:
        self._links.pop(number).shutdown(socket.SHUT_RDWR)

    def kill_busy(self, app: App) -> None:
        for number in list(self._links):
            if figure(app, f'salmonn_replica_sessions{{replica="{number}"}}'):
                self.kill(number)

    def close(self) -> None:
        for number in list(self._links):
            self.kill(number)
        for thread in self._threads:
            thread.join()
        self.listening.close()


@asynccontextmanager
async def housed(
    path: Path, replicas: int = 2, new_session: Callable[[], Session] = WARM, **changes: Any
) -> AsyncIterator[tuple[App, str, House]]:
    with contextlib.closing(House(path)) as house:
        assistant = replace(fake(new_session), host=partial(Replicas, house.listening, WARM))
        async with serving(assistant, **changes) as (app, address):
            for number in range(replicas):
                house.begin(number)
            await there(app, replicas)
            yield app, address, house
        while house.listening.fileno() != -1:  # noqa: ASYNC110 - the server closes it
            await asyncio.sleep(0)


def figure(app: App, name: str) -> float:
    lines = app.metrics.text().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(name))


async def there(app: App, replicas: int) -> None:
    def are() -> int:
        return app.metrics.text().decode().count("salmonn_replica_pid{")

    while are() != replicas:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.005)


def run(test: Any) -> Any:
    return asyncio.run(asyncio.wait_for(test, 30))


async def conversation(path: Path, dies: str | None) -> list[Json]:
    """What a client is told whose replica dies."""
    events: list[Json] = []
    async with housed(path) as (app, address, house), client(address) as wire:

        def die(when: str) -> None:
            if when == dies and figure(app, "salmonn_sessions_moved_total") == 0:
                house.kill_busy(app)

        die("at once")
        await configure(wire)
        await speak(wire, "...SSS")
        die("while somebody speaks")
        await speak(wire, "SS" + "." * 20)
        die("before the reply")
        while not events or events[-1]["type"] != "response.done":
            events.append(await take(wire))
            if events[-1]["type"].endswith("text.delta"):
                die("in the reply")
        await speak(wire, TURN)
        events += await until(wire, "response.done")
        assert figure(app, "salmonn_sessions_moved_total") == (dies is not None)
    return events


TURN = "...SSSS" + "." * 20


def alike(events: list[Json]) -> list[str]:
    """Without what is another one in each conversation."""
    return [re.sub(r"(item|resp|sess|conv)_\w+", r"\1", json.dumps(event)) for event in events]


@pytest.mark.parametrize(
    "dies", ["at once", "while somebody speaks", "before the reply", "in the reply"]
)
def test_a_client_is_told_the_same_when_a_replica_dies(tmp_path: Path, dies: str) -> None:
    whole = run(conversation(tmp_path / "a", None))
    assert alike(run(conversation(tmp_path / "b", dies))) == alike(whole)


def test_sessions_are_spread_and_wait_where_no_replica_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with housed(tmp_path / "r") as (app, address, house):
            async with client(address) as first, client(address) as second:
                for wire in (first, second):
                    await configure(wire)
                for number in (0, 1):
                    name = f'salmonn_replica_sessions{{replica="{number}"}}'
                    assert figure(app, name) == 1
                    house.kill(number)
                await there(app, 0)
                assert (await asyncio.to_thread(get, address, "/readyz"))[0] == 503
                assert figure(app, "salmonn_sessions_waiting") == 2
                await speak(first, TURN)
                house.begin(0)
                assert (await until(first, "response.done"))[-1]["response"]["status"]
                assert (await asyncio.to_thread(get, address, "/readyz"))[0] == 200
            assert figure(app, 'salmonn_replica_begins_total{replica="0"}') == 2

    run(test())


def test_an_error_ends_its_session_alone(tmp_path: Path) -> None:
    async def test() -> None:
        house = housed(tmp_path / "r", 1, broken)
        async with house as (_, address, _), client(address) as wire, client(address) as other:
            for one in (wire, other):
                await configure(one)
            await speak(wire, TURN)
            error = (await until(wire, "error"))[-1]["error"]
            assert error["message"] == "an error of the server"
            await say(other, "input_audio_buffer.clear")
            await until(other, "input_audio_buffer.cleared")

    run(test())


def test_a_replica_that_gives_no_sign_of_life_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(replicas, "ALIVE_S", 0.2)
    monkeypatch.setattr(os, "kill", lambda pid, how: killed.append((pid, how)))

    async def test() -> None:
        async with housed(tmp_path / "r", 1) as (app, address, house), client(address) as wire:
            await configure(wire)
            with monkeypatch.context() as hanging:
                hanging.setattr(Replica, "_send", lambda *_: None)
                await there(app, 0)
            house.begin(1)
            await speak(wire, TURN)
            await until(wire, "response.done")

    run(test())
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_a_session_that_kills_one_replica_after_another_is_given_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with housed(tmp_path / "r", 1) as (app, address, house), client(address) as wire:
            await configure(wire)
            for number in range(3):
                assert app.places.worker.sessions
                house.kill_busy(app)
                await there(app, 0)
                house.begin(number)
                await there(app, 1)
            error = (await until(wire, "error"))[-1]["error"]
            assert error["message"] == "3 replicas ended with this session"
            async with client(address) as other:
                await configure(other)

    run(test())
