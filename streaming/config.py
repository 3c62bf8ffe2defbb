"""Sections of `config.yaml`: endpointing, turns, wake_word, tools, server, which `config_file`
reads."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from assistant.config import ModelConfig, Section, VoiceConfig
from assistant.rates import CLIP_FEATURES

Frames = Annotated[int, Field(ge=1, le=CLIP_FEATURES)]
"""A number of consecutive frames. 30 s at most, like the wire's `silence_duration_ms`."""

Eagerness = Literal["low", "medium", "high", "auto"]
"""How soon to answer; as in OpenAI Realtime."""

HEARD_S = 600.0
"""Longest turn, in seconds: ten minutes are 3,750 of nano's audio tokens, half its context."""


Phrases = Annotated[
    list[Annotated[str, Field(max_length=60, pattern=r"\w")]], Field(max_length=100)
]
"""What somebody says, in words; upper case and marks do not matter."""


class TurnsConfig(Section):
    """What a turn consists of, and when a reply is interrupted."""

    context_s: float = Field(default=5.0, ge=0, le=HEARD_S)
    """Seconds of sound before an utterance that belong to its turn: a question may be about
    them."""

    rejoin_s: float = Field(default=0.8, ge=0, le=60)
    """Longest pause, in seconds, after which an utterance still continues the last turn, whether
    that was answered or not: the endpoint came too early, and the next reply is about both
    utterances. No pause in a sentence is a minute long."""

    ring_s: float = Field(default=30.0, gt=0, le=HEARD_S)
    """Seconds of sound that are remembered; typed questions are about all of them."""

    silence_db: float = Field(default=-65.0, ge=-120, le=0)
    """Loudness in dBFS. A block is encoded only if 20 ms of it are louder. The quietest sound that
    16 bits can hold is at -90; at -120 everything but digital silence is encoded."""

    captions: bool = False
    """Send captions of what is being said, made by Whisper's decoder."""

    sound_events: bool = False
    """Send an event with the name of each sound as it begins; the preset needs a `sound_tagger`."""

    auto_reply: bool = True
    """Answer at every endpoint. False: answer when the client commits the turn."""

    turns_kept: int | None = Field(default=None, ge=0, le=1000)
    """Past turns that stay in the LLM's context; the oldest leave when it is full. null: 12 for an
    LLM that reads words, 0 for one that hears audio tokens, which was trained on single turns."""

    speculate: bool = True
    """Start the reply speculatively at the pause (`endpointing.pause_frames`)."""

    barge_in_frames: Frames | None = 28
    """Barge-in: frames of speech that interrupt a reply, whatever is said. Less speech interrupts
    it at its pause, if words were understood that are none of `backchannels`. null: nothing
    interrupts a reply, and speech during it is answered after it."""

    backchannels: Phrases = Field(default=[
        "mhm", "mm", "mm-hmm", "hm", "hmm", "mom", "uh-huh", "huh", "uh", "um", "ah", "oh", "ooh",
        "wow", "aha", "ha", "yeah", "yep", "yes", "okay", "ok", "right", "all right", "sure",
        "I see", "got it", "cool", "nice", "great", "good",
    ])  # fmt: skip
    """What people say to show that they listen; the reply goes on. "Mom" is how Whisper writes some
    an "mm-hmm". Empty, as `stop_words`: nobody reads what is said so shortly."""

    stop_words: Phrases = Field(default=[
        "stop", "stop it", "stop talking", "please stop", "be quiet", "quiet", "silence", "shut up",
        "hush", "enough", "that's enough", "that's all", "never mind", "nevermind", "forget it",
        "no thanks", "no thank you", "thanks", "thank you", "thank you very much",
    ])  # fmt: skip
    """What ends a reply and is not answered, alone or beside `backchannels`; see
    docs/how-it-works.md. Empty: it is answered."""

    idle_timeout_s: float | None = Field(default=None, ge=5, le=30)
    """Seconds of silence after a reply that get a reply of their own; null: none. The range is that
    of the wire's `idle_timeout_ms`."""


