"""The streaming part of `config.yaml`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from assistant.config import ModelConfig, Section
from assistant.errors import ConfigError
from assistant.presets import load_preset, read_config, validate


class TurnsConfig(Section):
    """What belongs to a turn, and when a reply is interrupted."""

    context_s: float = Field(default=5.0, ge=0)
    """Seconds heard before an utterance that belong to its turn: what the question may be about."""

    rejoin_s: float = Field(default=0.8, ge=0)
    """Seconds of silence after which an utterance still goes on with the turn before it, answered
    or not: what was taken for its end was a pause, and the next reply is about all of it."""

    ring_s: PositiveFloat = 30.0
    """Seconds of what was heard that are kept; typed questions are about all of them."""

    silence_db: float = Field(default=-65.0, le=0)
    """Blocks without 20 ms louder than this, in dB under full scale, are not encoded."""

    captions: bool = False
    """Say what is being said, with Whisper's decoder."""

    sound_events: bool = False
    """Name sounds as they begin; the preset needs a `sound_tagger`."""

    auto_reply: bool = True
    """Answer at every endpoint; otherwise when the client commits the turn."""

    turns_kept: int = Field(default=0, ge=0)
    """Past turns that stay in the LLM's context."""

    speculate: bool = True
    """Begin the reply in secret at the soft endpoint."""

    barge_in_frames: PositiveInt = 20
    """Frames of speech that interrupt a reply; shorter speech (a cough, "mhm") lets it go on."""


class EndpointingConfig(Section):
    """When a run of frames counts as an utterance. One frame is 20 ms."""

    detector: Literal["silero", "webrtc", "manual"] = "silero"
    """What tells speech from the rest, frame by frame. manual: nothing does; a turn is all that was
    heard since the last one, and ends when the client commits it (push to talk)."""

    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtc: its mode; 0 takes most things for speech, 3 the fewest."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """silero: least probability that counts as speech."""

    min_speech_frames: PositiveInt = 6
    """Speech frames in a row that start an utterance."""

    pause_frames: PositiveInt = 8
    """Silent frames in a row after which the reply is begun in secret: the soft endpoint."""

    min_silence_frames: PositiveInt = 16
    """Silent frames in a row that end it (hangover)."""

    max_utterance_s: PositiveFloat = 30.0
    """Seconds; a longer utterance is ended here and the next one begins."""

    @model_validator(mode="after")
    def _pause_comes_first(self) -> Self:
        if self.pause_frames > self.min_silence_frames:
            raise ValueError("pause_frames must not be more than min_silence_frames")
        return self


class ServerConfig(Section):
    """Who may connect, and how much of everything there may be."""

    host: str = "127.0.0.1"
    """Address to listen at. One that others reach needs a token or `open`."""

    port: int = Field(default=8765, ge=0, le=65535)
    open: bool = False
    """Let anyone who reaches a public address in, without a token."""

    token: str | None = None
    """What clients must bring as their API key; or set SALMONN_LIVE_TOKEN."""

    origins: list[str] = Field(default=[])
    """Web origins that may connect, besides the server's own page."""

    hosts: list[str] = Field(default=[])
    """Host names that the server answers to, besides loopback's, its own address and its machine's:
    those of a proxy or a container. Addresses in digits are always answered."""

    certificate: str | None = None
    """TLS: PEM file of the certificate chain; with it, `key`."""

    key: str | None = None
    sessions: PositiveInt = 4
    """At once; more are refused."""

    session_minutes: PositiveFloat = 60.0
    message_mb: PositiveFloat = 21.0
    """Longest message: 15 MiB of audio in base64."""

    backlog_s: PositiveFloat = 10.0
    """Audio that may wait to be looked at before the server stops reading."""

    unread_events: PositiveInt = 500
    """Events a client may leave unread before it is cut off; at half of them it is not read."""

    resume_s: float = Field(default=30.0, ge=0)
    """How long a session whose connection dropped is kept for the client to come back."""

    connects_per_s: PositiveFloat = 20.0
    """New connections; more are refused."""

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of a configuration file, with one preset chosen."""

    preset: str
    model: ModelConfig
    endpointing: EndpointingConfig
    turns: TurnsConfig
    server: ServerConfig = field(default_factory=ServerConfig)


SECTIONS = {"preset", "presets", "endpointing", "turns", "server"}


def load_config(path: Path, preset: str | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the file.
        preset: replaces the one the file chooses.

    Raises:
        ConfigError: an unknown key, a wrong type or value; every such key is named.
    """
    values = read_config(path)
    if unknown := values.keys() - SECTIONS:
        known = ", ".join(sorted(SECTIONS))
        raise ConfigError(f"{min(unknown)}: unknown section; known: {known}")
    name, model = load_preset(path, preset)
    endpointing = validate(EndpointingConfig, values.get("endpointing", {}), "endpointing")
    turns = validate(TurnsConfig, values.get("turns", {}), "turns")
    server = validate(ServerConfig, values.get("server", {}), "server")
    return Config(name, model, endpointing, turns, server)
