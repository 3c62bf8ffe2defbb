"""One turn: its states, what can happen to it, and the action for each case.

A turn is about a stretch of sound and ends with a reply. It is opened when someone begins to speak,
or when something is asked; its windows are prefilled as they become final. Silence is taken as a
sign that the utterance may be over: a reply is started speculatively, and discarded if speech goes
on. When the utterance is over, the turn is answered, or held until a client asks for the answer.
While the reply is given out, speech may interrupt it.

Whether someone is speaking is a separate state, since people also speak during replies.

Every state is a frozen class with the fields that exist in it, and `TABLE` has an action for every
state and everything that can happen. docs/turns.md is drawn from it.
"""

from dataclasses import dataclass
from enum import Enum

from assistant.tools.tool import ToolCall
from streaming.audio.endpointer import SpeechPaused, SpeechResumed
from streaming.controls import Ask, Cancel, Clear, Commit, Hold
from streaming.events import AudioPrefilled, SpeechEnded, SpeechStarted

# --- what there is


@dataclass(frozen=True, slots=True)
class Speaking:
    """Someone speaks."""

    since: int
    """First sample of the utterance."""

    paused: bool = False
    """It has been silent for a while, and the utterance may be over."""

    passed: int = 0
    """What was said before this sample, under a reply, does not interrupt it."""


@dataclass(frozen=True, slots=True)
class About:
    """What a turn is about. Times are sample indices."""

    since: int
    """First sample of the sound that belongs to it."""

    spoken_from: int | None = None
    """First sample of its first utterance; None: nobody spoke."""

    prefilled: tuple[AudioPrefilled, ...] = ()
    """Its windows, as they went into the LLM's KV cache."""

    interrupts: bool = False
    """It began with speech that interrupted a reply."""

    def windows_prefilled(self, until: int) -> int:
        """How many windows were in the KV cache when so many samples had been heard."""
        return max((p.windows for p in self.prefilled if p.at <= until), default=0)


@dataclass(frozen=True, slots=True)
class Draft:
    """A speculative reply, which was started and is not given out."""

    windows: int
    """Windows that it is about."""

    tokens: tuple[str | ToolCall | None, ...] = ()
    """Text of the tokens made, and calls that they complete; None is the reply's end."""

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""
        return bool(self.tokens) and self.tokens[-1] is None


@dataclass(frozen=True, slots=True)
class Run:
    """A call of a function that no client runs."""

    call: str
    """Its id."""

    output: str | None = None
    """What came of it; None: that is not there yet."""

    say: str | None = None
    """What is said of it; None: the LLM says it."""


# --- states


@dataclass(frozen=True, slots=True)
class Quiet:
    """No turn is open."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A turn is open, and being heard."""

    about: About


@dataclass(frozen=True, slots=True)
class Guessed:
    """The utterance may be over, and a reply may be started speculatively."""

    about: About
    paused_at: int
    """Number of samples heard when the pause was decided."""

    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The turn is over, and waits for a client to ask for its reply."""

    about: About
    paused_at: int
    draft: Draft | None
    captioned: bool
    """Its last caption was given, or will be."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The turn is over, and its reply follows at once."""

    about: About
    paused_at: int
    draft: Draft | None
    captioned: bool
    ref: str | None
    """Of the control that asked for the reply; None: an endpoint did."""

    aloud: bool | None = None
    """Whether it is spoken; None: as the session has it."""

    is_notice: bool = False
    """Nobody asked for it: it answers nothing that was said."""


@dataclass(frozen=True, slots=True)
class Replying:
    """The reply is being given out, and played if it is spoken."""

    about: About
    turn: int
    """Which of the answered turns it is, counted from 0."""

    ref: str | None
    made: tuple[str | ToolCall | None, ...]
    """Text and calls of the speculative tokens that still have to be given out."""

    caption_due: bool
    """The last caption of what was said comes after the reply's first text, or sound."""

    said: int = 0
    """Tokens given out."""

    runs: tuple[Run, ...] = ()
    """Functions that it called, and that no client runs."""

    waits: bool = False
    """It goes on when what they give is there."""


State = Quiet | Listening | Guessed | Held | Ending | Replying
STATES = (Quiet, Listening, Guessed, Held, Ending, Replying)

# --- what can happen, besides changes of speech and controls


@dataclass(frozen=True, slots=True)
class Over:
    """The utterance is over, and has to be answered."""

    end: SpeechEnded
    commit: Commit | None = None
    """What ended it; None: silence."""


@dataclass(frozen=True, slots=True)
class OverForNow:
    """The utterance is over, and a client will ask for its reply."""

    end: SpeechEnded


