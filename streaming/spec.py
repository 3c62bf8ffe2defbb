"""The specification of a session: everything but the weights themselves."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from assistant.config import VoiceConfig
from assistant.tools.tool import Tool
from streaming.audio.wire_audio import InputFormat
from streaming.config import EndpointingConfig, TurnsConfig, WakeWordConfig


class ToolsSpec(BaseModel):
    """Functions of our own that a session offers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    own: tuple[str, ...] = ()
    """Names of those that come with the program."""

    functions: tuple[Tool, ...] = ()
    """A user's."""


class SessionSpec(BaseModel):
    """How a session is made. Two sessions of the same specification give the same output for the
    same input.

    It can be written as JSON, and read again on another machine. Fields may be None: they are
    missing on tapes of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    preset: str = ""
    """Name of the preset."""

    instruction: str = ""
    """The instruction for every turn."""

    format: InputFormat = Field(default_factory=InputFormat)
    """Format of the input bytes."""

    endpointing: EndpointingConfig = Field(default_factory=EndpointingConfig)
    turns: TurnsConfig = Field(default_factory=TurnsConfig)
    voice: VoiceConfig | None = None
    """Who speaks the replies; None: nobody, they are text."""

    tools: ToolsSpec | None = None
    """Functions of our own; None: none are offered."""

    wake_word: WakeWordConfig | None = None
    """Until what is said nobody is listened to; None: everybody is."""

    weights: dict[str, str | None] | None = None
    """A digest of each part of the model."""

    settings: dict[str, Any] | None = Field(default=None, alias="model")
    """The preset's settings without the sources of its weights."""

    engine: str | None = None
    """Engine that ran the LLM's layers on the machine where the session was made."""

    @field_validator("turns", mode="before")
    @classmethod
    def _without_words(cls, value: Any) -> Any:
        """On tapes without these words nothing was read under a reply."""
        unread: dict[str, Any] = {"backchannels": [], "stop_words": []}
        return unread | value if isinstance(value, dict) else value

    @field_validator("endpointing", mode="before")
    @classmethod
    def _of_earlier_versions(cls, value: Any) -> Any:
        """On tapes without an eagerness no pause was judged."""
        return {"eagerness": None} | value if isinstance(value, dict) else value

    def head(self) -> dict[str, Any]:
        """The specification as JSON values, with the names on tapes."""
        return self.model_dump(mode="json", by_alias=True)
