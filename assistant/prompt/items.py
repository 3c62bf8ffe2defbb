"""A conversation as a list of items. They never change; a conversation that does has others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.ear.hearing import Window
from assistant.ear.noticing import Sound
from assistant.prompt.chat import Message
from assistant.tools.tool import Tool, ToolCall

Role = Literal["user", "system", "assistant"]
"""Whose text it is."""


@dataclass(frozen=True, slots=True)
class Offer:
    """How functions of our own are shown, in place of the preset's prompt."""

    system: str
    """The system message."""

    examples: tuple[Message, ...]
    """Turns that stand before all others."""


@dataclass(frozen=True, slots=True)
class System:
    """What is asked about every turn; stands before all of them."""

    text: str
    tools: tuple[Tool, ...] = ()
    """Functions that may be called."""

    offer: Offer | None = None
    """How they are shown, where they are our own; None: as the preset shows a client's."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text that a client put into the conversation."""

    ref: str
    """What the client knows it by."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What was heard in a turn, and what is asked about it."""

    turn: int
    """Which of the turns that were answered, counted from 0."""

    instruction: str
    """What is asked about every turn."""

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
    """What is asked about this turn; None: nothing but `texts`."""

    texts: tuple[Written, ...] = ()
    """What was typed about it."""

    @property
    def asked(self) -> str | None:
        """What is asked about this turn, apart from what is asked about every one."""
        return joined([self.question or "", *(text.text for text in self.texts)]) or None


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, as far as it was given out."""

    turn: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a function, the LLM's or one that a client put into the conversation."""

    ref: str
    """What the client knows it by."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of a call."""

    ref: str
    """What the client knows it by."""

    call: str
    """The call's id."""

    output: str


Put = Written | Called | Returned
"""What a client may put into a conversation."""

Item = System | Spoken | Said | Put


def is_reply(item: Item) -> bool:
    """Whether an item answers those before it."""
    written = isinstance(item, Written) and item.role == "assistant"
    return isinstance(item, Said | Called) or written


def joined(texts: Sequence[str]) -> str:
    """Texts that are asked together."""
    return "\n".join(text for text in texts if text)
