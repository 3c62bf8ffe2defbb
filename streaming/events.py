"""What a session reports. Immutable; times are sample indices into the session's input."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    at: int
    """First sample of speech, pre-roll excluded."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The user stopped speaking; a reply follows."""

    at: int
    """One past the last sample of speech."""

    decided_at: int
    """Sample at which the silence had been long enough to be sure; the wait is by choice."""


@dataclass(frozen=True, slots=True)
class AudioPrefilled:
    """Windows became final and their audio tokens went into the LLM's KV cache."""

    at: int
    """Samples of the session's input heard when it happened."""

    audio_tokens: int
    """Tokens of this utterance in the cache now."""


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """No more of this reply will come."""

    audio_tokens: int
    """Audio tokens the reply is about."""

    prefilled_before_end: int
    """How many of them were in the KV cache when the last sample of speech came in."""

    tokens: int
    """LLM tokens of the reply."""


Event = SpeechStarted | SpeechEnded | AudioPrefilled | ReplyDelta | ReplyEnded
