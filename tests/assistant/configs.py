"""Configurations that differ from the shipped one."""

from pathlib import Path
from typing import Any

import yaml

from assistant.config import ModelConfig
from assistant.files.presets import load_preset, shipped_config

TEXT = shipped_config().read_text()

PRESETS = list(yaml.safe_load(TEXT)["presets"])


def changed(folder: Path, key: str, value: object) -> Path:
    """The shipped file with one key set."""
    values = yaml.safe_load(TEXT)
    *parents, last = key.split(".")
    section: Any = values
    for parent in parents:
        section = section[parent]
    section[last] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def load(path: Path, name: str) -> ModelConfig:
    return load_preset(path, name)[1]
