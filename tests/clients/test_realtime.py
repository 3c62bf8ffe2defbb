"""The Python client against a real server with a scripted model."""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from clients import terminal
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


@run
async def test_a_recording_is_sent_and_what_comes_is_shown() -> None:
    console = Console(file=io.StringIO(), width=100)
    source = terminal.recording(pcm("...SSSS" + "." * 40), speed=50, piece_s=0.033)
    async with serving() as (_, host):
        await terminal.converse(url(host), None, SHORT, source, console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "→ I heard 3 windows" in told
    assert "ms to the first text, after 160 ms of silence" in told
    assert "all”" in told


@run
async def test_reading_along_gets_no_answers() -> None:
    console = Console(file=io.StringIO(), width=100)
    source = terminal.recording(pcm("...SSSS" + "." * 40), speed=50, piece_s=0.04)
    async with serving() as (_, host):
        await terminal.converse(url(host), None, terminal.CAPTIONS_ONLY, source, console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "all”" in told
    assert "→" not in told


def test_a_recording_of_any_rate_becomes_16_khz(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((4410, 2)) + 0.5, 44_100)
    samples = np.frombuffer(terminal.read_recording(tmp_path / "a.wav"), "<i2")
    assert len(samples) == 1600
    assert abs(int(samples[800]) - 16384) < 50
    (tmp_path / "b.wav").write_text("no sound")
    for name in ("b.wav", "c.wav"):
        with pytest.raises(terminal.ClientError, match=name):
            terminal.read_recording(tmp_path / name)
