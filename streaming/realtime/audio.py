"""Audio in messages, and moments of it as the wire counts them."""

import base64
import binascii
from typing import Any

from assistant.rates import SAMPLE_RATE
from streaming.realtime import wire
from streaming.realtime.wire import APPEND_BYTES, WireError


def decoded(encoded: str, where: str) -> bytes:
    """Audio from base64.

    Raises:
        WireError: it is none, or too much; `where` names the field.
    """
    try:
        audio = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_value", f"not base64: {error}", where) from error
    if len(audio) > APPEND_BYTES:
        raise WireError("invalid_value", f"more than {APPEND_BYTES} bytes", where)
    return audio


def audio_of(event: wire.CreateItem) -> bytes | None:
    """The audio of an item, its parts one after the other; None where it has none.

    Raises:
        WireError: a part is not base64, or too much.
    """
    parts = [
        decoded(part.audio, f"item.content[{n}].audio")
        for n, part in enumerate(event.item.content)
        if part.audio and part.type == "input_audio"
    ]
    return b"".join(parts) if parts and event.item.role == "user" else None


def milliseconds(sample: int) -> int:
    """A moment of the stream, as the wire has it."""
    return round(1000 * sample / SAMPLE_RATE)


def seconds(begin: int, end: int) -> float:
    """The length of samples [begin, end)."""
    return round((end - begin) / SAMPLE_RATE, 3)


def span(begin: int, end: int) -> dict[str, Any]:
    """Fields that say where samples [begin, end) are."""
    return {"audio_start_ms": milliseconds(begin), "audio_end_ms": milliseconds(end)}
