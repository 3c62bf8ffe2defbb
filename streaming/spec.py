"""All that makes a session what it is, but for the weights themselves."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from assistant.config import VoiceConfig
from streaming.audio.wire_audio import InputFormat
from streaming.config import EndpointingConfig, TurnsConfig


class SessionSpec(BaseModel):
    """How a session is made: two that are made of the same one do the same with the same input.

    It can be written as JSON and read again, on another machine, too. Fields that are None say
    nothing, as on tapes of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    preset: str = ""
    """Which preset of the configuration file."""

    instruction: str = ""
    """What is asked about every turn."""

    format: InputFormat = Field(default_factory=InputFormat)
    """Of the bytes that come in."""

    endpointing: EndpointingConfig = Field(default_factory=EndpointingConfig)
    turns: TurnsConfig = Field(default_factory=TurnsConfig)
    voice: VoiceConfig | None = None
    """Who speaks the replies; None: nobody, they are text."""

    weights: dict[str, str | None] | None = None
    """A digest of each part of the model."""

    settings: dict[str, Any] | None = Field(default=None, alias="model")
    """The preset's settings, apart from where its weights lie."""

    engine: str | None = None
    """What runs the LLM's layers on the machine the session was made on."""

    def head(self) -> dict[str, Any]:
        """As JSON has it, with the names that tapes have."""
        return self.model_dump(mode="json", by_alias=True)
