"""Sessions that only transcribe, over a socket: asked for in the address, or by an update."""

import base64
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.exceptions import InvalidStatus

from assistant.model import Salmonn
from assistant.sound.recording import load
from streaming.audio.resampler import Resampler
from tests.streaming.server.api.asked import KITCHEN, asking, tiny_assistant
from tests.streaming.server.test_app import client, run, serving

KIND = "conversation.item.input_audio_transcription"


def at_24_khz() -> bytes:
    """The recording, as clients that know nothing but OpenAI's own rate send it."""
    samples = (load(KITCHEN) * 32_767).astype("<i2")
    return Resampler(16_000, 24_000).push(samples, last=True).astype("<i2").tobytes()


async def written_down(openai: AsyncOpenAI, query: dict[str, Any]) -> tuple[list[str], str]:
    """Types of all events, and what was said, as the official client has them."""
    told, kinds = [], []
    async with openai.realtime.connect(extra_query=query) as connection:
        session: Any = {"type": "transcription", "audio": {"input": {
            "transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": None,
        }}}  # fmt: skip
        await connection.session.update(session=session)
        audio = at_24_khz()
        for at in range(0, len(audio), 48_000):
            piece = base64.b64encode(audio[at : at + 48_000]).decode()
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.commit()
        event: Any
        async for event in connection:
            kinds.append(event.type)
            if event.type == f"{KIND}.delta":
                told.append(event.delta or "")
            if event.type == f"{KIND}.completed":
                assert event.transcript == "".join(told).strip()
                return kinds, event.transcript
    raise AssertionError("the connection was closed")


def test_the_official_client_gets_captions_and_no_answers(tiny: Salmonn) -> None:
    @run
    async def test() -> None:
        async with asking(tiny_assistant(tiny)) as (app, _, openai):
            for query in ({"intent": "transcription"}, {}):
                kinds, text = await written_down(openai, query)
                assert kinds[0] == "session.created"
                assert "input_audio_buffer.committed" in kinds
                assert not [kind for kind in kinds if kind.startswith(("response", "error"))]
                assert text
            assert not app.exchanges._tasks

    test()


@run
async def test_a_preset_that_reads_nothing_says_so() -> None:
    async with serving() as (_, host):
        for query, why in (("?intent=transcription", "nothing to read"), ("?intent=x", "intent")):
            with pytest.raises(InvalidStatus) as raised:
                async with client(host, query):
                    pass
            assert raised.value.response.status_code == 501
            assert why in raised.value.response.body.decode()
