"""Error messages for clients whose message is not a valid client event."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

LONGEST_TOLD = 512
"""Most characters of an invalid message that are quoted in an error."""

ALTERNATIVES = {
    "server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma",
    "constrained-int", "literal['inf']", "Item", "ItemReference",
}  # fmt: skip
"""Names in the paths of validation errors that are alternatives of unions, not fields."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Contents of an `error` event."""

    code: str
    message: str
    param: str | None
    """The wrong field, with dots between its parts."""


def mistake(error: ValidationError, *within: str) -> Mistake:
    """The first mistake in a message.

    Args:
        error: from the validation of a wire type.
        within: path of the fields that contain the checked value.
    """
    first = error.errors(include_input=False)[0]
    names = [str(part) for part in first["loc"] if part not in ALTERNATIVES]
    path = [name[:LONGEST_TOLD] for name in names if "." not in name]
    param = ".".join([*within, *path]) or None
    if param is None:
        return Mistake("unknown_or_invalid_event", first["msg"][:LONGEST_TOLD], None)
    if first["type"] == "extra_forbidden":
        return Mistake("unknown_parameter", f"unknown parameter: {param}", param)
    if first["type"] == "none_required":
        return Mistake("invalid_value", f"not offered here: {param} can only be null", param)
    return Mistake("invalid_value", first["msg"][:LONGEST_TOLD], param)  # it may repeat what came


def event_id(message: str | bytes) -> str | None:
    """The `event_id` of an invalid message, if it has one."""
    try:
        values: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    found = values.get("event_id") if isinstance(values, dict) else None
    return found[:LONGEST_TOLD] if isinstance(found, str) else None
