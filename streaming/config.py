"""What the streaming part of `config.yaml` may say; `config_file` reads it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from assistant.config import ModelConfig, Section, VoiceConfig
from assistant.rates import CLIP_FEATURES

Frames = Annotated[int, Field(ge=1, le=CLIP_FEATURES)]
"""A number of frames in a row; 30 s at most, where the wire's `silence_duration_ms` ends too."""

HEARD_S = 600.0
"""Seconds a turn may be about: ten minutes are 3,750 of nano's audio tokens, half its context."""


class TurnsConfig(Section):
    """What belongs to a turn, and when a reply is interrupted."""

    context_s: float = Field(default=5.0, ge=0, le=HEARD_S)
    """Seconds heard before an utterance that belong to its turn: what the question may be about."""

    rejoin_s: float = Field(default=0.8, ge=0, le=60)
    """Seconds of silence after which an utterance still goes on with the turn before it, answered
    or not: what was taken for its end was a pause, and the next reply is about all of it. No pause
    in a sentence is a minute long."""

    ring_s: float = Field(default=30.0, gt=0, le=HEARD_S)
    """Seconds of what was heard that are kept; typed questions are about all of them."""

    silence_db: float = Field(default=-65.0, ge=-120, le=0)
    """Blocks without 20 ms louder than this, in dB under full scale, are not encoded. The quietest
    sound that 16 bits hold is at -90; at -120 all but digital silence is encoded."""

    captions: bool = False
    """Say what is being said, with Whisper's decoder."""

    sound_events: bool = False
    """Name sounds as they begin; the preset needs a `sound_tagger`."""

    auto_reply: bool = True
    """Answer at every endpoint; otherwise when the client commits the turn."""

    turns_kept: int | None = Field(default=None, ge=0, le=1000)
    """Past turns that stay in the LLM's context; those for which it has no room go, and a thousand
    fit into none. null: 12 for an LLM that reads words, none for one that hears audio tokens, which
    was trained on single turns."""

    speculate: bool = True
    """Begin the reply in secret at the soft endpoint."""

    barge_in_frames: Frames | None = 20
    """Frames of speech that interrupt a reply; shorter speech (a cough, "mhm") lets it go on. null:
    nothing interrupts, and what is said under a reply is answered after it."""

    idle_timeout_s: float | None = Field(default=None, ge=5, le=30)
    """Seconds after a reply in which nobody speaks, and a reply about the silence follows; null:
    none does. The range is that of the wire's `idle_timeout_ms`."""


class EndpointingConfig(Section):
    """When a run of frames counts as an utterance. One frame is 20 ms."""

    detector: Literal["silero", "webrtc", "manual"] = "silero"
    """What tells speech from the rest, frame by frame. manual: nothing does; a turn is all that was
    heard since the last one, and ends when the client commits it (push to talk)."""

    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtc: its mode; 0 takes most things for speech, 3 the fewest."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """silero: least probability that counts as speech."""

    min_speech_frames: Frames = 6
    """Speech frames in a row that start an utterance."""

    pause_frames: Frames = 8
    """Silent frames in a row after which the reply is begun in secret: the soft endpoint."""

    min_silence_frames: Frames = 16
    """Silent frames in a row that end it (hangover)."""

    max_utterance_s: float = Field(default=30.0, gt=0, le=HEARD_S)
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

    token: SecretStr | None = None
    """What clients must bring as their API key; or set SALMONN_LIVE_TOKEN. Visible ASCII, as a
    header carries it; white space around it is left out."""

    origins: list[str] = Field(default=[])
    """Web origins that may connect, besides the server's own page."""

    hosts: list[str] = Field(default=[])
    """Host names that the server answers to, besides loopback's, its own address and its machine's:
    those of a proxy or a container. Addresses in digits are always answered."""

    certificate: str | None = None
    """TLS: PEM file of the certificate chain; with it, `key`."""

    key: str | None = None
    sessions: int = Field(default=4, ge=1, le=1000)
    """At once; more are refused. One thread steps them all, and each holds megabytes: a thousand
    are more than any machine keeps up with."""

    session_minutes: float = Field(default=60.0, gt=0, le=7 * 24 * 60)
    """At most a week."""

    message_mb: float = Field(default=21.0, ge=0.01, le=256)
    """Longest message, MiB: 15 MiB of audio in base64. It is in memory whole, several times over,
    and any client may send one. Under 10 kB no instruction fits."""

    backlog_s: float = Field(default=10.0, gt=0, le=HEARD_S)
    """Audio that may wait to be looked at before the server stops reading."""

    unread_events: int = Field(default=500, ge=1, le=2000)
    """Events a client may leave unread before it is cut off; at half of them it is not read. No
    more than 2,000 are kept."""

    resume_s: float = Field(default=30.0, ge=0, le=3600)
    """How long a session whose connection dropped is kept for the client to come back; nobody else
    has its place for so long, an hour at most."""

    connects_per_s: float = Field(default=20.0, gt=0, le=10_000)
    """New connections; more are refused. No machine shakes hands with more than thousands."""

    @field_validator("token")
    @classmethod
    def _can_be_sent(cls, token: SecretStr | None) -> SecretStr | None:
        return None if token is None else SecretStr(usable_token(token.get_secret_value()))

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self


def usable_token(text: str) -> str:
    """A token as clients send it, without the white space around it.

    Raises:
        ValueError: it is empty, or cannot be sent in a header; the message does not show it.
    """
    token = text.strip()
    if not token:
        raise ValueError("empty; leave it out where no token is wanted")
    if any(not "!" <= c <= "~" for c in token):
        raise ValueError("may hold only visible ASCII characters, no spaces")
    return token


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of a configuration file, with one preset chosen."""

    preset: str
    model: ModelConfig
    endpointing: EndpointingConfig
    turns: TurnsConfig
    server: ServerConfig = field(default_factory=ServerConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