class EndpointingConfig(Section):
    """When an utterance begins and ends. One frame is 20 ms."""

    detector: Literal["silero", "webrtc", "manual"] = "silero"
    """What decides for each frame whether it is speech. manual: nothing does (push to talk); a turn
    is everything heard since the last one, and ends when the client commits it."""

    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtc: its mode, from 0, which takes most sounds for speech, to 3, the strictest."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """silero: frames with at least this probability are speech."""

    min_speech_frames: Frames = 6
    """Consecutive speech frames that start an utterance."""

    pause_frames: Frames = 8
    """Consecutive silent frames after which a reply is started speculatively: the pause."""

    min_silence_frames: Frames = 16
    """Consecutive silent frames that end an utterance: the endpoint (hangover)."""

    eagerness: Eagerness | None = "auto"
    """In presets with `end_of_turn`, each pause is judged, and ends the utterance the sooner the
    more likely the speaker has finished: how soon. auto is medium. null: `min_silence_frames`
    always do."""

    max_utterance_s: float = Field(default=30.0, gt=0, le=HEARD_S)
    """Longest utterance, in seconds; a longer one is cut, and the rest is the next one."""

    @model_validator(mode="after")
    def _pause_comes_first(self) -> Self:
        if self.pause_frames > self.min_silence_frames:
            raise ValueError("pause_frames must not be more than min_silence_frames")
        return self


class WakeWordConfig(Section):
    """Whom sessions of `serve`, `talk` and the page listen to."""

    model: str | None = None
    """Model of microWakeWord: `hey_jarvis`, `okay_nabu`, `hey_mycroft`, `alexa`, or the path of a
    `.json` with its `.tflite` beside it. Until the word is said nobody is listened to, though all
    is heard and may be asked about. null: everybody is, always. Needs the package's `[wake]`."""

    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Probability from which on the word was said. Less is heard more often, also by mistake. null:
    the model's own, and 0.7 for `hey_jarvis`."""

    sleep_after_s: float = Field(default=8.0, ge=1, le=600)
    """Seconds in which nobody speaks and nothing is answered, after which the word has to be said
    again."""


