"""The events that a session reports. They are immutable; times are sample indices into its input,
at 16 kHz."""

from dataclasses import dataclass
from typing import Literal

from assistant.voice.voice import SpokenWord

Runner = Literal["client", "session", "shell"]
"""Who runs a function."""

EndOfReply = Literal["complete", "limit", "interrupted", "cancelled"]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Someone began to speak."""

    at: int
    """First sample of speech."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Someone stopped speaking, and the utterance is over."""

    at: int
    """One past the last sample of speech."""

    decided_at: int
    """Sample at which the endpoint was decided, after `endpointing.min_silence_frames` of silence,
    or as many as the judgement of the pause asked for."""

    kept: bool = True
    """Whether the utterance belongs to a turn. False: it was said during a reply, was too short to
    interrupt it, and is not answered."""


@dataclass(frozen=True, slots=True)
class Dismissed:
    """What was said told the assistant to be quiet (`turns.stop_words`): its turn is over, and not
    answered."""

    at: int
    """Samples of the session's input heard when it happened."""


@dataclass(frozen=True, slots=True)
class FellAsleep:
    """From here on nobody is listened to until the wake word is said; all is heard."""

    at: int
    """Sample from which on that is so."""

    phrase: str
    """What has to be said."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The wake word was said, or a reply begins: whoever speaks is listened to."""

    at: int
    """Sample from which on that is so."""


@dataclass(frozen=True, slots=True)
class HeldByHand:
    """The client ended a turn by hand, with a `Hold`; the turn waits for a `Commit`."""

    since: int
    """First sample of the turn."""

    until: int
    """One past the last sample of the turn."""

    ref: str | None = None
    """The `ref` of the `Hold`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording came to its end; it is a turn that waits for a `Commit`."""

    since: int
    """First sample of the recording."""

    until: int
    """One past the last sample of the recording."""

    ref: str | None = None
    """The `ref` of the `Recording`."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """A `Clear` was carried out: speech before it that was not answered never will be."""

    until: int
    """One past the last sample that will not be answered."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A `Configure` was carried out: its settings hold for everything reported after this."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A control asked for a reply, which will be given or refused."""

    ref: str
    """The `ref` of that control."""


@dataclass(frozen=True, slots=True)
class FellSilent:
    """Nobody has spoken for `turns.idle_timeout_s` after a reply; a reply to the silence
    follows."""

    since: int
    """Sample at which the last reply ended."""

    at: int
    """Samples of the session's input heard when it happened."""


@dataclass(frozen=True, slots=True)
class AudioPrefilled:
    """Windows became final, and their audio tokens were prefilled into the LLM's KV cache."""

    at: int
    """Samples of the session's input heard when it happened."""

    windows: int
    """Windows of this turn that are now in the cache."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A piece of the transcript of what is being said."""

    settled: str
    """Text that no longer changes; it continues the settled text of this turn's last caption."""

    tentative: str
    """Text after `settled` that may still change; the next caption replaces it."""

    last: bool
    """Whether this is the last caption of the utterance."""

    since: int = 0
    """First sample of speech in its turn."""


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply begins."""

    windows: int
    """Windows of sound that the reply is about."""

    text_tokens: int
    """LLM tokens of the prompt around the windows' audio tokens."""

    prefilled_before_end: int
    """How many of the windows were in the KV cache when speech ended, or when the reply was asked
    for."""

    ref: str | None = None
    """The `ref` of the control that asked for the reply; None: an endpoint started it."""

    turn: int = 0
    """Index of the turn among the answered turns, from 0."""

    answers: tuple[str, ...] = ()
    """What was written and is answered by it, by the `ref` of each."""

    tools: tuple[str, ...] = ()
    """Names of the functions that it may call."""


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """The next piece of the reply, spoken. All pieces together say all of its text."""

    text: str
    """The piece, as it was given out before."""

    pcm: bytes
    """24 kHz, 16-bit little-endian, mono; empty where there is nothing to say."""

    words: tuple[SpokenWord, ...]
    """Where its words are in the samples."""


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The reply calls a function. Its text came before."""

    id: str
    """By which its result is told apart from those of other calls."""

    name: str
    """Of the function."""

    arguments: str
    """A JSON object that fits the function's schema, as text."""

    by: Runner = "client"
    """Who runs it. client: whoever declared it. session: the session, at once. shell: the program
    around the session, which gives an `Outcome`; the reply waits for that."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """What came of a call that no client runs; the reply goes on with that."""

    id: str
    """Of the call."""

    output: str
    """JSON, as text."""


@dataclass(frozen=True, slots=True)
class Notified:
    """Something has to be told that nobody asked for just now: a timer rings, or a sound came that
    was waited for. A reply says it when nobody speaks."""

    at: int
    """Samples of the session's input heard when it happened."""

    kind: str
    """`timer`, `alarm` or `watch`."""

    name: str
    """Of the timer, or of the sound; may be empty."""

    text: str
    """What will be said."""

    ref: str
    """The `ref` of the reply that says it."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is over: all of it was given out, and played if it is spoken; or it was stopped."""

    tokens: int
    """LLM tokens that were given out."""

    reason: EndOfReply
    """complete: the LLM ended it. limit: it reached its limit of tokens, or the LLM's context is
    full. interrupted: someone spoke. cancelled: the client cancelled it."""


@dataclass(frozen=True, slots=True)
class SoundStarted:
    """A sound that is not speech began."""

    at: int
    """First sample of the stretch in which it was heard: a block, or the windows of a block that
    the tagger found it in."""

    until: int
    """One past the last sample of that stretch."""

    name: str
    """Class of the sound."""

    probability: float
    """How sure the tagger is of the class, 0 to 1."""


Refusal = Literal["nothing_to_do", "nothing_said", "cancelled", "context_full"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A control could not be carried out, or a turn could not be answered; nothing else changed."""

    why: str
    """The reason, in a sentence."""

    ref: str | None = None
    """The `ref` of the control; None: an endpoint asked for the reply."""

    code: Refusal = "nothing_to_do"
    """nothing_to_do: there is nothing that the control could apply to. nothing_said: a `Hold` came,
    but nobody had spoken since the last turn. cancelled: a question was cancelled while it waited.
    context_full: the question is longer than the LLM's context."""


Event = (
    SpeechStarted
    | SpeechEnded
    | Dismissed
    | FellAsleep
    | Woken
    | HeldByHand
    | Recorded
    | Cleared
    | Configured
    | Accepted
    | FellSilent
    | AudioPrefilled
    | Caption
    | ReplyStarted
    | ReplyDelta
    | ReplyAudio
    | ToolCalled
    | ToolReturned
    | Notified
    | ReplyEnded
    | SoundStarted
    | Refused
)
