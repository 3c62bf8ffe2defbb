"""Reading `config.yaml`: the presets, and which one runs."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from assistant.config import ModelConfig
from assistant.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def shipped_config() -> Path:
    """The `config.yaml` that came with the program."""
    packaged = Path(__file__).with_name("config.yaml")  # in a wheel
    return packaged if packaged.is_file() else Path(__file__).parents[1] / "config.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Parse a configuration file.

    Raises:
        ConfigError: missing, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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
        raise ConfigError("; ".join(_problems(error, where))) from error


def _problems(error: ValidationError, where: str) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join([where, *map(str, problem["loc"])])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "missing" else f" (got {problem['input']!r:.60})"
            lines.append(f"{key}: {message}{given}")
    return lines


def load_preset(path: Path, name: str | None = None) -> tuple[str, ModelConfig]:
    """The model configuration that `path` chooses, or its preset `name`.

    Raises:
        ConfigError: the file or the preset is wrong; keys are named.
    """
    values = read_config(path)
    presets = values["presets"]
    chosen = name or values.get("preset")
    if not isinstance(chosen, str) or chosen not in presets:
        raise ConfigError(f"preset: unknown {chosen!r}; known: {', '.join(map(str, presets))}")
    return chosen, validate(ModelConfig, presets[chosen], f"presets.{chosen}")
