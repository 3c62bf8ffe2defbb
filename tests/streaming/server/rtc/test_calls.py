"""Sessions over WebRTC: a real peer on loopback, and its sound."""

import asyncio
import importlib
import json
import re
import socket
from typing import Any
from unittest.mock import AsyncMock

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from openai import AsyncOpenAI
from pydantic import ValidationError

from assistant.model import Salmonn
from assistant.sound.recording import load_pcm16
from streaming.config import IceConfig
from streaming.server import seats, traffic
from streaming.server.rtc import calls
from streaming.server.rtc.peer import reachable
from tests.streaming.fakes import CHARACTER
from tests.streaming.server.api.asked import KITCHEN, tiny_assistant
from tests.streaming.server.rtc.caller import CALLS, Caller, Json, calling, form, offered, posted
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import client, fake, run, serving, take
from tests.streaming.server.test_speech import LONG, Teller, speaking

TURN = "...SSSSSS" + "." * 25
VOICE_MS = 1000 * CHARACTER // 24_000
"""Of a character."""


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def transcript(events: list[Json]) -> str:
    done = next(event for event in events if event["type"] == "response.done")
    return str(done["response"]["output"][0]["content"][0]["transcript"])


def test_a_question_is_heard_and_answered_over_tracks(tiny: Salmonn) -> None:
    @run
    async def test() -> None:
        async with serving(tiny_assistant(tiny)) as (_, host), calling(host) as caller:
            created = await caller.configure(max_output_tokens=3)
            assert created["output_modalities"] == ["audio"]
            caller.microphone.said += load_pcm16(KITCHEN)[: 2 * 16_000 * 3] + bytes(2 * 16_000)
            caller.heard.clear()
            events = await caller.until("output_audio_buffer.stopped")
            assert "input_audio_buffer.committed" in kinds(events)
            assert "response.output_audio.delta" not in kinds(events)
            order = [
                "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                "conversation.item.added", "response.created", "output_audio_buffer.started",
                "response.output_audio_transcript.delta", "response.output_audio.done",
                "response.done", "output_audio_buffer.stopped",
            ]  # fmt: skip
            assert [kind for kind in dict.fromkeys(kinds(events)) if kind in order] == order
            ids = {e["response_id"] for e in events if e["type"].startswith("output_audio_buffer")}
            assert ids == {events[kinds(events).index("response.created")]["response"]["id"]}
            assert transcript(events)
            await asyncio.sleep(0.1)  # what is on its way
            assert np.abs(caller.sound).max() > 3000

    test()


