"""One conversation, without I/O: bytes in, events out.

    session.receive(pcm)                             # whenever bytes arrive; only buffers
    while (events := session.step()) is not NEED_DATA:
        ...                                          # one bounded piece of work was done

There is no clock, socket or thread in here. Times are sample indices. Everything is heard, speech
or not; an utterance opens a turn about it and the seconds before it, whose windows go into the LLM
as they become final. At the soft endpoint a reply is begun in secret, at the endpoint it is given
out, and speech that goes on takes it back.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, IntEnum
from functools import partial
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.config import TurnsConfig
from streaming.events import (
    AudioPrefilled,
    Caption,
    Event,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SpeechEnded,
    SpeechStarted,
)
from streaming.frames import FRAME_SAMPLES, SAMPLE_RATE, Frame
from streaming.stage import Stage
from streaming.vad import Change, SpeechPaused, SpeechResumed


class _NeedData(Enum):
    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = _NeedData.NEED_DATA
"""Returned by `Session.step` when nothing can be done before more bytes arrive."""


class Work(Enum):
    """What a step did; a shell that has a clock can tell where time goes."""

    LISTEN = "listen"
    """A frame, and the block it completed."""

    ENCODE = "encode"
    """The open block, at a pause."""

    PREFILL = "prefill"
    DECODE = "decode"
    CAPTION = "caption"


class Urgency(IntEnum):
    """How long a session's next step can wait; the least waits least."""

    LISTEN = 0
    """Audio is there: what is not heard in time makes everything late."""

    FIRST = 1
    """The user is done, and no text was given out yet."""

    SPEAK = 2
    """More of a reply that is being given out."""

    AHEAD = 3
    """What is done in secret, and captions."""


class Listener(Protocol):
    """The model's side of one conversation; implemented in `assistant`.

    Only arrays, numbers and strings cross this line.
    """

    def hear(self, samples: NDArray[np.float32]) -> int:
        """Take samples of the stream; windows of the open turn that wait to be prefilled."""

    def open(
        self, since: int, instruction: str | None = None, spoken_from: int | None = None
    ) -> int:
        """Begin a turn about what was heard from sample `since` on; windows that wait."""

    def prefill(self) -> int:
        """Put the waiting windows into the KV cache; windows of the turn in it now."""

    def pause(self) -> int:
        """The turn may be over: encode the block that is open, for now; its windows."""

    def resume(self) -> int:
        """It was not over: take back what `pause`, `ask` and `token` did; windows that wait."""

    def ask(self) -> int:
        """Prefill what is missing and the rest of the prompt; windows of the turn."""

    def token(self) -> str | None:
        """Text of the reply's next token, maybe empty; None when it is complete."""

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        """Text of the turn that came to be settled, and what follows it for now."""

    def close(self, said: int | None = None) -> None:
        """The turn is over; of an interrupted reply `said` tokens were given out."""


class SpeechFinder(Stage[Frame, Change], Protocol):
    """Finds utterances."""

    speech_end: int
    """One past the last sample of speech."""