class McpServerConfig(Section):
    """A server of the Model Context Protocol whose tools are offered: either a program that is
    started, or an address."""

    command: list[str] | None = Field(default=None, min_length=1)
    """The program and its arguments; it is started with the assistant, and spoken to over its
    standard input and output. null: there is a `url`."""

    env: dict[str, SecretStr] = Field(default={})
    """Environment variables of the program. Of the assistant's own it has PATH, HOME and a few
    others."""

    url: str | None = None
    """Address of a server that speaks streamable HTTP. null: there is a `command`."""

    token: SecretStr | None = None
    """Bearer token that is sent to `url`."""

    only: list[str] | None = Field(default=None, min_length=1)
    """Names of the tools that are offered; null: all that the server has."""

    @model_validator(mode="after")
    def _one_way_to_it(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs a command or a url, and not both")
        if self.env and self.command is None:
            raise ValueError("env belongs to a command")
        if self.token is not None and self.url is None:
            raise ValueError("token belongs to a url")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url begins with http:// or https://")
        return self


class ToolsConfig(Section):
    """Functions that the assistant itself runs, for presets with `prompt.toolbox`."""

    own: list[str] | None = None
    """Names of those that come with the program (docs/tools.md) and are offered; null: all; `[]`:
    none."""

    module: str | None = None
    """A Python file with functions of your own in a list `TOOLS`, which may be called, too. It is
    run. null: none."""

    mcp: dict[str, McpServerConfig] = Field(default={})
    """Servers of the Model Context Protocol, each under a name that you give it, whose tools may be
    called, too."""

    wait_s: float = Field(default=10.0, gt=0, le=600)
    """Seconds that a function of your own, or a server's tool, may take; then the answer says that
    it took too long."""


class IceConfig(Section):
    """Where WebRTC's audio comes in: for each call a UDP socket at each address."""

    addresses: list[str] = Field(default=[])
    """Addresses of this machine to receive audio at; `[]`: those that the server listens at."""

    announced: str | None = None
    """Address in digits that clients are told in place of those, such as that of the router or the
    host that passes the ports on; null: as they are."""

    ports: list[int] | None = Field(default=None, min_length=2, max_length=2)
    """The first and the last UDP port; null: any free ones."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for address in [*self.addresses, *([self.announced] if self.announced else [])]:
            ip_address(address)  # raises ValueError, which names it
        if self.ports is not None and not 1 <= self.ports[0] <= self.ports[1] <= 65535:
            raise ValueError("ports: the first and the last one, of 1 to 65535")
        return self


class ServerConfig(Section):
    """Who may connect, and the limits of what clients may use."""

    host: str = "127.0.0.1"
    """Address to listen at. One that other machines reach needs `token` or `open`."""

    port: int = Field(default=8765, ge=0, le=65535)
    """TCP port; 0: any free one."""

    open: bool = False
    """Let in everyone who reaches the address, without a token."""

    token: SecretStr | None = None
    """The API key that clients have to send; SALMONN_LIVE_TOKEN sets it, too. Visible ASCII, since
    it travels in a header; white space around it is ignored."""

    origins: list[str] = Field(default=[])
    """Web origins that may connect besides the server's own page."""

    hosts: list[str] = Field(default=[])
    """Host names that the server answers to besides those of loopback, `host` and the machine, such
    as the name of a proxy or a container. Addresses in digits are always answered."""

    certificate: str | None = None
    """TLS: PEM file of the certificate chain; needs `key`."""

    key: str | None = None
    """TLS: PEM file of the certificate's private key, not encrypted."""

    sessions: int = Field(default=4, ge=1, le=1000)
    """Most sessions at once; further ones are refused. One thread steps them all and each holds
    megabytes, so no machine keeps up with a thousand."""

    measure: bool = False
    """Measure at start how many streams this machine can hold, which takes seconds, and take no
    more sessions than that; `sessions` is then the most that it may come to."""

    session_minutes: float = Field(default=60.0, gt=0, le=7 * 24 * 60)
    """Length of a session, in minutes; a week at most."""

    message_mb: float = Field(default=21.0, ge=0.01, le=256)
    """Longest message, in MiB; the default holds 15 MiB of audio in base64. Any client may send
    one, and it is in memory several times over. Under 10 kB no instruction fits."""

    backlog_s: float = Field(default=10.0, gt=0, le=HEARD_S)
    """Seconds of unprocessed audio at which the server stops reading from a client."""

    unread_events: int = Field(default=500, ge=1, le=2000)
    """A client with this many unread events is disconnected; from half as many, the server stops
    reading from it. The server keeps at most 2,000 events."""

    resume_s: float = Field(default=30.0, ge=0, le=3600)
    """Seconds that a session is kept after its connection dropped, so that the client can resume
    it. Until then it takes the place of another session."""

    connects_per_s: float = Field(default=20.0, gt=0, le=10_000)
    """Most new connections per second; further ones are refused. No machine makes more than
    thousands of handshakes."""

    ice: IceConfig = IceConfig()

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
    """The token without the white space around it, as clients send it.

    Raises:
        ValueError: it is empty, or a header cannot hold it; the message does not show it.
    """
    token = text.strip()
    if not token:
        raise ValueError("empty; leave it out where no token is wanted")
    if any(not "!" <= c <= "~" for c in token):
        raise ValueError("may hold only visible ASCII characters, no spaces")
    return token


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration file, with one preset chosen."""

    preset: str
    model: ModelConfig
    endpointing: EndpointingConfig
    turns: TurnsConfig
    server: ServerConfig = field(default_factory=ServerConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    tools: ToolsConfig = field(default_factory=ToolsConfig)
    wake_word: WakeWordConfig = field(default_factory=WakeWordConfig)
