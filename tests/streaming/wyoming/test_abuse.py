"""What is wrong gets a readable error, and those beside it notice nothing."""

import asyncio
import contextlib
import json
import logging
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart
from wyoming.event import Event

from assistant.errors import AssistantError
from streaming.server.connection import STRANGERS
from streaming.wyoming import connection, framing, place
from tests.streaming.fakes import Echo, pcm
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import run
from tests.streaming.wyoming.home_assistant import (
    FORMAT,
    ServiceError,
    ask,
    client,
    describe,
    hear,
    say,
)
from tests.streaming.wyoming.services import scripted, serving
from tests.streaming.wyoming.test_service import QUESTION, pieces, until

DEEP = b"[" * 60_000

WRONG = {
    "not JSON": (b"GET / HTTP/1.1\r\n", "header: not JSON"),
    "no object": (b"[1]\n", "header: not a JSON object"),
    "deep": (DEEP + b"\n", "header: not JSON"),
    "latin": (b'{"type": "\xe9"}\n', "header: not JSON"),
    "no type": (b"{}\n", "type: not a text"),
    "data": (b'{"type": "x", "data": 1}\n', "data: not an object"),
    "long header": (b"x" * 200_000, "header: more than 65536 bytes"),
    "huge payload": (
        b'{"type": "x", "payload_length": 99999999999}\n',
        "payload_length: more than",
    ),
    "huge data": (b'{"type": "x", "data_length": 262145}\n', "data_length: more than 262144"),
    "less than nothing": (b'{"type": "x", "data_length": -1}\n', "data_length: not a number"),
    "half a byte": (b'{"type": "x", "data_length": 1.5}\n', "data_length: not a number"),
    "true bytes": (b'{"type": "x", "payload_length": true}\n', "payload_length: not a number"),
    "data is no JSON": (b'{"type": "x", "data_length": 2}\n{]', "data: not JSON"),
    "data is no object": (b'{"type": "x", "data_length": 2}\n[]', "data: not a JSON object"),
    "no text": (b'{"type": "transcript"}\n', "transcript: text: field required"),
    "text is a number": (b'{"type": "synthesize", "data": {"text": 1}}\n', "synthesize: text: "),
    "long text": (
        json.dumps({"type": "transcript", "data": {"text": "x" * 16_385}}).encode() + b"\n",
        "at most 16384 characters",
    ),
    "half a character": (
        b'{"type": "transcript", "data": {"text": "\\ud800"}}\n',
        "transcript: text: ",
    ),
    "ids": (
        b'{"type": "transcript", "data": {"text": "x", "context": {"satellite_id": 5}}}\n',
        "context.satellite_id",
    ),
    "rate": (
        b'{"type": "audio-start", "data": {"rate": 1, "width": 2, "channels": 1}}\n',
        "rate: not one of 8000, 16000",
    ),
    "huge rate": (
        b'{"type": "audio-start", "data": {"rate": 1e300, "width": 2, "channels": 1}}\n',
        "audio-start: rate",
    ),
    "width": (
        b'{"type": "audio-start", "data": {"rate": 16000, "width": 4, "channels": 1}}\n',
        "width: only 2",
    ),
    "channels": (
        b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 64}}\n',
        "channels: only 1",
    ),
    "program": (b'{"type": "select-program", "data": {"name": "x"}}\n', "only salmonn-live"),
    "ssml": (
        b'{"type": "synthesize", "data": {"text": "<x/>", "text_format": "ssml"}}\n',
        "text_format: only text",
    ),
}


async def told(port: int, sent: bytes) -> list[dict[str, Any]]:
    """The headers and data that come back, until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = []
    while line := await reader.readline():
        head = json.loads(line)
        data = await reader.readexactly(head.get("data_length", 0))
        found.append({"type": head["type"], **(json.loads(data) if data else {})})
    writer.close()
    return found


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    sent, expected = WRONG[name]

    @run
    async def test() -> None:
        async with serving() as (places, port):
            (error,) = await told(port, sent)
            assert error["type"] == "error"
            assert expected in error["text"]
            assert error["code"]
            assert await describe(port)
            await eventually(lambda: not places.worker.sessions)

    test()


@run
async def test_a_stream_keeps_its_format() -> None:
    async with serving() as (places, port):
        async with client(port) as service:
            await service.write_event(AudioStart(**FORMAT).event())
            await service.write_event(AudioChunk(8_000, 2, 1, b"12").event())
            error = (await until(service, "error"))[-1]
            assert "not the format of its audio-start" in error.data["text"]
        await eventually(lambda: not places.worker.sessions)


@run
async def test_a_stream_does_not_last_for_ever() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "LONGEST_S", 0.5)
        async with serving() as (_, port):
            with pytest.raises(ServiceError, match="may last"):
                await hear(port, pieces("S" * 50))


@run
async def test_pieces_of_a_text_are_counted_together() -> None:
    async with serving() as (_, port), client(port) as service:
        await service.write_event(Event("synthesize-start"))
        for _ in range(2):
            await service.write_event(Event("synthesize-chunk", {"text": "x" * 9_000}))
        assert "more than 16384" in (await until(service, "error"))[-1].data["text"]


@asynccontextmanager
async def impatient(**changes: Any) -> AsyncIterator[tuple[Any, int]]:
    """A service that waits for nobody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "STALL_S", 0.3)
        patch.setattr(framing, "FRAME_S", 0.3)
        patch.setattr(place, "ROOM_S", 0.2)
        async with serving(**changes) as served:
            yield served


