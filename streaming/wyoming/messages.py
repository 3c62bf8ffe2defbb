"""What clients send, checked field by field."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.types import StringConstraints

from streaming.audio.wire_audio import RATES, InputFormat
from streaming.wyoming.framing import Message, WyomingError

LONGEST_TEXT = 16 * 2**10
"""Most characters of a text, which takes a quarter of an hour to say."""

Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Name = Annotated[str, StringConstraints(max_length=256)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Ids(_Fields):
    """Whose words these are, as far as a client says so."""

    conversation_id: Name | None = None
    satellite_id: Name | None = None
    device_id: Name | None = None


class Transcribe(_Fields):
    """The stream that follows is to be read."""

    context: Ids | None = None
    vad_sensitivity: Name | None = None
    """How soon silence ends it: default, relaxed or aggressive."""


class Audio(_Fields):
    """The format of a stream, or of a piece of it."""

    rate: int
    """Hz."""

    width: int
    """Bytes of a sample."""

    channels: int

    def format(self) -> InputFormat:
        """The same as a format that can be decoded.

        Raises:
            WyomingError: it cannot be; the message names the field.
        """
        if self.rate not in RATES:
            known = ", ".join(map(str, RATES))
            raise WyomingError("audio", f"rate: not one of {known} Hz")
        if self.width != 2:
            raise WyomingError("audio", "width: only 2 bytes are taken")
        if self.channels != 1:
            raise WyomingError("audio", "channels: only 1 is taken")
        return InputFormat("pcm16", self.rate)


class Question(_Fields):
    """A `transcript` that a client sends: it is to be answered."""

    text: Text
    context: Ids | None = None


class Voice(_Fields):
    """Who is to speak."""

    name: Name | None = None


class Begin(_Fields):
    """A text to be spoken follows."""

    voice: Voice | None = None
    text_format: Name | None = None


class Synthesize(Begin):
    """A text to be spoken."""

    text: Text


class Piece(_Fields):
    """The next piece of a text to be spoken."""

    text: Text


class Program(_Fields):
    """Which of the programs is wanted."""

    name: Name


class Ping(_Fields):
    """Asks for the same text back."""

    text: Annotated[str, Field(max_length=1024)] | None = None


Fields = TypeVar("Fields", bound=_Fields)


def fields(kind: type[Fields], message: Message) -> Fields:
    """The fields of a message.

    Raises:
        WyomingError: one of them is wrong; the message names it.
    """
    try:
        found = kind.model_validate(message.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WyomingError("field", f"{message.type}: {where}: {first['msg'].lower()}") from None
    return found
