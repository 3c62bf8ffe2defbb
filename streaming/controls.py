"""What a client may ask of a session. Each control takes effect in its place between the audio
before and after it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from streaming.config import EndpointingConfig, TurnsConfig

# Bounds are checked when controls are read from a tape, not when they are made.
Tokens = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Mass = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Ask:
    """A typed question about everything in the ring. It waits while someone speaks or a reply is
    given, and is answered once; questions are answered in the order in which they came."""

    text: str
    ref: str | None = None
    """Returned as `ref` in the event that answers or refuses the question."""

    max_new_tokens: Tokens | None = None
    """Limit of this reply's tokens; None: the session's."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a reply; the text that was given out stays part of the conversation."""

    ref: str | None = None
    """Returned as `ref` in the event that says there is no reply to cancel."""

    asked: str | None = None
    """The `ref` of the control that asked for the reply, even if that still waits; None: see
    `turn`."""

    turn: Count | None = None
    """The reply's `ReplyStarted.turn`; None: the reply that is being given."""


@dataclass(frozen=True, slots=True)
class Commit:
    """End the turn and answer it now."""

    instruction: str | None = None
    """Instruction for this turn alone; None: the session's."""

    ref: str | None = None
    """Returned as `ref` in the events about the reply, or in the refusal."""

    or_ring: bool = False
    """If nothing was said since the last turn, answer about everything in the ring; False:
    refuse."""

    max_new_tokens: Tokens | None = None
    """Limit of this reply's tokens; None: the session's."""


@dataclass(frozen=True, slots=True)
class Hold:
    """End the turn, and answer it only when a `Commit` comes."""

    ref: str | None = None
    """Returned as `ref` in the `HeldByHand`, or in the refusal."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Discard what was said and not answered: it is not answered, and no later turn is about it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The audio that follows is a recording, which becomes one turn without any endpointing. A
    `Hold` ends it. An utterance that is going on ends before it."""

    ref: str | None = None
    """Name of the recording: `Recorded` returns it, and `Forget` takes it."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Change settings from here on; None keeps a setting as it is."""

    instruction: str | None = None
    """Instruction for every turn that begins after this."""

    max_new_tokens: Tokens | None = None
    """Limit of a reply's tokens."""

    temperature: Temperature | None = None
    """Temperature of sampling; 0: always the likeliest token."""

    top_p: Mass | None = None
    """Nucleus sampling: probability mass of the likeliest tokens drawn from, over 0 and at most
    1."""

    turns: TurnsConfig | None = None
    """Settings of turns. `ring_s`, `silence_db` and `turns_kept` have no effect here: they are
    fixed when a session is made."""

    endpointing: EndpointingConfig | None = None
    """Settings of endpointing; an utterance that is going on ends here."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget a part of a turn, and a stretch of sound: nothing later is about them."""

    turn: Count | None = None
    """Index of the turn among the answered turns, from 0; None: none. `part` of it leaves the LLM's
    context."""

    part: Literal["question", "answer"] = "question"
    """Of that turn."""

    since: Count = 0
    """First sample of the sound to forget."""

    until: Count = 0
    """One past the last sample of the sound to forget; equal to `since`: none."""

    ref: str | None = None
    """Name of a `Recording` to forget, too."""


Control = Ask | Cancel | Commit | Hold | Clear | Recording | Configure | Forget