@run
async def test_who_interrupts_hears_no_more_and_the_model_keeps_what_was_played() -> None:
    listeners: list[Teller] = []

    def listener() -> Teller:
        listeners.append(Teller())
        return listeners[-1]

    async with serving(speaking(listener)) as (_, host), calling(host) as caller:
        await caller.configure()
        caller.microphone.say(TURN)
        await caller.until("output_audio_buffer.started")
        begun = asyncio.get_running_loop().time()
        await caller.until("response.output_audio_transcript.delta")
        caller.microphone.say("." * 20 + "S" * 14)
        events = await caller.until("output_audio_buffer.cleared")
        played_ms = 1000 * (asyncio.get_running_loop().time() - begun)
        done = events[kinds(events).index("response.done")]["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        heard = transcript(events)
        assert (3 * LONG).startswith(heard)
        assert 0 < len(heard) * VOICE_MS < played_ms + 60 + 9 * VOICE_MS  # a word that had begun
        caller.microphone.say("." * 25)
        await caller.until("response.created")
        assert f"truncated 0 to {len(heard)}" in listeners[0].diary


@run
async def test_a_client_clears_what_is_played_and_the_answer_ends() -> None:
    async with serving(speaking(Teller)) as (app, host), calling(host) as caller:
        await caller.configure()
        caller.say("output_audio_buffer.clear")  # nothing is played: nothing is told
        caller.say("response.create")
        await caller.until("output_audio_buffer.started")
        caller.say("output_audio_buffer.clear")
        events = await caller.until("response.done")
        assert kinds(events).count("output_audio_buffer.cleared") == 1
        assert events[-1]["response"]["status"] == "cancelled"
        assert len(transcript(events)) < len(LONG)
        (seat,) = app.seats.here.values()
        assert seat._playback.is_over(0.0)
        caller.say("response.create")  # and the next one is heard
        await caller.until("output_audio_buffer.started")
        caller.say("response.cancel")
        assert "output_audio_buffer.cleared" in kinds(
            await caller.until("output_audio_buffer.cleared")
        )


@run
async def test_what_was_played_is_cut_where_the_client_says() -> None:
    async with serving(speaking(Teller)) as (_, host), calling(host) as caller:
        await caller.configure()
        caller.say("response.create")
        added = (await caller.until("response.output_item.added"))[-1]["item"]["id"]
        await caller.until("response.output_audio_transcript.delta")
        await asyncio.sleep(0.3)
        caller.say("conversation.item.truncate", item_id=added, content_index=0, audio_end_ms=100)
        events = await caller.until("output_audio_buffer.cleared")
        assert "conversation.item.truncated" in kinds(events)
        assert transcript(events) == LONG[: LONG.index(" ", 100 // VOICE_MS) + 1]


@run
async def test_an_interruption_as_agents_send_it_is_no_error_and_is_told_in_order() -> None:
    async with serving(speaking(Teller)) as (_, host), calling(host) as caller:
        await caller.configure()
        caller.say("response.create")
        events = await caller.until("output_audio_buffer.started")
        caller.say("response.cancel")
        caller.say("output_audio_buffer.clear")
        events += await caller.until("response.done")
        caller.say("response.create")
        events += await caller.until("response.done")
        assert "error" not in kinds(events)
        numbers = [int(event["event_id"].removeprefix("event_")) for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(events)))


@run
async def test_a_call_that_is_hung_up_is_over() -> None:
    async with serving(speaking()) as (app, host), calling(host) as caller:
        await caller.configure()
        there = f"{caller.location}/hangup"
        assert (await posted(host, b"", there))[0] == 200
        await caller.over.wait()
        await eventually(lambda: not app.seats.here)
        status, _, body = await posted(host, b"", there)
        assert (status, json.loads(body)["error"]["code"]) == (404, "call_id_not_found")


@run
async def test_a_peer_that_leaves_leaves_its_place() -> None:
    async with serving(speaking(), sessions=1) as (app, host):
        async with calling(host) as caller:
            await caller.configure()
            assert (await posted(host, b"v=0"))[0] == 400
            status, _, body = await posted(host, (await offered()).encode())
            assert (status, json.loads(body)["error"]["code"]) == (503, "busy")
        await eventually(lambda: not app.seats.here)
        async with calling(host) as caller:
            await caller.configure()


@run
async def test_who_never_connects_is_not_waited_for() -> None:
    async with serving(speaking()) as (app, host):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(traffic, "UNREAD_S", 0.1)
            assert (await posted(host, (await offered()).encode()))[0] == 201
            assert app.seats.here
            await eventually(lambda: not app.seats.here)
            patch.setattr(traffic, "UNREAD_S", 300.0)  # longer than the test may take
            patch.setattr(seats, "FAREWELL_S", 300.0)
            _, head, _ = await posted(host, (await offered()).encode())
            assert (await posted(host, b"", f"{head['location']}/hangup"))[0] == 200
            async with asyncio.timeout(60):
                await eventually(lambda: not app.seats.here)


@run
async def test_a_server_that_goes_away_tells_its_calls() -> None:
    async with serving(speaking()) as (app, host), calling(host) as caller:
        await caller.configure()
        await app.drain(0.1)
        await caller.over.wait()


@run
async def test_a_session_comes_with_the_offer() -> None:
    async with serving(speaking()) as (_, host):
        caller = Caller(host)
        settings = {
            "type": "realtime", "model": "gpt-realtime", "instructions": "Sing.",
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}},
        }  # fmt: skip
        body, kind = form(sdp=await caller.offer(), session=json.dumps(settings))
        status, _, answer = await posted(host, body, kind=kind)
        assert status == 201
        await caller.connect(answer.decode())
        told = (await caller.until("session.created"))[-1]["session"]
        assert told["instructions"] == "Sing."
        assert told["audio"]["output"]["format"]["type"] == "audio/pcm"  # which has no effect here
        await caller.peer.close()


