"""The classes of sound that the tagger of `small` knows: the file `classes.yaml`."""

from functools import cache
from pathlib import Path

from pydantic import Field

from assistant.config import Section
from assistant.files.presets import read_yaml, validate


class SoundClass(Section):
    """One class of sound."""

    labels: list[str] = Field(default=[])
    """What recordings of it are labelled, besides its name."""

    family: str | None = None
    """What it is called when its own name is unsure; null: nothing."""

    words: list[str] = Field(default=[])
    """Other words for it."""


class SoundClasses(Section):
    """The file `classes.yaml`."""

    families: dict[str, str]
    """Names of families, and how each stands in a sentence."""

    classes: dict[str, SoundClass]


@cache
def sound_classes() -> SoundClasses:
    """The classes that are known."""
    path = Path(__file__).with_name("classes.yaml")
    return validate(SoundClasses, read_yaml(path), path.name)
