"""What is wrong with a message that is no client event, as clients are told it."""

import json
from typing import Any

from pydantic import ValidationError

from streaming.realtime.session_config import ALTERNATIVES

LONGEST_TOLD = 512
"""Characters of what is told back of a message that could not be understood."""


def what_is_wrong(
    message: str | bytes, error: ValidationError
) -> tuple[str, str, str | None, str | None]:
    """`code`, `message`, `param` and `event_id` of an `error` event."""
    first = error.errors(include_input=False)[0]
    names = [str(part) for part in first["loc"] if part not in ALTERNATIVES]
    path = [name[:LONGEST_TOLD] for name in names if "." not in name]
    code = "invalid_value" if path else "unknown_or_invalid_event"
    why = first["msg"][:LONGEST_TOLD]  # it may repeat what was sent
    return code, why, ".".join(path) or None, _event_id(message)


def _event_id(message: str | bytes) -> str | None:
    """Of a message that could not be understood as a whole."""
    try:
        values: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    found = values.get("event_id") if isinstance(values, dict) else None
    return found[:LONGEST_TOLD] if isinstance(found, str) else None