@run
async def test_the_official_client_calls_and_hangs_up() -> None:
    async with (
        serving(speaking()) as (app, host),
        AsyncOpenAI(api_key="any", base_url=f"http://{host}/v1", max_retries=0) as openai,
    ):
        caller = Caller(host)
        answer = await openai.realtime.calls.create(sdp=await caller.offer())
        await caller.connect(answer.text)
        await caller.configure()
        await openai.realtime.calls.hangup(answer.response.headers["location"].split("/")[-1])
        await eventually(lambda: not app.seats.here)
        await caller.peer.close()


@run
async def test_messages_of_audio_are_for_sockets() -> None:
    async with serving(speaking()) as (app, host), calling(host) as caller:
        await caller.configure(salmonn={"binary_audio": True})
        caller.say("input_audio_buffer.append", event_id="e1", audio="AAAA")
        error = (await caller.until("error"))[-1]["error"]
        assert (error["code"], error["event_id"]) == ("invalid_event_for_transport", "e1")
        caller.channel.send(b'{"type": "response.cancel", "event_id": "e2"}')
        assert (await caller.until("error"))[-1]["error"]["event_id"] == "e2"
        (seat,) = app.seats.here.values()
        async with client(host, f"?session_id={seat.name}") as socket:  # it has a peer already
            with pytest.raises(Exception, match="cannot be resumed"):
                await take(socket)
        assert seat.connection is not None


@run
async def test_a_recording_is_an_item_beside_the_track() -> None:
    async with serving(speaking()) as (_, host), calling(host) as caller:
        await caller.configure()
        part = {"type": "input_audio", "audio": "AAAA" * 9000}
        item = {"type": "message", "role": "user", "content": [part]}
        caller.say("conversation.item.create", item=item)
        caller.say("response.create")
        events = await caller.until("response.done")
        assert "conversation.item.done" in kinds(events)
        assert events[-1]["response"]["status"] == "completed"


@run
async def test_who_sends_more_than_can_be_taken_is_cut_off() -> None:
    async with serving(speaking()) as (app, host), calling(host) as caller:
        await caller.configure()
        (seat,) = app.seats.here.values()
        async with seat.taking:  # it is busy
            for _ in range(2200):
                caller.say("response.cancel")
            await eventually(lambda: seat.connection is None)
        assert b'salmonn_connections_cut_total{why="flood"} 1.0' in app.metrics.text()


@run
async def test_who_sends_parts_of_a_message_without_end_is_cut_off() -> None:
    async with serving(speaking()) as (app, host), calling(host) as caller:
        await caller.configure()
        (seat,) = app.seats.here.values()
        ((call, _),) = app.calls._here.values()
        call._peer._connection.sctp._advertised_rwnd = -1  # as aiortc counts what is not complete
        await eventually(lambda: seat.connection is None)
        assert b'salmonn_connections_cut_total{why="flood"} 1.0' in app.metrics.text()


@pytest.mark.parametrize(
    ("kind", "body", "status", "param"),
    [
        ("application/sdp", b"", 400, "sdp"),
        ("application/sdp", b"v=0\r\n", 400, "sdp"),
        ("application/sdp", b"\xff\xfe", 400, "sdp"),
        ("application/sdp", b"x" * 200_000, 413, None),
        ("application/json", b"{}", 415, None),
        ("", b"v=0", 415, None),
        ("multipart/form-data", b"", 400, None),
        (form()[1], form(session="{}")[0], 400, "sdp"),
        (form()[1], form(sdp="v=0", session="[]")[0], 400, "session"),
        (form()[1], form(sdp="v=0", session='{"type": "x"}')[0], 400, "sdp"),
        (form()[1], form(sdp="v=0", more="1")[0], 400, "more"),
    ],
)
def test_what_is_wrong_is_said(kind: str, body: bytes, status: int, param: str | None) -> None:
    @run
    async def test() -> None:
        async with serving() as (app, host):
            found, _, told = await posted(host, body, kind=kind)
            assert (found, json.loads(told)["error"]["param"]) == (status, param)
            assert not app.seats.here

    test()