class Session:
    """A conversation over one stream of audio."""

    def __init__(
        self,
        decoder: Stage[bytes, Frame],
        endpointer: SpeechFinder,
        listener: Listener,
        turns: TurnsConfig,
        *,
        tokens_per_frame: int | None = None,
    ) -> None:
        """Args:
        decoder: cuts bytes into frames.
        endpointer: finds utterances.
        listener: hears and answers; owned by this session.
        turns: what belongs to a turn.
        tokens_per_frame: None: tokens come as fast as the model makes them, when nothing more
            urgent waits (live). A number paces the reply by the audio clock, so that a whole run,
            interruptions included, is a function of the samples alone (replay).
        """
        self._decoder, self._endpointer = decoder, endpointer
        self._listener, self._turns = listener, turns
        self._pace = tokens_per_frame
        self._frames: deque[Frame] = deque()
        self._jobs: deque[tuple[Work, Callable[[], list[Event]]]] = deque()
        self._eof = False
        self._heard = 0  # samples
        self._open = False  # the listener has an open turn
        self._started: int | None = None  # first sample of the utterance that goes on
        self._answered = 0  # samples before this belong to turns that were answered
        self._prefilled: list[AudioPrefilled] = []  # of the open turn
        self._windows: int | None = None  # of the turn, once the reply was asked for
        self._paused_at = 0  # samples heard when the open turn was paused last
        self._ending = False  # the turn has come to its end, its reply follows
        self._public = False  # the reply is being given out
        self._caption_due = False  # the last caption of the turn was not given
        self._secret: deque[str | None] = deque()  # of the reply, made but not given out
        self._said = 0  # tokens given out
        self._allowance = 0  # tokens that may be given out before the next frame
        self.work = Work.LISTEN
        """What the last step did."""

    def receive(self, audio: bytes) -> None:
        """Take bytes of input, any number of them.

        Raises:
            EOFError: the input was ended before.
        """
        if self._eof:
            raise EOFError("receive() after receive_eof()")
        self._frames.extend(self._decoder.push(audio))

    def receive_eof(self) -> None:
        """The input ends here; an open utterance is answered."""
        if not self._eof:
            self._frames.extend(self._decoder.flush())
        self._eof = True

    def ask(self, text: str) -> list[Event]:
        """A typed question, about everything in the ring; takes the place of a reply under way.

        Raises:
            ValueError: an utterance goes on, whose turn has not come to its end.
        """
        if self._started is not None:
            raise ValueError("someone is speaking: a typed question must wait for the endpoint")
        events = self.cancel()
        ring = round(self._turns.ring_s * SAMPLE_RATE)
        self._begin(max(0, self._heard - ring), text)
        self._jobs += [
            (Work.ENCODE, self._pause),
            (Work.PREFILL, self._ask),
            (Work.DECODE, partial(self._publish, self._heard)),
        ]
        self._ending = True
        return events

    def cancel(self) -> list[Event]:
        """Stop the reply, given out or about to be; what was given out of it stays said."""
        if not self._public and not self._ending:
            return []
        events = self._stop("cancelled") if self._public else []
        if self._open:
            self._leave(said=0)
        self._turn_to_speaker()
        return events

    @property
    def urgency(self) -> Urgency | None:
        """Of the next step; None when there is nothing to do before more bytes arrive."""
        if self._jobs:
            if self._ending or (self._public and not self._said):
                return Urgency.FIRST
            return Urgency.AHEAD if self._jobs[0][0] is Work.CAPTION else Urgency.LISTEN
        if self._allowance > 0 and self._can_speak():
            return self._how_soon()
        if self._frames or (self._eof and self._started is not None):
            return Urgency.LISTEN
        if (self._pace is None or self._eof) and self._can_speak():
            return self._how_soon()
        return None

    def _how_soon(self) -> Urgency:
        if not self._public:
            return Urgency.AHEAD
        return Urgency.SPEAK if self._said else Urgency.FIRST

    def step(self) -> list[Event] | Literal[_NeedData.NEED_DATA]:
        """Do one bounded piece of work: a frame, a block, a prefill or a token."""
        if self._jobs:
            self.work, job = self._jobs.popleft()
            return job()
        if self._allowance > 0 and self._can_speak():
            self._allowance -= 1
            return self._speak()
        if self._frames:
            self._allowance = self._pace or 0
            self.work = Work.LISTEN
            return self._look(self._frames.popleft())
        if self._eof and self._started is not None:
            self.work = Work.LISTEN
            return self._change(self._endpointer.flush())
        if (self._pace is None or self._eof) and self._can_speak():
            return self._speak()
        return NEED_DATA

    # --- hearing

    def _look(self, frame: Frame) -> list[Event]:
        self._heard = frame.at + FRAME_SAMPLES
        if self._listener.hear(frame.samples()):
            self._jobs.append((Work.PREFILL, self._prefill))
        return self._change(self._endpointer.push(frame)) + self._barge_in()

    def _change(self, changes: list[Change]) -> list[Event]:
        events: list[Event] = []
        for change in changes:
            match change:
                case SpeechStarted(at):
                    events.append(change)
                    self._started = at
                    if not self._open:
                        self._begin(self._since(at), spoken_from=at)
                case SpeechPaused() if self._turn_goes_on():
                    self._jobs.append((Work.ENCODE, self._pause))
                    if self._turns.speculate:
                        self._jobs.append((Work.PREFILL, self._ask))
                case SpeechResumed() if self._turn_goes_on():
                    self._resume()
                case SpeechEnded(at):
                    events.append(change)
                    if self._turn_goes_on():
                        self._ending = True
                        self._jobs.append((Work.PREFILL, self._ask))
                        self._jobs.append((Work.DECODE, partial(self._publish, at)))
                    self._started = None
                case _:
                    pass
        return events

    def _turn_goes_on(self) -> bool:
        """The utterance has a turn: it is no noise under a reply."""
        return self._open and not self._public and not self._ending

    def _since(self, at: int) -> int:
        context = round(self._turns.context_s * SAMPLE_RATE)
        return max(self._answered, at - context, 0)

    def _begin(
        self, since: int, instruction: str | None = None, spoken_from: int | None = None
    ) -> None:
        self._open, self._windows, self._said = True, None, 0
        self._prefilled.clear()
        if self._listener.open(since, instruction, spoken_from):
            self._jobs.append((Work.PREFILL, self._prefill))

    def _prefill(self) -> list[Event]:
        done = AudioPrefilled(self._heard, self._listener.prefill())
        self._prefilled.append(done)
        if self._turns.captions and not self._ending:
            self._jobs.append((Work.CAPTION, self._caption))
        return [done]

    def _caption(self, *, last: bool = False) -> list[Event]:
        found = self._listener.caption(last=last)
        if found is None or not (last or any(found)):
            return []
        return [Caption(*found, last)]

    def _pause(self) -> list[Event]:
        self._listener.pause()
        self._paused_at = self._heard
        return []

    def _last_caption(self) -> list[Event]:
        if not self._caption_due:
            return []
        self._caption_due = False
        return self._caption(last=True)

    def _resume(self) -> None:
        self._windows = None
        self._secret.clear()
        if self._listener.resume():
            self._jobs.append((Work.PREFILL, self._prefill))

    # --- answering

    def _ask(self) -> list[Event]:
        if self._windows is None:
            self._windows = self._listener.ask()
        return []

    def _publish(self, speech_end: int) -> list[Event]:
        """The endpoint is certain: give out the reply, and what of it is there already."""
        assert self._windows is not None
        self._public, self._ending, self._answered = True, False, self._paused_at
        self._caption_due = self._turns.captions
        before = [p.windows for p in self._prefilled if p.at <= speech_end]
        events: list[Event] = [ReplyStarted(self._windows, max(before, default=0))]
        while self._secret and self._pace is None:
            events += self._say(self._secret.popleft())
        return events

    def _can_speak(self) -> bool:
        if self._public:
            return self._started is None  # otherwise it is held: the user may be interrupting
        finished = bool(self._secret) and self._secret[-1] is None
        return self._windows is not None and not finished

    def _speak(self) -> list[Event]:
        self.work = Work.DECODE
        if not self._public:
            self._secret.append(self._listener.token())
            return []
        return self._say(self._secret.popleft() if self._secret else self._listener.token())

    def _say(self, text: str | None) -> list[Event]:
        if text is None:
            return self._stop("complete")
        self._said += 1
        if self._caption_due and text and not self._jobs:  # never before the first text
            self._jobs.append((Work.CAPTION, self._last_caption))
        return [ReplyDelta(text)] if text else []

    def _stop(self, reason: Literal["complete", "interrupted", "cancelled"]) -> list[Event]:
        events = self._last_caption()
        self._leave(None if reason == "complete" else self._said)
        return [*events, ReplyEnded(self._said, reason)]

    def _leave(self, said: int | None) -> None:
        """Close the turn, with what was still to be done for it."""
        self._listener.close(said)
        self._open = self._public = self._ending = False
        self._windows = None
        self._jobs.clear()
        self._secret.clear()

    def _barge_in(self) -> list[Event]:
        """Speech under a reply: long enough, it interrupts."""
        if not self._public or self._started is None:
            return []
        spoken = self._endpointer.speech_end - self._started
        if spoken < self._turns.barge_in_frames * FRAME_SAMPLES:
            return []
        events = self._stop("interrupted")
        self._turn_to_speaker()
        return events

    def _turn_to_speaker(self) -> None:
        """What someone says under a reply that is stopped is a turn from here on."""
        if self._started is not None:
            self._begin(self._since(self._started), spoken_from=self._started)
