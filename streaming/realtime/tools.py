"""Functions that clients declare, as the session has them."""

from collections.abc import Callable, Sequence
from typing import Any

from assistant.errors import ToolError
from assistant.tools.tool import AUTO, Tool, ToolChoice
from streaming.realtime import wire
from streaming.realtime.wire import SessionConfig, WireError

Check = Callable[[tuple[Tool, ...], ToolChoice], None]
"""Raises `ToolError` where calls cannot be held to what was declared."""


def tools_of(declared: Sequence[wire.Tool], where: str) -> tuple[Tool, ...]:
    """Functions that were declared.

    Args:
        declared: as they came.
        where: the field they came in.

    Raises:
        WireError: one is not what it should be.
    """
    tools = []
    for place, tool in enumerate(declared):
        more = tool.model_extra or {}
        described, parameters = more.get("description"), more.get("parameters")
        try:
            tools.append(Tool(tool.name, described or "", parameters or NOTHING))
        except ToolError as error:
            raise _wrong(error, f"{where}[{place}].") from error
    return tuple(tools)


NONE_HERE = "this preset's model calls no functions"

NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
"""The schema of a function without arguments."""


def choice_of(wanted: Any, where: str) -> ToolChoice:
    """Whether a function is called.

    Raises:
        WireError: it is no choice.
    """
    match wanted:
        case None:
            return AUTO
        case "auto" | "none" | "required":
            return ToolChoice(wanted)
        case {"type": "function", "name": str(name), **rest} if not rest:
            return ToolChoice("named", name)
        case _:
            why = "auto, none, required, or a function by its name"
            raise WireError("invalid_value", why, where)


class Declared:
    """What a session's answers may call."""

    def __init__(self, check: Check | None) -> None:
        """`check`: of this preset; None: it calls no functions."""
        self._check = check
        self._tools: tuple[Tool, ...] = ()
        self._choice = AUTO

    @property
    def possible(self) -> bool:
        """Whether functions are called at all."""
        return self._check is not None

    def declare(self, config: SessionConfig) -> SessionConfig:
        """Settings with the functions that can be called; where none can, that is told back.

        Raises:
            WireError: they cannot be called as is wished.
        """
        choice = choice_of(config.tool_choice, "session.tool_choice")
        tools = self._checked(tools_of(config.tools, "session.tools"), choice, "session")
        self._tools, self._choice = tools, choice
        return config if self.possible else config.model_copy(update={"tools": []})

    def of_session(self) -> tuple[tuple[Tool, ...] | None, ToolChoice | None]:
        """What the session is told; None where there is nothing to tell."""
        return (self._tools, self._choice) if self.possible else (None, None)

    def of_response(
        self, wanted: wire.ResponseConfig
    ) -> tuple[tuple[Tool, ...] | None, ToolChoice | None]:
        """What the session is told of one answer; None: as it has it.

        Raises:
            WireError: they cannot be called as is wished.
        """
        tools = None if wanted.tools is None else tools_of(wanted.tools, "response.tools")
        choice = wanted.tool_choice
        choice = None if choice is None else choice_of(choice, "response.tool_choice")
        if tools and not self.possible:
            raise WireError("invalid_value", NONE_HERE, "response.tools")
        if tools is None and choice is None:
            return None, None
        self._checked(self._tools if tools is None else tools, choice or self._choice, "response")
        return (tools, choice) if self.possible else (None, None)

    def _checked(self, tools: tuple[Tool, ...], choice: ToolChoice, where: str) -> tuple[Tool, ...]:
        if self._check is None:
            if choice.mode in ("required", "named"):
                raise WireError("invalid_value", NONE_HERE, f"{where}.tool_choice")
            return ()
        try:
            self._check(tools, choice)
        except ToolError as error:
            raise _wrong(error, f"{where}.") from error
        return tools


def _wrong(error: ToolError, where: str) -> WireError:
    why = str(error).removeprefix(f"{error.field}: ")
    return WireError("invalid_value", why, f"{where}{error.field}")
