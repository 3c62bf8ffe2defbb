"""A protocol and a session, with a scripted model, and what was sent."""

import base64
import itertools
import json
from typing import Any

from assistant.config import VoiceConfig
from assistant.tools.tool import Tool, ToolChoice
from streaming.audio.frames import Frame
from streaming.dialogue.session import Session, one_each
from streaming.realtime.protocol import Output, Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.realtime.wire import SessionConfig
from tests.streaming.fakes import CONFIG, TURNS, Echo, Speaker, drain, pcm, session

Json = dict[str, Any]
DEFAULTS = Settings(TURNS, CONFIG)
AT_16_KHZ = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}


class Client:
    """A protocol and a session, and everything that was sent."""

    def __init__(
        self, *, knocks: bool = False, words: bool = False, aloud: bool = False, **changes: Any
    ) -> None:
        counts = itertools.count(1)
        voice = VoiceConfig(name="speaker") if aloud else None
        about: Any = {"id": "sess_1", "model": "tiny", "instructions": "Reply."}
        config = initial(DEFAULTS, voice, **about) if aloud else SessionConfig(**about)
        self.protocol = Realtime(
            config, DEFAULTS, lambda kind: f"{kind}_{next(counts)}", longest=50, longest_text=9000,
            audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=knocks,
            reads_words=words, check_tools=_check if words else None,
        )  # fmt: skip
        self.listener = Echo()
        self.listener.knocks = knocks
        voices = Speaker() if aloud else None
        self.session: Session = session(self.listener, pace=one_each, voice=voices)
        self.sent: list[Json] = []
        self.put(self.protocol.begin())
        short = {"type": "server_vad", "silence_duration_ms": 160}
        self.update({"audio": {"input": {"format": AT_16_KHZ["audio"]["input"]["format"],
                                         "turn_detection": short}}})  # fmt: skip
        if changes:
            self.update(changes)
        self.sent.clear()

    def put(self, output: Output) -> None:
        self.sent += output.events
        for piece in output.inputs:
            if isinstance(piece, Frame):
                self.session.hear([piece])
            else:
                self.session.control(piece)
            for event in drain(self.session):
                self.sent += self.protocol.translate(event)

    def send(self, kind: str, **fields: Any) -> list[Json]:
        before = len(self.sent)
        self.put(self.protocol.receive(json.dumps({"type": kind, **fields})))
        return self.sent[before:]

    def update(self, changes: Json) -> list[Json]:
        return self.send("session.update", session={"type": "realtime", **changes})

    def speak(self, script: str) -> list[Json]:
        audio = base64.b64encode(pcm(script)).decode()
        return self.send("input_audio_buffer.append", audio=audio)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def last(self, kind: str) -> Json:
        return next(event for event in reversed(self.sent) if event["type"] == kind)


def _check(tools: tuple[Tool, ...], choice: ToolChoice) -> None:
    choice.among(tools)


MANUAL: Json = {"audio": {"input": {"turn_detection": None}}}
TURN = "...SSSS" + "." * 20


def typed(role: str, text: str, **more: Any) -> Json:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part], **more}