@dataclass(frozen=True, slots=True)
class RecordingOver:
    """A recording has come to its end."""

    since: int
    """Its first sample."""


@dataclass(frozen=True, slots=True)
class FrameByHand:
    """A frame came while turns are ended by hand, without an endpointer."""

    at: int
    """Its first sample."""


@dataclass(frozen=True, slots=True)
class NobodyEndsIt:
    """From now on an endpointer finds turns, which were ended by hand before."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """The turn would be longer than twice the ring."""


@dataclass(frozen=True, slots=True)
class ToldToStop:
    """The utterance that is over told the assistant to be quiet."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody has spoken for `turns.idle_timeout_s` after a reply."""

    since: int
    """Sample at which the last reply had come to its end."""


@dataclass(frozen=True, slots=True)
class BargedIn:
    """Someone has spoken for long enough to interrupt a reply."""


@dataclass(frozen=True, slots=True)
class Lull:
    """Nobody speaks, no reply is on its way, and something has waited for that."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The prompt is in the KV cache, so the reply's first token can be made."""

    cached: int
    """Windows that were in it when speech ended, or when the reply was asked for."""


@dataclass(frozen=True, slots=True)
class SaidAll:
    """The last token of the reply was given out, and all of it played if it is spoken."""


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The LLM's context has no room for the turn."""

    why: str


Happening = (
    SpeechStarted
    | SpeechPaused
    | SpeechResumed
    | Over
    | OverForNow
    | BargedIn
    | ToldToStop
    | IdleTimeout
    | FrameByHand
    | TooOld
    | Ask
    | Commit
    | Hold
    | Cancel
    | Clear
    | RecordingOver
    | NobodyEndsIt
    | Lull
    | Prepared
    | SaidAll
    | NoRoom
)

# --- what is done


class Action(Enum):
    """What is done; each is a method of `Dialogue`."""

    IGNORE = "Nothing."
    CANNOT = "It cannot happen; if it did, that is an error of the program."
    OPEN = "A turn about the utterance is opened, or the last turn again after a short pause."
    GO_ON = "The turn goes on with the new utterance, or gives way to a new one if it is too long."
    GUESS = "The open block is encoded as it is, and the reply begun speculatively."
    TAKE_BACK = "The speculative reply is discarded, and the turn goes on."
    ANSWER = "The reply follows: the speculative one, or one made now."
    KEEP = "The turn is held until a client asks for its reply; its last caption is given."
    LET_PASS = "The utterance ends; no turn is about it."
    PUT_OFF = "What was said under the reply is answered after it, or was too short to count."
    WEIGH = "The words said under the reply are read: they interrupt it, or it goes on."
    DISMISS = "The turn is over without an answer, as was wished."
    INTERRUPT = "The reply ends, and a turn about what is being said is opened."
    ANSWER_SILENCE = "A turn about the silence is opened and answered."
    OPEN_BY_HAND = "A turn is opened about the audio from now on."
    GIVE_UP = "The turn is closed without an answer."
    GIVE_UP_BY_HAND = "The turn is closed without an answer if no endpointer ends it."
    ANSWER_TEXT = (
        "The question is answered, about everything in the ring; an open turn is given up."
    )
    WAIT = "It waits for quiet."
    COMMIT = "The turn is over and answered, in the words and within the limit of the commit."
    COMMIT_UNOPENED = "What waits is answered, or everything in the ring, or the commit is refused."
    COMMIT_UNDER_REPLY = (
        "The reply stops where someone speaks or turns end by hand; else it is refused."
    )
    HOLD = "The turn is over and held; if nothing was said, the hold is refused."
    HOLD_UNDER_REPLY = (
        "By hand, audio during the reply becomes a message; otherwise its endpoint does that."
    )
    REFUSE_CANCEL = "The cancel is refused: there is no reply."
    CANCEL = "The reply ends, if the cancel is about this reply."
    FORGET = "What was said is forgotten, and the turn given up."
    FORGET_HEARD = "What was said is forgotten; the reply goes on."
    HOLD_RECORDING = "The turn about the recording, and what was said before it, is held."
    TAKE_UP = (
        "What was said under a reply is answered; else what has to be told without being asked for "
        "is told; else the question that was typed first is answered."
    )
    GIVE_OUT = "The reply is given out."
    FINISH = "The reply is over; a turn about what is being said is opened."
    REFUSE_TURN = "The turn is given up, and reported as refused."


A = Action

