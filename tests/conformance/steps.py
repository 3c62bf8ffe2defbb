"""What every client must be able to do, written once for the two that speak Python.

`node/steps.mjs` has the same steps for the one that speaks JavaScript.
"""

import asyncio
import base64
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conformance.client import DETECTION, STEP_S, TOOL, TURN, Client, Connection, Json, Record
from tests.conformance.scripted import TOKEN, Servers, mulaw, pcm24


async def connect(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        session = (await connection.until("session.created"))["session"]
        assert session["type"] == "realtime"
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}


async def refused(client: Client, servers: Servers) -> None:
    async with client.open(servers.guarded, TOKEN) as connection:
        await connection.until("session.created")
    with pytest.raises(Exception, match="401"):
        async with client.open(servers.guarded, "wrong"):
            pass


async def configure(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        session: Json = {}
        while not session.get("tools"):
            session = (await connection.until("session.updated"))["session"]
        (tool,) = session["tools"]
        assert tool["name"] == TOOL["name"]
        assert session["output_modalities"] == ["text"]
        detection = session["audio"]["input"]["turn_detection"]
        assert detection.items() >= DETECTION.items()
        assert session["audio"]["input"]["transcription"]["model"] == "gpt-4o-mini-transcribe"


async def speak(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.append(pcm24(TURN))
        spoken = (await connection.until("input_audio_buffer.speech_started"))["item_id"]
        kind = "conversation.item.input_audio_transcription"
        assert (await connection.until(f"{kind}.delta"))["item_id"] == spoken
        committed = await connection.until("input_audio_buffer.committed")
        assert committed["item_id"] == spoken
        first = await connection.until("response.output_text.delta")
        transcribed = await connection.until(f"{kind}.completed")
        assert transcribed["item_id"] == spoken
        assert transcribed["transcript"].endswith("all")
        await connection.append(pcm24("." * 30))
        text = (await connection.until("response.output_text.done"))["text"]
        assert text.startswith(first["delta"])
        response = (await connection.until("response.done"))["response"]
        assert response["status"] == "completed"
        (said,) = response["output"]
        assert said["content"] == [{"type": "output_text", "text": text}]
        assert response["usage"]["input_token_details"]["audio_tokens"] > 0


async def hear(client: Client, servers: Servers) -> None:
    """The answer is spoken, and only its beginning heard."""
    async with client.open(servers.speaking) as connection:
        session = (await connection.until("session.updated"))["session"]
        assert session["output_modalities"] == ["audio"]
        assert session["audio"]["output"]["voice"] == "speaker"
        await connection.append(pcm24(TURN + "." * 60))
        words = await connection.until("response.output_audio_transcript.delta")
        sound = await connection.until("response.output_audio.delta")
        assert len(base64.b64decode(sound["delta"])) > 0
        await connection.until("response.output_audio.done")
        told = await connection.until("response.output_audio_transcript.done")
        assert told["transcript"].startswith(words["delta"])
        part = (await connection.until("response.content_part.done"))["part"]
        assert part == {"type": "audio", "transcript": told["transcript"]}
        response = (await connection.until("response.done"))["response"]
        assert (response["status"], response["output_modalities"]) == ("completed", ["audio"])
        place = {"item_id": sound["item_id"], "content_index": 0, "audio_end_ms": 65}
        await connection.send("conversation.item.truncate", **place)
        await connection.until("conversation.item.truncated")
        await connection.send("conversation.item.retrieve", item_id=sound["item_id"])
        item: Json = {"id": None}
        while item["id"] != sound["item_id"] or item["content"][0]["transcript"] != "I heard ":
            item = (await connection.until("conversation.item.retrieved"))["item"]


async def speak_a_recording(client: Client, servers: Servers) -> None:
    async with client.open(servers.real) as connection:
        for at in range(0, len(servers.recording), 4800):  # as a microphone: 100 ms
            await connection.append(servers.recording[at : at + 4800])
        await connection.until("input_audio_buffer.speech_started")
        kind = "conversation.item.input_audio_transcription"
        await connection.until(f"{kind}.delta")
        await connection.until("input_audio_buffer.speech_stopped")
        response = (await connection.until("response.done"))["response"]
        assert response["status"] in ("completed", "incomplete")
        assert response["usage"]["input_token_details"]["cached_tokens"] > 0


async def type_a_message(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.append(pcm24("." * 10))
        await connection.ask("What was that?")
        item = (await connection.until("conversation.item.done"))["item"]
        assert item["content"] == [{"type": "input_text", "text": "What was that?"}]
        assert await finished(connection) == "completed"


async def restore_a_conversation(client: Client, servers: Servers) -> None:
    """Texts of every role, one of them before the others, then an answer to those that wait."""
    async with client.open(servers.scripted) as connection:
        for name, role, kind, after in (
            ("one", "user", "input_text", None),
            ("two", "assistant", "output_text", None),
            ("three", "user", "input_text", None),
            ("zero", "system", "input_text", "root"),
        ):
            content = [{"type": kind, "text": name}]
            item = {"id": name, "type": "message", "role": role, "content": content}
            place = {} if after is None else {"previous_item_id": after}
            await connection.send("conversation.item.create", item=item, **place)
            told = await connection.until("conversation.item.done")
            assert told["item"]["role"] == role
            assert told["item"]["content"] == content
        await connection.ask("four")
        assert await finished(connection) == "completed"


async def finished(connection: Connection) -> str:
    """An answer was asked for: let it come to its end."""
    await connection.until("response.created")
    await connection.append(pcm24("." * 40))
    return str((await connection.until("response.done"))["response"]["status"])


async def turns_by_hand(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        heard = {"format": {"type": "audio/pcmu"}, "turn_detection": None}
        wanted = {"type": "realtime", "audio": {"input": heard}}
        await connection.send("session.update", session=wanted)
        detection: Any = "unknown"
        while detection is not None:
            session = (await connection.until("session.updated"))["session"]
            detection = session["audio"]["input"]["turn_detection"]
        await connection.append(mulaw("SSSS"))
        await connection.send("input_audio_buffer.clear")
        await connection.until("input_audio_buffer.cleared")
        await connection.append(mulaw("SSSSSSSS"))
        await connection.commit()
        await connection.until("input_audio_buffer.committed")
        await connection.respond(metadata={"topic": "light"})
        await connection.until("response.created")
        await connection.append(mulaw("." * 40))
        response = (await connection.until("response.done"))["response"]
        assert response["status"] == "completed"
        assert response["metadata"] == {"topic": "light"}


async def barge_in(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.append(pcm24(TURN))
        await connection.until("response.output_text.delta")
        await connection.append(pcm24("S" * 10))
        response = (await connection.until("response.done"))["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"]["reason"] == "turn_detected"
        await connection.append(pcm24("." * 15))
        assert await finished(connection) == "completed"


async def fall_silent(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        waiting = {**DETECTION, "idle_timeout_ms": 5000}
        wanted = {"type": "realtime", "audio": {"input": {"turn_detection": waiting}}}
        await connection.send("session.update", session=wanted)
        detection: Any = {}
        while detection.get("idle_timeout_ms") != 5000:
            session = (await connection.until("session.updated"))["session"]
            detection = session["audio"]["input"]["turn_detection"]
        await connection.append(pcm24(TURN + "." * 40))
        await connection.until("response.done")
        await connection.append(pcm24("." * 260))
        told = await connection.until("input_audio_buffer.timeout_triggered")
        assert told["audio_end_ms"] - told["audio_start_ms"] == 5000
        assert await finished(connection) == "completed"


async def cancel(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.append(pcm24(TURN))
        await connection.until("response.output_text.delta")
        await connection.cancel()
        item = (await connection.until("response.output_item.done"))["item"]
        assert item["status"] == "incomplete"
        response = (await connection.until("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        await connection.send("response.cancel", event_id="late")
        assert await connection.error() == "late"


async def spoken_turn(connection: Connection) -> tuple[str, str]:
    """A whole turn: ids of what was said, and of the answer."""
    await connection.append(pcm24(TURN + "." * 30))
    said = (await connection.until("input_audio_buffer.committed"))["item_id"]
    await connection.until("conversation.item.input_audio_transcription.completed")
    (answer,) = (await connection.until("response.done"))["response"]["output"]
    return said, answer["id"]


async def retrieve(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        items: dict[str, Json] = {}
        for item_id in await spoken_turn(connection):
            await connection.send("conversation.item.retrieve", item_id=item_id)
            while item_id not in items:
                item = (await connection.until("conversation.item.retrieved"))["item"]
                items[item["id"]] = item  # some clients ask by themselves, too
        heard, answer = items.values()
        assert heard["content"][0]["transcript"].endswith("all")
        assert answer["content"][0]["text"].startswith("I heard")


async def truncate(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        said, answer = await spoken_turn(connection)
        place = {"content_index": 0, "audio_end_ms": 0}
        await connection.send("conversation.item.truncate", item_id=answer, **place)
        truncated = await connection.until("conversation.item.truncated")
        assert truncated["item_id"] == answer
        beyond = {"item_id": answer, "content_index": 0, "audio_end_ms": 500}
        await connection.send("conversation.item.truncate", **beyond, event_id="beyond")
        assert await connection.error() == "beyond"
        await connection.send("conversation.item.truncate", item_id=said, **place, event_id="user")
        assert await connection.error() == "user"


async def delete(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        said, _ = await spoken_turn(connection)
        await connection.send("conversation.item.delete", item_id=said)
        assert (await connection.until("conversation.item.deleted"))["item_id"] == said
        await connection.send("conversation.item.retrieve", item_id=said, event_id="gone")
        assert await connection.error() == "gone"


async def use_a_tool(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        session: Json = {}
        while not session.get("tools"):
            session = (await connection.until("session.updated"))["session"]
        await connection.ask("Switch the light on.")
        await connection.until("response.created")
        await connection.append(pcm24("." * 40))
        called = await connection.until("response.function_call_arguments.done")
        assert (called["name"], called["arguments"]) == (TOOL["name"], '{"on": true}')
        item = (await connection.until("response.output_item.done"))["item"]
        assert (item["type"], item["status"]) == ("function_call", "completed")
        output = (await connection.until("response.done"))["response"]["output"]
        assert [one["type"] for one in output] == ["message", "function_call"]
        await connection.tool_output(called["call_id"], '{"done": true}')
        assert await finished(connection) == "completed"


async def out_of_band(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        text = [{"type": "input_text", "text": "Name a colour."}]
        asked = {"type": "message", "role": "user", "content": text}
        await connection.respond(conversation="none", input=[asked], output_modalities=["text"])
        await connection.until("response.created")
        await connection.append(pcm24("." * 40))
        response = (await connection.until("response.done"))["response"]
        assert (response["status"], response["conversation_id"]) == ("completed", None)


async def limit(client: Client, servers: Servers) -> None:
    async with client.open(servers.real) as connection:
        await connection.append(pcm24("." * 10))
        await connection.respond(instructions="Be brief.", max_output_tokens=3)
        response = (await connection.until("response.done"))["response"]
        assert response["status"] == "incomplete"
        assert response["status_details"]["reason"] == "max_output_tokens"
        assert response["usage"]["output_tokens"] == 3
        assert response["max_output_tokens"] == 3


async def errors(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.send("conversation.item.delete", item_id="nothing", event_id="mine")
        assert await connection.error() == "mine"
        await connection.send("output_audio_buffer.clear", event_id="webrtc")
        assert await connection.error() == "webrtc"
        await connection.append(pcm24(TURN))  # and the session goes on
        await connection.until("response.created")


async def come_back(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        await connection.append(pcm24(TURN))
        await connection.until("response.output_text.delta")
        servers.drop()
        await connection.again({})
        await connection.until("session.created")
        await connection.append(pcm24("." * 10))
        await connection.ask("Are you there?")
        assert await finished(connection) == "completed"


async def resume(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        session = (await connection.until("session.created"))["session"]
        await connection.append(pcm24(TURN))
        delta = await connection.until("response.output_text.delta")
        servers.drop()
        number = delta["event_id"].removeprefix("event_")
        await connection.again({"session_id": session["id"], "after": number})
        assert (await connection.until("salmonn.resumed"))["audio_bytes"] == len(pcm24(TURN))
        await connection.append(pcm24("." * 40))
        text = (await connection.until("response.output_text.done"))["text"]
        assert text.startswith(delta["delta"])
        assert (await connection.until("response.done"))["response"]["status"] == "completed"


async def extensions(client: Client, servers: Servers) -> None:
    async with client.open(servers.scripted) as connection:
        asked = {"sound_events": True, "prefill": True, "latency": True}
        wanted = {"type": "realtime", "salmonn": asked}
        await connection.send("session.update", session=wanted)
        told: Json = {}
        while not told.get("latency"):
            told = (await connection.until("session.updated"))["session"]["salmonn"]
        await connection.append(pcm24(TURN + "." * 30))
        for kind in ("salmonn.sound", "salmonn.prefill", "salmonn.latency"):
            await connection.until(kind)


STEPS: dict[str, Callable[[Client, Servers], Awaitable[None]]] = {
    "connect": connect,
    "be refused without the right key": refused,
    "configure": configure,
    "speak, with captions and a streamed answer": speak,
    "hear the answer, and not all of it": hear,
    "speak a recording to a real model": speak_a_recording,
    "type a message": type_a_message,
    "restore a conversation": restore_a_conversation,
    "end turns by hand, in mu-law": turns_by_hand,
    "barge in": barge_in,
    "fall silent": fall_silent,
    "cancel": cancel,
    "retrieve": retrieve,
    "truncate": truncate,
    "delete": delete,
    "use a tool": use_a_tool,
    "ask out of band": out_of_band,
    "limit an answer": limit,
    "make errors": errors,
    "come back after a drop": come_back,
    "resume after a drop": resume,
    "ask for extensions": extensions,
}


async def take(client: Client, record: Record, servers: Servers) -> None:
    """All steps, one after another, whatever comes of each."""
    servers.sent.clear()
    for name, step in STEPS.items():
        record.errors[name] = None
        try:
            await asyncio.wait_for(step(client, servers), STEP_S)
        except Exception:  # noqa: BLE001 - told by the step's own test
            record.errors[name] = traceback.format_exc()
    record.sent |= servers.sent
