"""Audio in messages, and times as the wire counts them."""

import base64
import binascii
from typing import Any

from assistant.rates import SAMPLE_RATE
from streaming.realtime import wire
from streaming.realtime.wire import APPEND_BYTES, WireError


def decoded(encoded: str, where: str) -> bytes:
    """Decode audio from base64.

    Raises:
        WireError: it is not base64, or too long; the error names the field `where`.
    """
    try:
        audio = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_value", f"not base64: {error}", where) from error
    if len(audio) > APPEND_BYTES:
        raise WireError("invalid_value", f"more than {APPEND_BYTES} bytes", where)
    return audio


def audio_of(event: wire.CreateItem) -> bytes | None:
    """The audio of an item, with its parts joined; None if it has no audio.

    Raises:
        WireError: a part is not base64, or is too long.
    """
    parts = [
        decoded(part.audio, f"item.content[{n}].audio")
        for n, part in enumerate(event.item.content)
        if part.audio and part.type == "input_audio"
    ]
    return b"".join(parts) if parts and event.item.role == "user" else None


def milliseconds(sample: int) -> int:
    """A sample index in milliseconds, as the wire has it."""
    return round(1000 * sample / SAMPLE_RATE)


def seconds(begin: int, end: int) -> float:
    """The length of samples [begin, end) in seconds."""
    return round((end - begin) / SAMPLE_RATE, 3)


def span(begin: int, end: int) -> dict[str, Any]:
    """Fields of an event for samples [begin, end), in milliseconds."""
    return {"audio_start_ms": milliseconds(begin), "audio_end_ms": milliseconds(end)}