@run
async def test_who_stalls_is_told_so_and_loses_its_place() -> None:
    head = b'{"type": "audio-chunk", "payload_length": 9}\n'
    starts = json.dumps({"type": "audio-start", "data": FORMAT}).encode() + b"\n"
    speaks = b'{"type": "synthesize-start"}\n'
    async with impatient() as (places, port):
        for sent in (head, starts, starts + head + b"123", speaks):
            *_, error = await told(port, sent)
            assert error["text"] == "nothing came for too long", sent
        await eventually(lambda: not places.worker.sessions)


@run
async def test_twenty_clients_at_once_and_one_that_stalls() -> None:
    async with impatient(sessions=24) as (places, port):
        async with client(port) as stalled:
            await stalled.write_event(Transcribe().event())
            await stalled.write_event(AudioStart(**FORMAT).event())
            heard = await asyncio.gather(*(hear(port, pieces(QUESTION)) for _ in range(20)))
            assert {result.text for result in heard} == {heard[0].text}
            answers = await asyncio.gather(*(ask(port, heard[0].text) for _ in range(20)))
            assert [answer.text for answer in answers] == ["I heard 3 windows"] * 20
            spoken = await asyncio.gather(*(say(port, "Hello.") for _ in range(20)))
            assert len({sound.pcm for sound in spoken}) == 1
            assert (await until(stalled, "error"))[-1].data["code"] == "stalled"
        await eventually(lambda: not places.worker.sessions)


@run
async def test_who_finds_no_place_is_told_so_and_what_was_heard_makes_room() -> None:
    async with impatient(sessions=1) as (_, port):
        async with client(port) as speaker:
            await speaker.write_event(AudioStart(**FORMAT).event())
            await speaker.write_event(AudioChunk(**FORMAT, audio=pcm("S")).event())
            await asyncio.sleep(0.05)
            with pytest.raises(ServiceError, match="all sessions are taken"):
                await ask(port, "Hello?")
        heard = await hear(port, pieces(QUESTION))
        await hear(port, pieces("..." + QUESTION))
        assert (await ask(port, heard.text)).text == "I heard 0 windows", "it had to go"


@run
async def test_who_waits_gets_the_place_that_is_freed() -> None:
    async with serving(sessions=2) as (_, port):
        heard = await asyncio.gather(*(hear(port, pieces(QUESTION)) for _ in range(8)))
        assert {result.text for result in heard} == {heard[0].text}


@run
async def test_too_many_connections_are_refused() -> None:
    async with serving(connects_per_s=3.0) as (_, port):
        answers = await asyncio.gather(*(told(port, b"\n") for _ in range(12)))
        codes = [answer[0]["code"] for answer in answers]
        assert codes.count("frame") == 3
        assert codes.count("rate") == 9


@run
async def test_those_who_only_connect_keep_nobody_out() -> None:
    async with serving() as (_, port):
        writers = []
        for _ in range(STRANGERS + 20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
        assert await describe(port)
        for writer in writers:
            writer.transport.abort()


@run
async def test_who_does_not_read_is_cut_off() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "UNREAD_S", 0.2)
        async with serving() as (places, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            assert reader
            question = json.dumps({"type": "describe"}).encode() + b"\n"
            with contextlib.suppress(OSError):  # reset, or a broken pipe
                while True:
                    writer.write(question * 1000)
                    await writer.drain()
            assert await describe(port)
            assert not places.worker.sessions


@run
async def test_who_vanishes_leaves_nothing_behind() -> None:
    async with serving() as (places, port):
        for sent in (Event("audio-start", dict(FORMAT)), Event("synthesize-start")):
            async with client(port) as service:
                await service.write_event(sent)
                await eventually(lambda: bool(places.worker.sessions))
                assert service._writer is not None
                sock = service._writer.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset at close
            await eventually(lambda: not places.worker.sessions)


class Broken(Echo):
    """Fails when it is asked."""

    def ask(self) -> int:
        raise AssistantError("the model has had enough")


class Mad(Echo):
    """Fails with what was said in its message."""

    def ask(self) -> int:
        raise RuntimeError("SECRET WORDS")


@run
async def test_an_error_of_the_model_is_one_connections_alone() -> None:
    async with serving(scripted(Broken)) as (places, port):
        with pytest.raises(ServiceError, match="the model has had enough"):
            await ask(port, "Hello?")
        await eventually(lambda: not places.worker.sessions)
        assert await describe(port)


def test_nothing_that_was_said_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @run
    async def test() -> None:
        async with serving(scripted(Mad)) as (_, port):
            with pytest.raises(ServiceError, match="an error of the server"):
                await ask(port, "SECRET WORDS")
            await told(port, b'{"type": "transcript", "data": {"text": ["SECRET WORDS"]}}\n')
            await told(port, b"SECRET WORDS\n")

    caplog.set_level(logging.DEBUG)
    test()
    assert "session.fails session=wyoming_" in caplog.text
    assert "SECRET" not in caplog.text
