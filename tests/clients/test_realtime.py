"""The Python client against a real server with a scripted model."""

import asyncio

import pytest

from clients.realtime import SETTINGS, Json, Session, SessionLostError
from streaming.session import one_each
from tests.streaming.fakes import pcm, session
from tests.streaming.server.test_app import TURN, fake, run, serving

SHORT: Json = {
    **SETTINGS,
    "audio": {
        "input": {
            **SETTINGS["audio"]["input"],
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 160},
        }
    },
}


def url(host: str) -> str:
    return f"ws://{host}/v1/realtime"


async def answers(talk: Session, count: int) -> list[str]:
    found = [""]
    async for event in talk:
        if event["type"] == "response.output_text.delta":
            found[-1] += event["delta"]
        elif event["type"] == "response.done":
            if len(found) == count:
                return found
            found.append("")
    raise AssertionError("events ended")


@run
async def test_speaking_and_asking() -> None:
    async with serving() as (_, host), Session(url(host), settings=SHORT) as talk:
        await talk.audio(pcm(TURN))
        assert await answers(talk, 1) == ["I heard 3 windows"]
        await talk.ask("What was that?")
        assert (await answers(talk, 1))[0].startswith("I heard")


@run
async def test_a_connection_that_drops_is_not_noticed() -> None:
    paced = fake(lambda: session(pace=one_each))
    audio = pcm(TURN * 2)
    for drop_at in (0, 3000, 9000, 16000):
        async with serving(paced) as (_, host), Session(url(host), settings=SHORT) as talk:
            reading = asyncio.create_task(answers(talk, 2))
            for at in range(0, len(audio), 640):
                await talk.audio(audio[at : at + 640])
                if at <= drop_at < at + 640:
                    await asyncio.sleep(0.02)
                    assert talk._socket is not None
                    talk._socket.transport.abort()
                    await asyncio.sleep(0.02)
            assert await reading == ["I heard 3 windows", "I heard 4 windows"], drop_at


@run
async def test_audio_that_is_kept_no_longer_is_left_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clients.realtime.KEPT_BYTES", 1000)
    talk, sent = Session("ws://nowhere"), []

    async def to_nowhere(piece: str | bytes) -> bool:
        sent.append(piece)
        return True

    monkeypatch.setattr(talk, "_try_to_send", to_nowhere)
    for i in range(10):
        await talk.audio(bytes([i]) * 500)
    await talk._take({"type": "salmonn.resumed", "audio_bytes": 500, "messages": 1})
    assert sent == [bytes([8]) * 500, bytes([9]) * 500]
    await talk.audio(b"more")
    await talk._take({"type": "salmonn.resumed", "audio_bytes": 1504, "messages": 1})
    assert sent[2:] == [b"more"]


@run
async def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(SessionLostError, match="ws://127.0.0.1:9"):
        async with Session("ws://127.0.0.1:9/v1/realtime", tries=1):
            pass


@run
async def test_a_wrong_token_is_told() -> None:
    async with serving(token="right") as (_, host):
        async with Session(url(host), token="right"):
            pass
        with pytest.raises(SessionLostError, match="401"):
            async with Session(url(host), token="wrong", tries=1):
                pass
