"""Reading `config.yaml`: the presets, and which one runs."""

import reprlib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from assistant.config import ModelConfig, over
from assistant.errors import ConfigError
from assistant.files.yaml_file import parse

Model = TypeVar("Model", bound=BaseModel)

LIKE = "like"
"""Key of a preset: the name of another one, which has the values that this one leaves out."""


def shipped_config() -> Path:
    """The `config.yaml` that came with the program."""
    packaged = Path(__file__).parents[1] / "config.yaml"  # in a wheel
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "config.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Parse a configuration file.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds no mapping.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not YAML (byte {error.start} is not UTF-8)") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not YAML ({error})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections, found {type(values).__name__}")
    return values


def read_config(path: Path) -> dict[str, Any]:
    """A configuration file, completed by the shipped one.

    Keys that a section or a preset leaves out have their shipped values. A preset with `like` is
    completed by the preset named there instead; `load_preset` does that.

    Raises:
        ConfigError: not a configuration file.
    """
    values, shipped = read_yaml(path), read_yaml(shipped_config())
    presets = values.get("presets", {})
    if not isinstance(presets, dict):
        raise ConfigError(f"{path}: presets: expected a section")
    kept = {
        name: preset
        for name, preset in shipped["presets"].items()
        if not _is_like(presets.get(name))
    }
    return over({**shipped, "presets": kept}, values)


def validate(schema: type[Model], values: object, where: str) -> Model:
    """Check parsed YAML against `schema`.

    Raises:
        ConfigError: a key is wrong; the message names every such key and says what is wrong.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        # not `from error`, which holds what was given
        raise ConfigError("; ".join(_problems(error, where, _secrets(schema)))) from None


def _secrets(schema: type[BaseModel]) -> set[str]:
    """Keys whose values must not be shown, those in sections of it included."""
    found = set()
    for key, field in schema.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if kind is SecretStr:
                found.add(key)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= _secrets(kind)
    return found


def _problems(error: ValidationError, where: str, secrets: set[str]) -> list[str]:
    lines = []
    for problem in error.errors():
        path, value = problem["loc"], problem["input"]
        key = ".".join([where, *map(_name, path)])
        if problem["type"] in ("extra_forbidden", "invalid_key"):
            lines.append(f"{key}: unknown key")
            continue
        message = problem["msg"].removeprefix("Value error, ")
        # a section is not shown: there may be a secret in it
        secret = isinstance(value, dict) or not secrets.isdisjoint(path)
        hidden = secret or problem["type"] == "missing"
        lines.append(f"{key}: {message}" + ("" if hidden else f" (got {_short.repr(value)})"))
    return lines


def _name(part: int | str) -> str:
    """A part of a key's path, on one line whatever the file has for a key."""
    name = str(part)[:60]
    return name if name.isprintable() else repr(name)


_short = reprlib.Repr()
"""Shows a wrong value in one line, without writing a long list in full first."""
_short.maxlevel, _short.maxstring, _short.maxlong, _short.maxother = 2, 60, 60, 60


def load_preset(path: Path, name: str | None = None) -> tuple[str, ModelConfig]:
    """The model configuration that `path` chooses, or its preset `name`.

    Raises:
        ConfigError: the file or the preset is wrong; the message names the keys.
    """
    values = read_config(path)
    presets = values["presets"]
    chosen = name or values.get("preset")
    if not isinstance(chosen, str) or chosen not in presets:
        raise ConfigError(f"preset: {_unknown(chosen, presets)}")
    return chosen, validate(ModelConfig, complete(presets, chosen), f"presets.{chosen}")


def complete(presets: dict[str, Any], name: str) -> object:
    """A preset of a file, completed by the one that it is `like`, and so on.

    Args:
        presets: all of the file's.
        name: which one.

    Raises:
        ConfigError: a `like` names no preset, or leads back to its own.
    """
    chain = {name: presets[name]}
    last = name
    while _is_like(chain[last]):
        where, below = f"presets.{_name(last)}.{LIKE}", chain[last][LIKE]
        if not isinstance(below, str) or below not in presets:
            raise ConfigError(f"{where}: {_unknown(below, presets)}")
        if below in chain:
            raise ConfigError(f"{where}: {_name(below)} is like itself")
        if not isinstance(presets[below], dict):
            raise ConfigError(f"presets.{_name(below)}: expected a section")
        chain[below] = presets[below]
        last = below
    if last == name:
        return presets[name]
    values: dict[str, Any] = {}
    for preset in reversed(chain.values()):
        values = over(values, preset)
    return {key: value for key, value in values.items() if key != LIKE}


def _is_like(preset: object) -> bool:
    return isinstance(preset, dict) and LIKE in preset


def _unknown(chosen: object, presets: dict[str, Any]) -> str:
    return f"unknown {_short.repr(chosen)}; known: {', '.join(map(_name, presets))}"
