"""The Python client against a real server with a scripted model."""

import asyncio

import pytest

from clients.realtime import KEPT_BYTES, SAMPLE_RATE, SETTINGS, Json, Session, SessionLostError
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
            # The second follows so soon that it goes on with the first.
            assert await reading == ["I heard 3 windows", "I heard 10 windows"], drop_at


class Forgetful(Session):
    """Keeps what it sends, and comes back as the test says."""

    def __init__(self) -> None:
        super().__init__("ws://nowhere")
        self.out: list[str | bytes] = []

    async def _try_to_send(self, message: str | bytes) -> bool:
        self.out.append(message)
        return True


@run
async def test_audio_that_is_kept_no_longer_is_left_out_once() -> None:
    talk, second = Forgetful(), bytes(SAMPLE_RATE * 2)
    for _ in range(40):
        await talk.audio(second)
    await talk._take({"type": "salmonn.resumed", "audio_bytes": 500, "messages": 1})
    assert talk.out == [second] * (KEPT_BYTES // len(second))
    await talk.audio(b"more")
    has = 500 + KEPT_BYTES
    await talk._take({"type": "salmonn.resumed", "audio_bytes": has, "messages": 1})
    assert talk.out[-2:] == [b"more", b"more"]
    await talk._take({"type": "salmonn.resumed", "audio_bytes": has + 4, "messages": 1})
    assert talk.out[-3:] == [second, b"more", b"more"]


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
