"""What is wrong with a message that is no client event, as clients are told it."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

LONGEST_TOLD = 512
"""Characters of what is told back of a message that could not be understood."""

ALTERNATIVES = {
    "server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma",
    "constrained-int", "literal['inf']", "Item", "ItemReference",
}  # fmt: skip
"""Names of unions' alternatives in the paths of errors: they are no fields."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What an `error` event says."""

    code: str
    message: str
    param: str | None
    """The field, with dots."""


def mistake(error: ValidationError, *within: str) -> Mistake:
    """The first thing that is wrong.

    Args:
        error: of the wire's types.
        within: the fields that what was checked stands in.
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
    """The `event_id` of a message that could not be understood as a whole."""
    try:
        values: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    found = values.get("event_id") if isinstance(values, dict) else None
    return found[:LONGEST_TOLD] if isinstance(found, str) else None