LEADS_TO: dict[Action, tuple[type[State], ...]] = {
    A.OPEN: (Listening, Quiet),
    A.GO_ON: (Listening,),
    A.GUESS: (Guessed,),
    A.TAKE_BACK: (Listening,),
    A.ANSWER: (Ending,),
    A.KEEP: (Held,),
    A.DISMISS: (Quiet, Listening),
    A.INTERRUPT: (Listening, Guessed),
    A.ANSWER_SILENCE: (Ending, Quiet),
    A.OPEN_BY_HAND: (Listening, Quiet),
    A.GIVE_UP: (Quiet,),
    A.GIVE_UP_BY_HAND: (Quiet,),
    A.ANSWER_TEXT: (Ending, Quiet),
    A.COMMIT: (Ending, Quiet),
    A.COMMIT_UNOPENED: (Ending, Quiet),
    A.COMMIT_UNDER_REPLY: (Ending, Quiet),
    A.HOLD: (Held, Quiet),
    A.CANCEL: (Quiet, Listening, Guessed),
    A.FORGET: (Quiet, Listening, Guessed),
    A.HOLD_RECORDING: (Held, Quiet),
    A.TAKE_UP: (Ending, Quiet),
    A.GIVE_OUT: (Replying,),
    A.FINISH: (Quiet, Listening, Guessed),
    A.REFUSE_TURN: (Quiet,),
}
"""Where actions may lead, Quiet last where the LLM's context has no room for a turn, or nothing is
said; all others leave the state as it is."""

_ROWS: dict[type[Happening], tuple[Action, Action, Action, Action, Action, Action]] = {
    # Quiet, Listening, Guessed, Held, Ending, Replying
    SpeechStarted: (A.OPEN, A.IGNORE, A.CANNOT, A.GO_ON, A.IGNORE, A.IGNORE),
    SpeechPaused: (A.IGNORE, A.GUESS, A.CANNOT, A.CANNOT, A.IGNORE, A.WEIGH),
    SpeechResumed: (A.IGNORE, A.CANNOT, A.TAKE_BACK, A.CANNOT, A.IGNORE, A.IGNORE),
    Over: (A.LET_PASS, A.ANSWER, A.ANSWER, A.CANNOT, A.LET_PASS, A.PUT_OFF),
    OverForNow: (A.LET_PASS, A.KEEP, A.KEEP, A.CANNOT, A.LET_PASS, A.PUT_OFF),
    BargedIn: (A.IGNORE, A.IGNORE, A.IGNORE, A.IGNORE, A.IGNORE, A.INTERRUPT),
    ToldToStop: (*(A.CANNOT,) * 4, A.DISMISS, A.CANNOT),
    IdleTimeout: (A.ANSWER_SILENCE, A.IGNORE, A.IGNORE, A.IGNORE, A.IGNORE, A.IGNORE),
    FrameByHand: (A.OPEN_BY_HAND, A.IGNORE, A.CANNOT, A.IGNORE, A.CANNOT, A.IGNORE),
    TooOld: (A.IGNORE, A.GIVE_UP_BY_HAND, A.IGNORE, A.GIVE_UP, A.CANNOT, A.IGNORE),
    Ask: (A.ANSWER_TEXT, A.ANSWER_TEXT, A.WAIT, A.ANSWER_TEXT, A.CANNOT, A.WAIT),
    Commit: (A.COMMIT_UNOPENED, A.COMMIT, A.COMMIT, A.COMMIT, A.CANNOT, A.COMMIT_UNDER_REPLY),
    Hold: (A.HOLD, A.HOLD, A.HOLD, A.HOLD, A.CANNOT, A.HOLD_UNDER_REPLY),
    Cancel: (A.REFUSE_CANCEL,) * 4 + (A.CANNOT, A.CANCEL),
    Clear: (A.FORGET_HEARD, A.FORGET, A.FORGET, A.FORGET, A.CANNOT, A.FORGET_HEARD),
    RecordingOver: (A.HOLD_RECORDING,) * 4 + (A.CANNOT, A.WAIT),
    NobodyEndsIt: (A.IGNORE, A.GIVE_UP, A.CANNOT, A.IGNORE, A.CANNOT, A.IGNORE),
    Lull: (A.TAKE_UP, A.TAKE_UP, A.CANNOT, A.TAKE_UP, A.CANNOT, A.CANNOT),
    Prepared: (A.CANNOT, A.CANNOT, A.CANNOT, A.CANNOT, A.GIVE_OUT, A.CANNOT),
    SaidAll: (A.CANNOT, A.CANNOT, A.CANNOT, A.CANNOT, A.CANNOT, A.FINISH),
    NoRoom: (A.CANNOT, *(A.REFUSE_TURN,) * 4, A.CANNOT),
}

TABLE: dict[tuple[type[State], type[Happening]], Action] = {
    (state, happening): action
    for happening, row in _ROWS.items()
    for state, action in zip(STATES, row, strict=True)
}
"""What is done in every state when something happens."""
