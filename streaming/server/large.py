"""Long messages: only audio may be long, and it is taken in pieces that do not delay other
clients."""

import base64
import binascii
import gc
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from assistant.memory import trim
from streaming.realtime.wire import APPEND_BYTES, Append, CreateItem, WireError

LARGE = 32 * 2**10
"""Messages with at least this many characters are handled here."""

LONGEST = 256 * 2**10
"""Most characters of a message that is not audio."""

PIECE = 8 * 2**10
"""Bytes of audio that are taken at once: at most a second, which is some milliseconds of work."""

BASE64_PIECE = 2**18
"""Characters of base64 that are decoded at once; a multiple of four."""


@dataclass(frozen=True, slots=True)
class LongItem:
    """A conversation item with a recording."""

    event: CreateItem
    audio: bytes
    """The decoded audio of all parts of the item."""


def long_audio(message: str | bytes) -> bytes | LongItem | None:
    """The audio of a long message; may be called on any thread.

    Returns:
        Audio to be appended, or an item with a recording. None for any other message that is short
        enough.

    Raises:
        WireError: the message is too long for its kind.
    """
    for kind in (Append, CreateItem):
        try:
            event = kind.model_validate_json(message)
        except ValidationError:
            continue
        if isinstance(event, Append):
            return decoded(event.audio, "audio")
        parts = event.item.content
        rest = len(message) - sum(len(part.audio or "") for part in parts)
        if rest <= LONGEST and event.item.role == "user" and any(part.audio for part in parts):
            audio = [
                decoded(part.audio, f"item.content[{n}].audio")
                for n, part in enumerate(parts)
                if part.audio
            ]
            return LongItem(event, b"".join(audio))
    if len(message) <= LONGEST:
        return None
    raise WireError("invalid_value", f"only audio may be longer than {LONGEST} characters")


def decoded(text: str, where: str) -> bytes:
    """Decode audio from base64; may be called on any thread.

    Raises:
        WireError: it is not base64, or too long; the error names the field `where`.
    """
    try:
        audio = b"".join(_pieces(text))
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_value", f"not base64: {error}", where) from error
    if len(audio) > APPEND_BYTES:
        raise WireError("invalid_value", f"more than {APPEND_BYTES} bytes", where)
    return audio


def _pieces(text: str) -> Iterator[bytes]:
    """Decode base64 piece by piece, since decoding blocks all other threads."""
    for at in range(0, len(text), BASE64_PIECE):
        piece = text[at : at + BASE64_PIECE]
        if "=" in piece and at + BASE64_PIECE < len(text):
            raise ValueError("padding before the end")
        yield base64.b64decode(piece, validate=True)


def in_pieces(audio: bytes) -> Iterator[bytes]:
    """Audio, cut into pieces of `PIECE` bytes."""
    for at in range(0, len(audio), PIECE):
        yield audio[at : at + PIECE]


def give_back() -> None:
    """Return unused memory to the system.

    Connections and the errors that ended them are in reference cycles with their messages. Python
    frees cycles only after it has made enough new objects, however large the old ones are, and
    glibc keeps freed memory for the thread that freed it (malloc(3), "arenas"). So messages of 15
    MiB on several threads would leave hundreds of megabytes behind.
    """
    gc.collect()
    trim()
