"""The streaming part of `config.yaml`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from assistant.config import ModelConfig, Section
from assistant.errors import ConfigError
from assistant.presets import load_preset, read_config, validate


class EndpointingConfig(Section):
    """When a run of frames counts as an utterance. One frame is 20 ms."""

    detector: Literal["webrtc", "silero"] = "webrtc"
    """What tells speech from the rest, frame by frame."""

    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtc: its mode; 0 takes most things for speech, 3 the fewest."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """silero: least probability that counts as speech."""

    min_speech_frames: PositiveInt = 6
    """Speech frames in a row that start an utterance."""

    min_silence_frames: PositiveInt = 25
    """Silent frames in a row that end it (hangover)."""

    pre_roll_frames: int = Field(default=15, ge=0)
    """Frames before the first speech frame that belong to the utterance."""

    max_utterance_s: PositiveFloat = 600.0
    """Seconds; a longer utterance is ended here and the next one begins."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of a configuration file, with one preset chosen."""

    preset: str
    model: ModelConfig
    endpointing: EndpointingConfig


SECTIONS = {"preset", "presets", "endpointing"}


def load_config(path: Path, preset: str | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the file.
        preset: replaces the one the file chooses.

    Raises:
        ConfigError: an unknown key, a wrong type or value; every such key is named.
    """
    values = read_config(path)
    if unknown := values.keys() - SECTIONS:
        known = ", ".join(sorted(SECTIONS))
        raise ConfigError(f"{min(unknown)}: unknown section; known: {known}")
    name, model = load_preset(path, preset)
    endpointing = validate(EndpointingConfig, values.get("endpointing", {}), "endpointing")
    return Config(name, model, endpointing)
