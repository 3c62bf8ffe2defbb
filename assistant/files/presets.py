"""Reading `config.yaml`: the presets, and which one runs."""

import reprlib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.files.yaml_file import parse

Model = TypeVar("Model", bound=BaseModel)


def shipped_config() -> Path:
    """The `config.yaml` that came with the program."""
    packaged = Path(__file__).parents[1] / "config.yaml"  # in a wheel
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "config.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Parse a configuration file.

    Raises:
        ConfigError: missing, not YAML, or not a mapping.
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
    """A configuration file, with the shipped one's sections and presets where it has none.

    Raises:
        ConfigError: not a configuration file.
    """
    values, shipped = read_yaml(path), read_yaml(shipped_config())
    presets = values.get("presets", {})
    if not isinstance(presets, dict):
        raise ConfigError(f"{path}: presets: expected a section")
    return {**shipped, **values, "presets": {**shipped["presets"], **presets}}


def validate(schema: type[Model], values: object, where: str) -> Model:
    """Make a `schema` from parsed YAML.

    Raises:
        ConfigError: naming every key that is wrong and what is wrong with it.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        # not `from error`, which holds what was given
        raise ConfigError("; ".join(_problems(error, where, _secrets(schema)))) from None


def _secrets(schema: type[BaseModel]) -> set[str]:
    """Keys whose values are shown to nobody."""
    fields = schema.model_fields.items()
    return {
        key for key, field in fields if SecretStr in (field.annotation, *get_args(field.annotation))
    }


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
        secret = isinstance(value, dict) or bool(secrets.intersection(path[:1]))
        hidden = secret or problem["type"] == "missing"
        lines.append(f"{key}: {message}" + ("" if hidden else f" (got {_short.repr(value)})"))
    return lines


def _name(part: int | str) -> str:
    """A part of a key's path; whatever a file has for a key, it is on one line."""
    name = str(part)[:60]
    return name if name.isprintable() else repr(name)


_short = reprlib.Repr()
"""What was given, in a line; a long list is not written in full first."""
_short.maxlevel, _short.maxstring, _short.maxlong, _short.maxother = 2, 60, 60, 60


def load_preset(path: Path, name: str | None = None) -> tuple[str, ModelConfig]:
    """The model configuration that `path` chooses, or its preset `name`.

    Raises:
        ConfigError: the file or the preset is wrong; keys are named.
    """
    values = read_config(path)
    presets = values["presets"]
    chosen = name or values.get("preset")
    if not isinstance(chosen, str) or chosen not in presets:
        known = ", ".join(map(_name, presets))
        raise ConfigError(f"preset: unknown {_short.repr(chosen)}; known: {known}")
    return chosen, validate(ModelConfig, presets[chosen], f"presets.{chosen}")
