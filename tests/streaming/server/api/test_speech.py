"""`POST /v1/audio/speech`, asked by OpenAI's own client: the voice itself, in each format."""

import asyncio
import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from openai import APIStatusError

from assistant.config import VoiceConfig
from assistant.model import Salmonn
from assistant.sound.held import Held
from assistant.sound.recording import load_pcm16
from assistant.voice.choose import load_voice
from streaming.server.api import line
from streaming.server.api.build import Makers, works
from streaming.server.assistant import Assistant
from tests.streaming.server.api.asked import asking, tiny_assistant
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import run
from tests.streaming.server.test_http import asking as raw
from tests.streaming.server.test_http import http, message

TEXT = "Good evening."


@pytest.fixture(scope="module")
def assistant(tiny: Salmonn) -> Assistant:
    return tiny_assistant(tiny)


def spoken() -> NDArray[np.int16]:
    voice = load_voice("heart")
    assert voice is not None
    return np.frombuffer(voice.speak(TEXT).pcm, "<i2").astype(np.int16)


async def said(client: Any, **wanted: Any) -> tuple[bytes, str]:
    """The file, and its type."""
    about = {"input": TEXT, "model": "tts-1", "voice": "alloy", **wanted}
    async with client.audio.speech.with_streaming_response.create(**about) as answer:
        pieces = [piece async for piece in answer.iter_bytes()]
        return b"".join(pieces), answer.headers["content-type"]


def test_every_format_is_the_voice(assistant: Assistant) -> None:
    expected = spoken()

    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            pcm, kind = await said(client, response_format="pcm")
            assert (np.frombuffer(pcm, "<i2") == expected).all()
            assert kind == "audio/pcm"
            wav, kind = await said(client, response_format="wav")
            assert kind == "audio/wav"
            assert wav[44:] == pcm
            samples = load_pcm16(Held(wav, "speech.wav"))  # its length is not in its header
            assert len(samples) // 2 == pytest.approx(len(expected) * 2 / 3, abs=2)
            flac, kind = await said(client, response_format="flac")
            found, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
            assert (rate, kind) == (24_000, "audio/flac")
            assert (found == expected).all()
            for wanted, expected_kind in (
                ({}, "audio/mpeg"), ({"response_format": "opus"}, "audio/ogg"),
            ):  # fmt: skip
                coded, kind = await said(client, **wanted)
                assert kind == expected_kind
                found, rate = soundfile.read(io.BytesIO(coded))
                assert len(found) / rate == pytest.approx(len(expected) / 24_000, abs=0.15)
                assert np.abs(found).max() == pytest.approx(np.abs(expected / 32768).max(), rel=0.3)

    test()


def test_speech_comes_clause_by_clause_as_events_too(assistant: Assistant) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            whole, _ = await said(client, input="One. Two.", response_format="pcm")
            body, kind = await said(
                client, input="One. Two.", response_format="pcm", stream_format="sse"
            )
            assert kind == "text/event-stream"
            events = [json.loads(line[6:]) for line in body.decode().split("\n\n") if line]
            pieces = [base64.b64decode(e["audio"]) for e in events[:-1]]
            assert len(pieces) == 2
            assert b"".join(pieces) == whole
            assert events[-1] == {"type": "speech.audio.done"}
            slow, _ = await said(client, response_format="pcm", speed=0.5)
            fast, _ = await said(client, response_format="pcm", speed=4.0)
            assert len(slow) > 2 * len(fast)

    test()


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"voice": "darth"}, "voice"),
        ({"voice": {"id": "darth"}}, "voice"),
        ({"response_format": "aac"}, "response_format"),
        ({"speed": 5}, "speed"),
        ({"input": " "}, "input"),
        ({"input": "x" * 20_000}, "input"),
        ({"extra_body": {"mood": "x"}}, "mood"),
    ],
)
def test_what_cannot_be_followed_is_an_error_that_names_the_field(
    assistant: Assistant, wanted: dict[str, Any], param: str
) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            with pytest.raises(APIStatusError) as raised:
                await said(client, **wanted)
            assert raised.value.status_code == 400
            assert isinstance(raised.value.body, dict)
            assert raised.value.body["param"] == param

    test()


def test_a_configuration_without_a_voice_says_so(tiny: Salmonn) -> None:
    silent = tiny_assistant(tiny, voice=VoiceConfig(name="none"))

    @run
    async def test() -> None:
        async with asking(silent) as (_, _, client):
            with pytest.raises(APIStatusError, match=r"voice\.name") as raised:
                await said(client)
            assert raised.value.status_code == 501
            chat: Any = client.chat.completions.create
            with pytest.raises(APIStatusError, match="no voice"):
                await chat(
                    messages=[{"role": "user", "content": "Hi."}], model="x",
                    modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"},
                )  # fmt: skip

    test()


def test_requests_wait_in_line_and_not_for_ever(
    tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "WAIT_S", 0.1)
    made = tiny_assistant(tiny)
    body = json.dumps({"input": TEXT * 600, "response_format": "pcm"}).encode()
    head = {"Content_Type": "application/json", "Content_Length": str(len(body))}
    request = raw("POST", "/v1/audio/speech", **head) + body

    @run
    async def test() -> None:
        async with asking(made) as (app, host, client):
            clients = [await asyncio.open_connection(*host.split(":")) for _ in range(2)]
            for _, writer in clients:  # who read nothing
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(request)
            await eventually(lambda: len(app.places._beside) == 2)
            found = await http(host, request)
            assert found[0] == 503
            assert "try again" in message(found)
            assert app.places.has_room(free=False)
            for _, writer in clients:
                writer.transport.abort()
            await eventually(lambda: not app.places._beside)
            assert (await said(client))[0]

    test()


def test_a_voice_that_fails_is_an_error_of_the_server(tiny: Salmonn) -> None:
    made = tiny_assistant(tiny)

    def broken(speed: float) -> Any:
        raise RuntimeError("SECRET")

    def broken_works(places: Any) -> Any:
        inner: Any = made.works
        makers: Makers = inner.args[0]
        return works(replace(makers, new_narrator=broken), places)

    @run
    async def test() -> None:
        async with asking(replace(made, works=broken_works)) as (app, _, client):
            with pytest.raises(APIStatusError, match="error of the server") as raised:
                await said(client)
            assert raised.value.status_code == 500
            assert not app.places._beside

    test()
