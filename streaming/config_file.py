"""Reading `config.yaml`."""

from pathlib import Path

from assistant.config import VoiceConfig
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, read_config, validate
from assistant.voice.choose import check
from streaming.config import (
    Config,
    EndpointingConfig,
    ServerConfig,
    ToolsConfig,
    TurnsConfig,
    WakeWordConfig,
)

SECTIONS = {"preset", "presets", "endpointing", "turns", "voice", "wake_word", "tools", "server"}


def load_config(path: Path, preset: str | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the file.
        preset: overrides the one that the file chooses.

    Raises:
        ConfigError: a key is unknown, or its type or value is wrong; every wrong key is named.
    """
    values = read_config(path)
    if unknown := values.keys() - SECTIONS:
        known = ", ".join(sorted(SECTIONS))
        first = min(map(str, unknown))
        raise ConfigError(f"{first!r:.60}: unknown section; known: {known}")
    name, model = load_preset(path, preset)
    endpointing = validate(EndpointingConfig, values.get("endpointing", {}), "endpointing")
    turns = validate(TurnsConfig, values.get("turns", {}), "turns")
    server = validate(ServerConfig, values.get("server", {}), "server")
    voice = validate(VoiceConfig, values.get("voice", {}), "voice")
    tools = validate(ToolsConfig, values.get("tools", {}), "tools")
    word = validate(WakeWordConfig, values.get("wake_word", {}), "wake_word")
    check(voice.name)
    return Config(name, model, endpointing, turns, server, voice, tools, word)
