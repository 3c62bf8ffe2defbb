"""Functions of a user's own Python module as tools: their names, docstrings and annotations say
what they are."""

import importlib.util
import inspect
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from assistant.errors import ConfigError, ToolError
from assistant.tools.tool import Tool

KINDS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
"""Types of arguments, as a JSON schema has them."""

LIST = "TOOLS"
"""Name in the module: a list of its functions that may be called."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the LLM may call."""

    tool: Tool
    run: Callable[..., Any]
    """Takes the arguments by name; what it gives can be written as JSON."""


def load_functions(path: Path) -> list[Function]:
    """The functions in the list `TOOLS` of a Python file, which is run.

    Raises:
        ConfigError: there is no such file, it fails, or a function cannot be described.
    """
    where = "tools.module"
    spec = importlib.util.spec_from_file_location("salmonn_live_tools", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{where}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{where}: {path}: {type(error).__name__}: {error}") from error
    listed = getattr(module, LIST, None)
    if not isinstance(listed, list | tuple) or not all(map(callable, listed)):
        raise ConfigError(f"{where}: {path}: there is no list {LIST} of functions")
    try:
        return [Function(described(function), function) for function in listed]
    except ToolError as error:
        raise ConfigError(f"{where}: {path}: {error}") from error


def described(function: Callable[..., Any]) -> Tool:
    """What a function is, for the LLM to read.

    Raises:
        ToolError: an argument has no type, or one that no schema is made of.
    """
    name = getattr(function, "__name__", "?")
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise ToolError(name, str(error)) from error
    properties, required = {}, []
    for argument in inspect.signature(function).parameters.values():
        kind = hints.get(argument.name)
        properties[argument.name] = _schema(kind, f"{name}.{argument.name}")
        if argument.default is argument.empty:
            required.append(argument.name)
    told = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return Tool(name, told, {"type": "object", "properties": properties, "required": required})


def _schema(kind: Any, where: str) -> dict[str, Any]:
    if kind in KINDS:
        return {"type": KINDS[kind]}
    if isinstance(kind, types.UnionType) and types.NoneType in get_args(kind):
        (kind,) = [one for one in get_args(kind) if one is not types.NoneType][:1]
        return _schema(kind, where)
    choices: Sequence[Any] = get_args(kind)
    if get_origin(kind) is Literal and all(isinstance(choice, str) for choice in choices):
        return {"type": "string", "enum": [*choices]}
    if get_origin(kind) is list and len(choices) == 1:
        return {"type": "array", "items": _schema(choices[0], where)}
    why = "an argument is str, int, float, bool, a Literal of texts, or a list of these"
    raise ToolError(where, why)
