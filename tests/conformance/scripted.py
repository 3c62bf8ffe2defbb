"""Servers for clients to talk to: a scripted model that answers at length, and a real one."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from pydantic import ValidationError
from websockets.asyncio.server import Server

from assistant.config import VoiceConfig
from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.config import ServerConfig
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.realtime.protocol import Output, Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.realtime.wire import CLIENT_EVENT, SessionConfig
from streaming.server.app import App, running
from streaming.server.assistant import Assistant
from streaming.server.build import build_assistant
from tests.streaming.fakes import CONFIG, TURNS, Echo, Speaker, session

RECORDING = Path(__file__).parents[2] / "demo" / "kitchen.flac"
TOKEN = "right"


class Talker(Echo):
    """Hears a knock, and answers in many tokens: one for each piece of input, never by itself.
    Asked about a light, it calls the first function that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.knocks = True

    def ask(self) -> int:
        windows = super().ask()
        assert self.reply is not None
        self.reply += [" and so on"] * 16
        if self.tools and "light" in (self.question or ""):
            self.reply = [
                "One moment.",
                ToolCall(f"call_{self.turn}", self.tools[0], '{"on": true}'),
            ]
        return windows


@dataclass(frozen=True, slots=True)
class Servers:
    """What a client is given."""

    scripted: str
    """Host and port of a server with the scripted model."""

    guarded: str
    """Of one that asks for `TOKEN`."""

    speaking: str
    """Of one that speaks its answers."""

    real: str
    """Of one with the tiny model, which speaks them, too."""

    recording: bytes
    """See `recording`; 24 kHz."""

    sent: set[str]
    """Types of the events that clients have sent to any of them."""

    drop: Callable[[], None]
    """Cut all connections to the scripted one, without a farewell."""


@asynccontextmanager
async def serving(tiny: Salmonn, **changes: Any) -> AsyncIterator[Servers]:
    """All four, listening on loopback."""
    sent: set[str] = set()
    wanted = {"port": 0, "resume_s": 30.0, "connects_per_s": 1000.0, "sessions": 40, **changes}
    open_to_all = ServerConfig(**wanted)
    guarded = ServerConfig.model_validate({**wanted, "token": TOKEN})
    real = build_assistant(tiny, load_config(shipped_config(), "tiny"), "Reply.")
    scripted = Assistant("scripted", lambda: session(Talker(), pace=one_each), _protocol)
    speaking = Assistant(
        "speaking", lambda: session(Talker(), pace=one_each, voice=Speaker()), _speaking_protocol
    )
    async with (
        running(_noting(scripted, sent), open_to_all) as (app, first),
        running(_noting(scripted, sent), guarded) as (_, second),
        running(_noting(speaking, sent), open_to_all) as (_, third),
        running(_noting(real, sent), open_to_all) as (_, fourth),
    ):
        hosts = _host(first), _host(second), _host(third), _host(fourth)
        yield Servers(*hosts, recording(24_000), sent, lambda: _drop(app))


def _host(server: Server) -> str:
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
    about = {"id": name, "model": "scripted", "expires_at": expires_at}
    return _protocol_of(SessionConfig.model_validate({**about, "instructions": "Reply."}), new_id)


def _speaking_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
    config = initial(
        Settings(TURNS, CONFIG), VoiceConfig(name="speaker"),
        id=name, model="speaking", expires_at=expires_at, instructions="Reply.",
    )  # fmt: skip
    return _protocol_of(config, new_id)


def _protocol_of(config: SessionConfig, new_id: Callable[[str], str]) -> Realtime:
    return Realtime(
        config, Settings(TURNS, CONFIG), new_id, longest=50, longest_text=9000,
        audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=True, reads_words=True,
        check_tools=_check,
    )  # fmt: skip


def _check(tools: tuple[Tool, ...], choice: ToolChoice) -> None:
    choice.among(tools)


def _noting(assistant: Assistant, sent: set[str]) -> Assistant:
    """An assistant that notes which events clients send and are understood."""

    def new_protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        protocol = assistant.new_protocol(name, new_id, expires_at)
        receive = protocol.receive

        def noting(message: str | bytes) -> Output:
            with contextlib.suppress(ValidationError):
                sent.add(CLIENT_EVENT.validate_json(message).type)
            return receive(message)

        protocol.receive = noting  # type: ignore[method-assign]
        return protocol

    return replace(assistant, new_protocol=new_protocol)


def _drop(app: App) -> None:
    for seat in app.seats.here.values():
        if seat.connection is not None:
            seat.connection.transport.abort()


def recording(rate: int) -> bytes:
    """Someone speaks, then half a second of silence: PCM16."""
    samples, had = soundfile.read(RECORDING, dtype="float32")
    heard: Any = soxr.resample(samples[had // 2 : 4 * had], had, rate)
    return (np.concatenate([heard, np.zeros(rate // 2)]) * 32767).astype("<i2").tobytes()


def pcm24(script: str) -> bytes:
    """`"..SSS.."` as PCM16 at 24 kHz, 20 ms a mark: loud or silent."""
    levels = [16384 if mark == "S" else 0 for mark in script]
    return np.repeat(np.array(levels, "<i2"), 480).tobytes()


def mulaw(script: str) -> bytes:
    """The same at 8 kHz mu-law."""
    loud = {"S": 0x9F, ".": 0xFF}
    return b"".join(bytes([loud[mark]]) * 160 for mark in script)
