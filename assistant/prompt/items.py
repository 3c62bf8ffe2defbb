"""A conversation as a list of items. They never change; a conversation that does has others."""

from dataclasses import dataclass

from assistant.ear.hearing import Sound, Window


@dataclass(frozen=True, slots=True)
class System:
    """What is asked about every turn; stands before all of them."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What was heard in a turn, and what is asked about it."""

    turn: int
    """Which of the turns that were answered, counted from 0."""

    instruction: str
    """What is asked about it."""

    windows: tuple[Window, ...]
    """Its audio."""

    since: int = 0
    """First sample of the stream that it is about."""

    until: int = 0
    """Samples heard at its end."""

    transcript: str = ""
    """What was said in it, where that was read."""

    sounds: tuple[Sound, ...] = ()
    """What was heard beside it, where that was noticed."""

    question: str | None = None
    """What was typed about it, for an LLM that reads words."""


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, as far as it was given out."""

    turn: int
    tokens: tuple[int, ...]


Item = System | Spoken | Said
