"""OpenAI Realtime (GA) on the wire: what clients send, typed and in range.

Source: openai-python `types/realtime`, generated from OpenAI's specification, as of August 2026.
Every field that the specification has is known, whether it can be followed here or not
(`session_config.in_effect`); other fields, and wrong values, are errors that name the field.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)

from streaming.config import Eagerness
from streaming.realtime import beta

APPEND_BYTES = 15 * 2**20
"""Largest audio of one append, as the specification has it."""


PARTS, ITEMS, TOOLS = 64, 256, 128
"""Parts of a message, items of a request, functions: longer lists are refused unread."""

Modalities = Annotated[
    list[Literal["text", "audio"]], Field(min_length=1, max_length=2, fail_fast=True)
]


class Wire(BaseModel):
    """A JSON object of the protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pcm(Wire):
    """16-bit little-endian, mono."""

    type: Literal["audio/pcm"]
    rate: Literal[24000, 16000] = 24000
    """Hz; 16000 is ours, the specification knows 24000 only."""


class Pcmu(Wire):
    """G.711 mu-law, 8 kHz."""

    type: Literal["audio/pcmu"]


class Pcma(Wire):
    """G.711 A-law, 8 kHz."""

    type: Literal["audio/pcma"]


Format = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class ServerVad(Wire):
    """Endpoints by silence."""

    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=30_000)
    silence_duration_ms: int = Field(default=500, ge=20, le=30_000)
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = Field(default=None, ge=5_000, le=30_000)
    """Silence after a reply that is answered, too."""


class SemanticVad(Wire):
    """Endpoints by silence, the shorter the more it sounds as if the speaker had finished."""

    type: Literal["semantic_vad"]
    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(Wire):
    """Captions of the input; the model is Whisper whatever is asked for."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    languages: Annotated[list[str], Field(max_length=TOOLS, fail_fast=True)] | None = None
    keywords: Annotated[list[str], Field(max_length=TOOLS, fail_fast=True)] | None = None
    delay: str | None = None


class AudioInput(Wire):
    """What the client sends, and when a turn ends."""

    format: Format = Pcm(type="audio/pcm")
    transcription: Transcription | None = None
    noise_reduction: dict[str, Any] | None = None
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class AudioOutput(Wire):
    """Of answers that are spoken; `voice` is "none" where they are text."""

    format: Format = Pcm(type="audio/pcm")
    voice: Any = "none"
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Audio(Wire):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Extensions(Wire):
    """What only this server has; off unless asked for."""

    sound_events: bool = False
    latency: bool = False
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Of sampling; 0 takes the likeliest token, always; null: as it was."""

    top_p: float | None = Field(default=None, gt=0, le=1)
    """Probability mass sampled from; null: as it was."""

    prefill: bool = False
    notices: bool = False
    """Tell at once when a timer rings, or when a sound comes that was waited for."""

    wake: bool = False
    """Tell whether anybody is listened to, or only who says the wake word."""

    binary_audio: bool = False
    """Binary messages are audio in the input format, instead of JSON."""


Limit = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
"""Of an answer's tokens; "inf" is the model's own."""


class Tool(BaseModel):
    """A function that answers may call, told back as it came. What servers of tools (`mcp`) have is
    not offered."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["function"] = "function"
    name: str = Field(max_length=64)


class SessionConfig(Wire):
    """A session's settings."""

    type: Literal["realtime", "transcription"] = "realtime"
    """transcription: what is said is written down, and nothing is answered."""

    object: Literal["realtime.session", "realtime.transcription_session"] = "realtime.session"
    id: str
    model: str
    expires_at: int | None = None
    """Seconds since 1970 at which the session is over."""

    instructions: str
    output_modalities: Modalities = ["text"]
    max_output_tokens: Limit = "inf"
    tools: Annotated[list[Tool], Field(max_length=TOOLS, fail_fast=True)] = []
    tool_choice: Any = "auto"
    parallel_tool_calls: bool | None = None
    audio: Audio = Audio()
    include: Annotated[list[str], Field(max_length=TOOLS, fail_fast=True)] | None = None
    prompt: None = None
    """Not offered: prompts are not kept here."""

    reasoning: Any = None
    tracing: Any = None
    truncation: Any = "auto"
    salmonn: Extensions = Extensions()


