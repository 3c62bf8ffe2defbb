"""What a client may ask of a session. Each control takes effect in its place between the audio
before and after it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.config import EndpointingConfig, TurnsConfig

# Bounds are checked when controls are read from a tape, not when they are made.
Tokens = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Mass = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Speed = Annotated[float, Field(ge=0.25, le=1.5)]

Role = Literal["user", "system", "assistant"]
"""Whose text it is."""

Part = Literal["question", "answer"]
"""Of a turn."""

Key = str | tuple[Count, Part]
"""What an item is known by: what a client put there, and a call, by its `ref`, what was said and
answered by its turn."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A typed question about everything in the ring, and about texts that were written and not
    answered. It waits while someone speaks or a reply is given, and is answered once; questions are
    answered in the order in which they came."""

    text: str | None = None
    """The question; None: texts that were written are the question."""

    ref: str | None = None
    """Returned as `ref` in the event that answers or refuses the question."""

    max_new_tokens: Tokens | None = None
    """Limit of this reply's tokens; None: the session's."""

    alone: bool = False
    """It is asked as if nothing had been said or written before."""

    kept: bool = True
    """The reply becomes a part of the conversation."""

    tools: tuple[Tool, ...] | None = None
    """Functions that the reply may call; None: the session's."""

    tool_choice: ToolChoice | None = None
    """Whether it calls one; None: as the session has it."""

    aloud: bool | None = None
    """Whether this reply is spoken; None: as the session has it."""

    @property
    def is_plain(self) -> bool:
        """Whether the reply is made as any other of the session's."""
        wished = self.max_new_tokens, self.tools, self.tool_choice
        return self.kept and wished == (None, None, None)


@dataclass(frozen=True, slots=True)
class Write:
    """A text becomes a part of the conversation; under a reply, behind it. A user's waits for the
    next reply."""

    text: str
    role: Role = "user"
    ref: str = ""
    """What it is known by: told back when it is answered, and named to forget it."""

    after: Key | None = None
    """The item that it follows: the `ref` of another text, a part of a turn, or "root" for the
    beginning. None, or no such item: the last one."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a function becomes a part of the conversation, as if the LLM had made it."""

    call: ToolCall
    ref: str = ""
    """What it is known by."""

    after: Key | None = None
    """See `Write`."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of a call becomes a part of the conversation, and waits to be answered."""

    call: str
    """The call's id."""

    output: str
    ref: str = ""
    """What it is known by."""

    after: Key | None = None
    """See `Write`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The program around the session has run a function that a reply called, `ToolCalled.by` shell.
    Ignored if that reply is over. It may come after the input's end."""

    call: str
    """The call's id."""

    output: str
    """What came of it: JSON, as text, for the LLM to read."""

    say: str | None = None
    """What is said of it; None: the LLM says it."""


@dataclass(frozen=True, slots=True)
class Clock:
    """It is this local time. The first one says when the session began; later ones tell of time in
    which no audio came, for timers."""

    local: str
    """In ISO 8601, such as 2026-11-29T07:30:00."""


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
    refuse. Texts that were written and not answered are answered, as by an `Ask`."""

    max_new_tokens: Tokens | None = None
    """Limit of this reply's tokens; None: the session's."""

    kept: bool = True
    """The reply becomes a part of the conversation."""

    tools: tuple[Tool, ...] | None = None
    """Functions that the reply may call; None: the session's."""

    tool_choice: ToolChoice | None = None
    """Whether it calls one; None: as the session has it."""

    aloud: bool | None = None
    """Whether this reply is spoken; None: as the session has it."""

    @property
    def is_plain(self) -> bool:
        """Whether the reply is made as any other of the session's."""
        wished = self.max_new_tokens, self.tools, self.tool_choice
        return self.kept and wished == (None, None, None)


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

    aloud: bool | None = None
    """Whether replies are spoken, where there is a voice; from the next one on."""

    speed: Speed | None = None
    """Times as fast as the voice speaks by itself."""

    tools: tuple[Tool, ...] | None = None
    """Functions that replies may call."""

    tool_choice: ToolChoice | None = None
    """Whether they call one."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget a part of a turn, and a stretch of sound: nothing later is about them."""

    turn: Count | None = None
    """Index of the turn among the answered turns, from 0; None: none. `part` of it leaves the LLM's
    context."""

    part: Part = "question"
    """Of that turn."""

    since: Count = 0
    """First sample of the sound to forget."""

    until: Count = 0
    """One past the last sample of the sound to forget; equal to `since`: none."""

    ref: str | None = None
    """Name of a `Recording`, of what was written, or of a call to forget, too."""


@dataclass(frozen=True, slots=True)
class Played:
    """So much of a reply was played. Whoever plays replies may say so; a reply whose audio was
    played is over, even where no audio comes in."""

    turn: Count
    """Which reply, by the `turn` that it began with."""

    samples: Count
    """Of its audio, from its beginning on."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The rest of a reply's text was never heard: it leaves the LLM's context."""

    turn: Count
    """Which reply, by the `turn` that it began with."""

    characters: Count
    """Of its text that were heard."""


Control = (
    Ask
    | Write
    | Called
    | Returned
    | Outcome
    | Clock
    | Cancel
    | Commit
    | Hold
    | Clear
    | Recording
    | Configure
    | Forget
    | Played
    | Truncate
)
