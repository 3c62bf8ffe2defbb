"""Configurations with some keys changed, and what is seen of them."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

from assistant.config import ModelConfig, Section, VoiceConfig
from assistant.errors import AssistantError
from assistant.files.presets import read_config, shipped_config, validate
from streaming.config import (
    Config,
    EndpointingConfig,
    ServerConfig,
    ToolsConfig,
    TurnsConfig,
    WakeWordConfig,
)

PRESET = "presets.tiny"
SCHEMAS: dict[str, type[Section]] = {
    "endpointing": EndpointingConfig,
    "turns": TurnsConfig,
    "voice": VoiceConfig,
    "wake_word": WakeWordConfig,
    "tools": ToolsConfig,
    "server": ServerConfig,
    PRESET: ModelConfig,
}


def keys_of(schema: type[Section], path: str) -> Iterator[str]:
    """Every key of a section, those of the sections inside it with dots between; 0 is the first of
    a list of them, and `NAME` one that has a name."""
    for name, info in schema.model_fields.items():
        kinds = [info.annotation, *get_args(info.annotation)]
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, Section)]
        if inner:
            many = get_origin(info.annotation)
            first = ".0" if many is list else ".NAME" if many is dict else ""
            yield from keys_of(inner[0], f"{path}.{name}{first}")
        else:
            yield f"{path}.{name}"


KEYS = ["preset", *(key for path, schema in SCHEMAS.items() for key in keys_of(schema, path))]

FILES: list[Path] = []
"""The folder of what the keys name; the word stands for it in rows."""

Changes = dict[str, Any]
Probe = Callable[[Config], object]


@dataclass(frozen=True)
class Row:
    """How to see that a key does something."""

    value: Any
    probe: Probe
    base: Changes = field(default_factory=dict)
    """Other keys, for which this one matters; set on both sides."""

    also: Changes = field(default_factory=dict)
    """Other keys that must change with it."""


def configured(changes: Changes) -> Config:
    """The shipped configuration with the tiny preset and some keys changed."""
    values = {**copy.deepcopy(shipped()), "preset": "tiny"}
    section: Any
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            listed = isinstance(section, list)
            section = section[int(parent)] if listed else section.setdefault(parent, {})
        section[last] = _named(copy.deepcopy(value))
    sections = {name: values[name] for name in SCHEMAS if name != PRESET}
    return Config(
        values["preset"],
        validate(ModelConfig, values["presets"]["tiny"], PRESET),
        validate(EndpointingConfig, sections["endpointing"], "endpointing"),
        validate(TurnsConfig, sections["turns"], "turns"),
        validate(ServerConfig, sections["server"], "server"),
        validate(VoiceConfig, sections["voice"], "voice"),
        validate(ToolsConfig, sections["tools"], "tools"),
        validate(WakeWordConfig, sections["wake_word"], "wake_word"),
    )


def _named(value: Any) -> Any:
    """A value of a row, with the folder of files in its place."""
    if isinstance(value, list):
        return [_named(part) for part in value]
    if isinstance(value, dict):
        return {key: _named(part) for key, part in value.items()}
    return value.replace("FILES", str(FILES[0])) if isinstance(value, str) else value


@cache
def shipped() -> Changes:
    return read_config(shipped_config())


def seen(probe: Probe, changes: Changes) -> object:
    """What a probe sees; an error is something, too."""
    try:
        return probe(configured(changes))
    except AssistantError as error:
        return str(error)
