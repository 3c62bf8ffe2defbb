"""Functions that an LLM may call: what they are, which it may choose, and a call of one."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.errors import ToolError

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What a tool may be called."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the LLM may call.

    Raises:
        ToolError: a field is not what it should be.
    """

    name: str
    """Letters, digits, `_` and `-`, 64 at most."""

    description: str
    """What it does, for the LLM to read; may be empty."""

    parameters: dict[str, Any] = field(hash=False)
    """JSON schema of its arguments, which are an object; not to be changed."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            why = f"{self.name!r:.80} is not 1 to 64 letters, digits, _ and -"
            raise ToolError("name", why)
        if not isinstance(self.description, str):
            raise ToolError("description", f"{self.description!r:.60} is not a text")
        if not isinstance(self.parameters, dict):
            raise ToolError("parameters", f"{self.parameters!r:.60} is not a JSON schema")
        kind = self.parameters.get("type")
        if kind != "object":
            raise ToolError("parameters.type", f"{kind!r:.60}: arguments are an object")

    def shown(self) -> dict[str, Any]:
        """As chat templates take it."""
        told = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": told}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as the LLM wrote it or a client tells of it.

    Raises:
        ToolError: a field is not what it should be.
    """

    id: str
    """By which its result is told apart from those of other calls."""

    name: str
    """Of the tool."""

    arguments: str
    """A JSON object, as text."""

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ToolError("id", f"{self.id!r:.60} is not a text of one character or more")
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ToolError("name", f"{self.name!r:.80} is not 1 to 64 letters, digits, _ and -")
        self.values()

    def values(self) -> dict[str, Any]:
        """The arguments by name; numbers that no float can hold are infinite.

        Raises:
            ToolError: they are not a JSON object.
        """
        try:
            values = json.loads(self.arguments, parse_constant=_refused)
        except (TypeError, ValueError, RecursionError) as error:
            raise ToolError("arguments", "they are not JSON") from error
        if not isinstance(values, dict):
            raise ToolError("arguments", "they are not a JSON object")
        return values


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the LLM calls a tool.

    Raises:
        ToolError: a name is missing, or there is one where none belongs.
    """

    mode: Literal["auto", "none", "required", "named"] = "auto"
    """`auto`: as it likes; `none`: never; `required`: one of them; `named`: that called `name`."""

    name: str | None = None
    """Of the tool that is called, where the mode is `named`."""

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "none", "required", "named"):
            raise ToolError("tool_choice", f"{self.mode!r:.60}: auto, none, required or a tool")
        if (self.mode == "named") != (self.name is not None):
            raise ToolError("tool_choice.name", "a name belongs to a tool that is chosen by name")

    def among(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        """Those of `tools` that may be called.

        Raises:
            ToolError: two tools have one name, or the one that has to be called is not there.
        """
        names = [tool.name for tool in tools]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ToolError(f"tools[{place}].name", f"a second tool is called {name!r}")
        if self.mode == "none":
            return ()
        if self.mode == "required" and not tools:
            raise ToolError("tool_choice", "a tool is required, and there are none")
        if self.mode == "named" and self.name not in names:
            raise ToolError("tool_choice.name", f"no tool is called {self.name!r:.80}")
        return tuple(tool for tool in tools if self.name in (None, tool.name))


AUTO = ToolChoice()
"""The LLM calls tools as it likes."""


def _refused(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity: Python reads them, JSON has none
