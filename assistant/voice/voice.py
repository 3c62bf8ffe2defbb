"""What a voice is: text in, samples out, and where in them each word is."""

from dataclasses import dataclass
from typing import Protocol

from assistant.errors import AssistantError

VOICE_RATE = 24_000
"""Samples of speech in a second, whatever voice speaks."""

SAMPLE_BYTES = 2
"""Of one sample."""

NONE = "none"
"""The name of no voice: answers are text."""


class VoiceError(AssistantError):
    """There is no such voice, or it cannot be used here."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A stretch of what was said, and the text that it stands for."""

    begin: int
    """First sample of it."""

    end: int
    """Characters of the text up to its end, white space after it included."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A text, spoken."""

    pcm: bytes
    """16-bit little-endian, mono, `VOICE_RATE`. Empty where there is nothing to say."""

    words: tuple[SpokenWord, ...]
    """In order, the last one up to the text's end. Nothing is said before the first one."""


class Voice(Protocol):
    """Speaks; shared by all sessions, and never changed by them."""

    @property
    def name(self) -> str:
        """What it is called in `voice.name`."""

    def speak(self, text: str, speed: float = 1.0) -> Speech:
        """Speak a clause. The same text at the same speed gives the same samples, to the bit.

        Args:
            text: as it is written, markdown and all.
            speed: times as fast as usual.
        """
