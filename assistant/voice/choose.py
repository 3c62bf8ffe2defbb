"""Which voices there are, and how one is made."""

import json
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from assistant.errors import ConfigError
from assistant.voice import kokoro_voice
from assistant.voice.voice import NONE, Voice

CACHE = "HIBARI_HOME"
"""Names the folder where `hibari-tts` keeps voices that were downloaded."""


def names() -> list[str]:
    """The voices that can be used here: those in the package `hibari-tts`, those that were
    downloaded with its own command before, and Kokoro's. Nothing is downloaded by us."""
    return [*_of_hibari(), *kokoro_voice.names()]


def _of_hibari() -> list[str]:
    package = find_spec("hibari")
    if package is None or package.origin is None:
        return []
    assets = Path(package.origin).parent / "assets"
    known = json.loads((assets / "voices.json").read_text(encoding="utf-8"))
    folders = [assets, _cache()]
    return [name for name, about in known.items() if _is_there(folders, about["file"])]


def _is_there(folders: list[Path], file: str) -> bool:
    return any((folder / file).is_file() for folder in folders)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(home) / "hibari")


def check(name: str) -> None:
    """Raises ConfigError where there is no voice of a name; it lists those there are."""
    if name not in (NONE, *names()):
        there = ", ".join([*names(), NONE])
        raise ConfigError(f"voice.name: no voice {name!r:.60} here; there are: {there}")


@lru_cache(maxsize=4)
def load_voice(name: str) -> Voice | None:
    """A voice; None for `none`. All who ask for the same one get the same.

    Raises:
        ConfigError: there is no voice of that name.
        VoiceError: it cannot be used here.
    """
    check(name)
    if name == NONE:
        return None
    if name not in _of_hibari():
        return kokoro_voice.KokoroVoice(name)
    from assistant.voice.hibari_voice import HibariVoice

    return HibariVoice(name)
