"""What a tool of ours is: a schema, and what it does, on the audio clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.ear.noticing import Sound
from assistant.tools.tool import Tool


@dataclass(frozen=True, slots=True)
class Moment:
    """When a tool is called, and what was heard until then."""

    at: int
    """Samples of the stream so far."""

    sounds: Sequence[Sound] = ()
    """Every sound that was noticed, the earliest first."""


class RefusedError(Exception):
    """What was asked cannot be done; the message is a sentence that says so."""


@dataclass(frozen=True, slots=True)
class OwnTool:
    """A tool that is run here."""

    tool: Tool

    run: Callable[[dict[str, Any], Moment], dict[str, Any]]
    """Takes arguments that fit the tool's schema; what it gives can be written as JSON.

    Raises:
        RefusedError: it cannot be done.
    """


def parameters(required: Sequence[str] = (), /, **properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments.

    Args:
        required: names of those that are not left out.
        properties: a schema for each.
    """
    return {"type": "object", "properties": properties, "required": [*required]}


def text(description: str) -> dict[str, Any]:
    """The JSON schema of a text."""
    return {"type": "string", "description": description}
