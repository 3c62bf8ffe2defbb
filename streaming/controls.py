"""What a client may ask of a session, apart from hearing. In order with the audio."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.config import EndpointingConfig, TurnsConfig

# The bounds are checked where controls are read from a tape, not where they are made.
Tokens = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Mass = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]

Role = Literal["user", "system", "assistant"]
"""Whose text it is."""

Part = Literal["question", "answer"]
"""Of a turn."""

Key = str | tuple[Count, Part]
"""What an item is known by: what a client put there, and a call, by its `ref`, what was said and
answered by its turn."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A typed question about everything in the ring, and about what was written and not answered.
    While someone speaks or a reply is given, it waits; it is answered once, after those that were
    asked before it."""

    text: str | None = None
    """None: what was written is the question."""

    ref: str | None = None
    """Told back when it is answered, or refused."""

    max_new_tokens: Tokens | None = None
    """Of this reply; None: as many as the session's."""

    alone: bool = False
    """It is asked as if nothing had been said or written before."""

    kept: bool = True
    """The reply becomes a part of the conversation."""

    tools: tuple[Tool, ...] | None = None
    """Functions that the reply may call; None: the session's."""

    tool_choice: ToolChoice | None = None
    """Whether it calls one; None: as the session has it."""

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
class Cancel:
    """Stop a reply; what was given out of it stays said."""

    ref: str | None = None
    """Told back when there is none."""

    asked: str | None = None
    """The `ref` of the control that asked for the reply, which may still wait; None: see `turn`."""

    turn: Count | None = None
    """Which reply, by the `turn` that it began with; None: whichever is being given."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What was said is all: answer it now."""

    instruction: str | None = None
    """What to do with it, for this turn; None: what the session does."""

    ref: str | None = None
    or_ring: bool = False
    """Where nothing was said: about everything in the ring. Where something was written and not
    answered, that is answered, as by an `Ask`."""

    max_new_tokens: Tokens | None = None
    """Of this reply; None: as many as the session's."""

    kept: bool = True
    """The reply becomes a part of the conversation."""

    tools: tuple[Tool, ...] | None = None
    """Functions that the reply may call; None: the session's."""

    tool_choice: ToolChoice | None = None
    """Whether it calls one; None: as the session has it."""

    @property
    def is_plain(self) -> bool:
        """Whether the reply is made as any other of the session's."""
        wished = self.max_new_tokens, self.tools, self.tool_choice
        return self.kept and wished == (None, None, None)


@dataclass(frozen=True, slots=True)
class Hold:
    """What was said is all; its answer will be asked for with a `Commit`."""

    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """What was said and not answered is not to be answered, and not to be looked at any more."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What comes next is a recording, a turn of its own: no endpoint is looked for in it. `Hold`
    ends it; an utterance that goes on is ended by it."""

    ref: str | None = None
    """What the recording is known by: told back when it is over, and named to forget it."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Other settings from here on; None leaves one as it is."""

    instruction: str | None = None
    """What is asked about every turn that begins after it."""

    max_new_tokens: Tokens | None = None
    """Of a reply."""

    temperature: Temperature | None = None
    """Of sampling; 0: always the likeliest token."""

    top_p: Mass | None = None
    """Probability mass sampled from, over 0 and at most 1."""

    turns: TurnsConfig | None = None
    """Its `ring_s`, `silence_db` and `turns_kept` are settled when a session is made: here they
    have no effect."""

    endpointing: EndpointingConfig | None = None
    """An utterance that goes on is ended by it."""

    tools: tuple[Tool, ...] | None = None
    """Functions that replies may call."""

    tool_choice: ToolChoice | None = None
    """Whether they call one."""


@dataclass(frozen=True, slots=True)
class Forget:
    """What was said is not to be looked at any more."""

    turn: Count | None = None
    """Which of the turns that were answered, counted from 0; it leaves the LLM's context."""

    part: Part = "question"
    """Of that turn."""

    since: Count = 0
    """First sample of what was heard that is forgotten, too."""

    until: Count = 0
    """One past the last sample of it."""

    ref: str | None = None
    """Of a `Recording` that is forgotten, too, of what was written, or of a call."""


Control = (
    Ask
    | Write
    | Called
    | Returned
    | Cancel
    | Commit
    | Hold
    | Clear
    | Recording
    | Configure
    | Forget
)