class Content(Wire):
    """A part of a message."""

    type: Literal["input_text", "output_text", "input_audio", "input_image", "output_audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    detail: str | None = None
    image_url: str | None = None


class Item(Wire):
    """What a client adds to the conversation."""

    type: Literal["message", "function_call", "function_call_output"]
    id: str | None = Field(default=None, max_length=64)
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    role: Literal["user", "assistant", "system"] | None = None
    content: Annotated[list[Content], Field(max_length=PARTS, fail_fast=True)] = []
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class ItemReference(Wire):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: str


MetadataKey = Annotated[str, Field(max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]


class ResponseConfig(Wire):
    """What `response.create` wishes; null is as if it were not there."""

    instructions: str | None = None
    conversation: Literal["auto", "none"] | None = None
    input: Annotated[list[Item | ItemReference], Field(max_length=ITEMS, fail_fast=True)] | None = (
        None
    )
    metadata: dict[MetadataKey, MetadataValue] | None = Field(default=None, max_length=16)
    max_output_tokens: Limit | None = None
    output_modalities: Modalities | None = None
    """Of this answer; null: the session's."""

    audio: Any = None
    """Not looked at: the session's voice and format are this answer's, too."""

    tools: Annotated[list[Tool], Field(max_length=TOOLS, fail_fast=True)] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    """Ignored: a model makes as many calls as it likes."""

    prompt: None = None
    """Not offered: prompts are not kept here."""

    reasoning: Any = None

    @model_validator(mode="before")
    @classmethod
    def _as_before_ga(cls, given: Any) -> Any:
        return beta.response(given)


class _ClientEvent(Wire):
    event_id: str | None = Field(default=None, max_length=512)


class SessionUpdate(_ClientEvent):
    """Change settings; fields that are not there stay."""

    type: Literal["session.update"]
    session: dict[str, Any]


class Append(_ClientEvent):
    """More audio."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class CommitBuffer(_ClientEvent):
    """What was appended is a message."""

    type: Literal["input_audio_buffer.commit"]


class ClearBuffer(_ClientEvent):
    """What was appended is to be forgotten."""

    type: Literal["input_audio_buffer.clear"]


class ClearOutput(_ClientEvent):
    """Of WebRTC only."""

    type: Literal["output_audio_buffer.clear"]


class CreateItem(_ClientEvent):
    """A message of text or of a recording, a call, or what came of one."""

    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: str | None = None


class RetrieveItem(_ClientEvent):
    """Tell an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: str


class TruncateItem(_ClientEvent):
    """Cut what an assistant said aloud where the user heard no more of it."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Literal[0] = 0
    audio_end_ms: int = Field(default=0, ge=0)


class DeleteItem(_ClientEvent):
    """Forget an item."""

    type: Literal["conversation.item.delete"]
    item_id: str


class CreateResponse(_ClientEvent):
    """Answer now."""

    type: Literal["response.create"]
    response: ResponseConfig = ResponseConfig()


class CancelResponse(_ClientEvent):
    """Stop answering."""

    type: Literal["response.cancel"]
    response_id: str | None = None


ClientEvent = (
    SessionUpdate
    | Append
    | CommitBuffer
    | ClearBuffer
    | ClearOutput
    | CreateItem
    | RetrieveItem
    | TruncateItem
    | DeleteItem
    | CreateResponse
    | CancelResponse
)

CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(
    Annotated[ClientEvent, Field(discriminator="type")]
)


class WireError(Exception):
    """What a client sent cannot be followed; the session goes on."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param
