"""What a session reports. Immutable; times are sample indices into its input at 16 kHz."""

from dataclasses import dataclass
from typing import Literal

EndOfReply = Literal["complete", "limit", "interrupted", "cancelled"]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    at: int
    """First sample of speech."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The user stopped speaking."""

    at: int
    """One past the last sample of speech."""

    decided_at: int
    """Sample at which the silence had been long enough to be sure; the wait is by choice."""

    kept: bool = True
    """What was said is a turn, or belongs to one. False: it was too short to interrupt the reply it
    was said under, and is not answered."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was said since the last such event is a turn that the client ended by hand."""

    since: int
    """Its first sample."""

    until: int
    """One past its last sample."""

    ref: str | None = None
    """Of the `Hold`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording has come to its end; it waits to be asked about."""

    since: int
    """Its first sample."""

    until: int
    """One past its last sample."""

    ref: str | None = None
    """Of the `Recording`."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """A `Clear` was followed: what was said before and not answered never will be."""

    until: int
    """One past the last sample that is not answered."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A `Configure` was followed: what is reported from here on happened under its settings."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A reply was asked for, and will be given or refused."""

    ref: str
    """Of the control that asked for it."""


@dataclass(frozen=True, slots=True)
class FellSilent:
    """Nobody has spoken for `idle_timeout_s` since a reply: one about the silence follows."""

    since: int
    """Sample at which that reply had come to its end."""

    at: int
    """Samples heard now."""


@dataclass(frozen=True, slots=True)
class AudioPrefilled:
    """Windows became final and their audio tokens went into the LLM's KV cache."""

    at: int
    """Samples of the session's input heard when it happened."""

    windows: int
    """Windows of this turn in the cache now."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What the user is saying."""

    settled: str
    """Text that is certain now; it goes on where the last caption of this turn ended."""

    tentative: str
    """What follows it for now; the next caption replaces it."""

    last: bool
    """No more of this utterance will come."""

    since: int = 0
    """First sample of the speech that its turn is about."""


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply begins."""

    windows: int
    """Windows it is about."""

    text_tokens: int
    """LLM tokens of the prompt around them."""

    prefilled_before_end: int
    """How many of the windows were in the KV cache when the last sample of speech came in, or when
    the reply was asked for."""

    ref: str | None = None
    """Of the control that asked for it; None: an endpoint did."""

    turn: int = 0
    """Which of the turns that were answered it belongs to, counted from 0."""

    answers: tuple[str, ...] = ()
    """What was written and is answered by it, by the `ref` of each."""

    tools: tuple[str, ...] = ()
    """Names of the functions that it may call."""


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The reply calls a function, which whoever declared it is to run. Its text came before."""

    id: str
    """By which its result is told apart from those of other calls."""

    name: str
    """Of the function."""

    arguments: str
    """A JSON object that fits the function's schema, as text."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """No more of this reply will come."""

    tokens: int
    """LLM tokens given out."""

    reason: EndOfReply
    """limit: it has as many tokens as it may, or the LLM's context is full. interrupted: the user
    spoke. cancelled: the client asked for it."""


@dataclass(frozen=True, slots=True)
class SoundStarted:
    """A sound that is not speech began."""

    at: int
    """First sample of the block it was heard in."""

    until: int
    """One past the last sample of it."""

    name: str
    probability: float


Refusal = Literal["nothing_to_do", "nothing_said", "cancelled", "context_full"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A control could not be followed, or a turn not be answered; nothing else was changed."""

    why: str
    ref: str | None = None
    """Of the control; None: no control asked for it."""

    code: Refusal = "nothing_to_do"
    """nothing_to_do: there is nothing that it could be about. nothing_said: a `Hold` came, and
    nothing was said since the last turn. cancelled: a question was taken back while it waited.
    context_full: it is longer than the LLM's context."""


Event = (
    SpeechStarted
    | SpeechEnded
    | Held
    | Recorded
    | Cleared
    | Configured
    | Accepted
    | FellSilent
    | AudioPrefilled
    | Caption
    | ReplyStarted
    | ReplyDelta
    | ToolCalled
    | ReplyEnded
    | SoundStarted
    | Refused
)