@run
async def test_settings_that_are_wrong_are_named_and_no_session_begins() -> None:
    async with serving(speaking()) as (app, host):
        session = json.dumps({"type": "realtime", "audio": {"output": {"speed": 9}}})
        body, kind = form(sdp=await offered(), session=session)
        status, _, told = await posted(host, body, kind=kind)
        assert (status, json.loads(told)["error"]["param"]) == (400, "session.audio.output.speed")
        assert not app.seats.here


@run
async def test_without_aiortc_it_is_said_what_to_install() -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    async with serving() as (_, host):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calls, "importlib", type("", (), {"import_module": missing}))
            status, _, told = await posted(host, b"v=0")
        assert (status, json.loads(told)["error"]["code"]) == (501, "not_offered")
        assert "salmonn-live[webrtc]" in json.loads(told)["error"]["message"]
    assert importlib.import_module("streaming.server.rtc.line")


@run
async def test_pages_of_others_may_call_where_they_are_allowed_to() -> None:
    async with serving(fake(), origins=["https://friend.example"]) as (_, host):
        offer = (await offered()).encode()
        _, head, _ = await posted(host, offer, Origin="https://friend.example")
        assert head["access-control-allow-origin"] == "https://friend.example"
        assert head["access-control-expose-headers"] == "Location"
        assert head["location"].startswith(f"{CALLS}/rtc_")
        assert (await posted(host, offer, Origin="https://else.example"))[0] == 403


@run
async def test_sockets_are_closed_even_where_aiortc_fails_to() -> None:
    async with serving(speaking()) as (app, host):
        offer = (await offered()).encode()
        with pytest.MonkeyPatch.context() as patch:
            closing = AsyncMock(side_effect=AttributeError)
            patch.setattr(RTCPeerConnection, "close", closing)
            status, _, answer = await posted(host, offer)
            assert status == 201
            found = re.search(rb"127\.0\.0\.1 (\d+) typ host", answer)
            assert found is not None
            port = int(found[1])
            with pytest.raises(OSError, match="in use"):
                bind(port)
            for seat in app.seats.here.values():
                seat.end(1000, "enough")
            await eventually(lambda: not app.seats.here)
            await eventually(lambda: bool(closing.await_count))
            bind(port)


@run
async def test_each_call_takes_a_port_of_those_there_are() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with serving(speaking(), ice=IceConfig(ports=[port, port])) as (app, host):
        offer = (await offered()).encode()
        status, _, answer = await posted(host, offer)
        assert status == 201
        assert f"127.0.0.1 {port} typ host".encode() in answer
        status, _, told = await posted(host, offer)
        assert (status, "server.ice" in json.loads(told)["error"]["message"]) == (503, True)
        assert len(app.seats.here) == 1


def test_a_server_is_reached_where_it_listens() -> None:
    assert reachable(["127.0.0.1", "192.0.2.9"]) == ["127.0.0.1", "192.0.2.9"]
    assert reachable(["0.0.0.0"])[-1] == "127.0.0.1"
    assert not any(":" in address for address in reachable(["0.0.0.0"]))


@pytest.mark.parametrize(
    "wrong",
    [{"addresses": ["here"]}, {"announced": "nas.example"}, {"ports": [5]}, {"ports": [9, 5]}],
)
def test_addresses_and_ports_that_are_none_are_refused(wrong: Json) -> None:
    with pytest.raises(ValidationError):
        IceConfig.model_validate(wrong)


def bind(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
