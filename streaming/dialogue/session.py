"""One conversation, without I/O: bytes in, events out.

    session.receive(pcm)                             # whenever bytes arrive; cuts them into frames
    session.control(Ask("What was that?"))           # buffers too: in order with the audio
    while (events := session.step()) is not NEED_DATA:
        ...                                          # one bounded piece of work was done

There is no clock, socket or thread in here. Times are sample indices. Everything is heard, speech
or not; an utterance opens a turn about it and the seconds before it, whose windows go into the LLM
as they become final. At the soft endpoint a reply is begun in secret, at the endpoint it is given
out, and speech that goes on takes it back.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from assistant.errors import ContextFullError
from assistant.rates import SAMPLE_RATE
from streaming.audio.endpointer import Change, SpeechPaused, SpeechResumed
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.stage import Stage
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.controls import (
    Ask,
    Cancel,
    Clear,
    Commit,
    Configure,
    Control,
    Forget,
    Hold,
    Recording,
)
from streaming.dialogue.listener import Listener, SpeechFinder
from streaming.dialogue.turn import Phase, Turn
from streaming.dialogue.work import NEED_DATA, NeedData, Urgency, Work
from streaming.events import (
    Accepted,
    AudioPrefilled,
    Caption,
    Cleared,
    Configured,
    EndOfReply,
    Event,
    FellSilent,
    Held,
    Recorded,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
)

NOTHING_SAID = "there is nothing to commit: nothing was said"
NO_REPLY = "there is no reply to cancel"

SETTLED = ("ring_s", "silence_db", "turns_kept")
"""Settings of turns that are settled when a session is made."""

Pace = Callable[[int], int]
"""How many tokens may be given out after so many pieces of input: frames and controls."""


def one_each(taken: int) -> int:
    """A `Pace`: a token for each piece, 50 per second of audio."""
    return 1


class Session:
    """A conversation over one stream of audio."""

    def __init__(
        self,
        decoder: Stage[bytes, Frame],
        endpointer: SpeechFinder | None,
        listener: Listener,
        turns: TurnsConfig,
        *,
        make_endpointer: Callable[[EndpointingConfig], SpeechFinder | None],
        pace: Pace | None = None,
    ) -> None:
        """Args:
        decoder: cuts bytes into frames.
        endpointer: finds utterances; None: turns end when the client commits them.
        listener: hears and answers; owned by this session.
        turns: what belongs to a turn.
        make_endpointer: makes another one, when other settings are wished.
        pace: None: tokens come as fast as the model makes them, when nothing more urgent waits
            (live). Otherwise the reply is paced by the input, so that a whole run, interruptions
            included, is a function of it alone (replay).
        """
        self._decoder, self._endpointer = decoder, endpointer
        self._listener, self._turns = listener, turns
        self._make_endpointer, self._pace = make_endpointer, pace
        self._inbox: deque[Frame | Control] = deque()
        self._jobs: deque[tuple[Work, Callable[[], list[Event]]]] = deque()
        self._eof = False
        self._committed = False  # the utterance that ends now is answered in any case
        self._held = False  # it is not, before that is asked for
        self._turn = Turn(0, phase=Phase.CLOSED)  # the listener has it open, too, unless closed
        self._started: int | None = None  # first sample of the utterance that goes on
        self._silent = False  # it is paused
        self._answered = 0  # samples before this belong to turns that were answered
        self._last: tuple[int, int] | None = None  # begin and end of the last turn ended by silence
        self._closed = 0  # turns that were answered
        self._reply_ref: str | None = None  # of the control that asked for the reply to come
        self._given_ref: str | None = None  # of the one that asked for the reply being given
        self._questions: deque[Ask] = deque()  # typed, and waiting for quiet
        # What was said under a reply: samples it is about and is spoken from, and whether it is
        # answered without being asked for.
        self._unanswered: list[tuple[int, int, bool]] = []
        # First sample of the recording that is being given, and what it is known by.
        self._recording: tuple[int, str | None] | None = None
        self._recorded: dict[str, tuple[int, int]] = {}  # samples of recordings, by that
        self._fresh: int | None = None  # first sample since the last message, recordings apart
        self._messages: list[tuple[int, int]] = []  # samples of those that were not answered
        self._arrived = 0  # samples
        self._silent_since: int | None = None  # nobody has spoken since this reply's end
        self._by_hand_from = 0  # first sample since which turns end by hand
        self._unopened = False  # a turn by hand does not fit into the context: wait for a change
        self._untidy = True  # a closed turn may have left something to do; the beginning has
        self._allowance = 0  # tokens that may be given out before the next frame
        self.work = Work.LISTEN
        """What the last step did."""

        self.heard = 0
        """Samples looked at."""

        self.taken = 0
        """Pieces of input taken: frames and controls."""

        self.released = 0
        """Tokens given out, and ends of replies."""

    def receive(self, audio: bytes) -> None:
        """Take bytes of input, any number of them.

        Raises:
            EOFError: the input was ended before.
        """
        if self._eof:
            raise EOFError("receive() after receive_eof()")
        self._arrive(self._decoder.push(audio))

    def hear(self, frames: list[Frame]) -> None:
        """Take input that was decoded elsewhere; `at` of a frame is not looked at.

        Raises:
            EOFError: the input was ended before.
        """
        if self._eof:
            raise EOFError("hear() after receive_eof()")
        self._arrive(frames)

    def _arrive(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._inbox.append(Frame(self._arrived, frame.pcm))
            self._arrived += FRAME_SAMPLES

    def control(self, control: Control) -> None:
        """Take a client's wish, in its place between the audio before it and after it.

        Raises:
            EOFError: the input was ended before.
        """
        if self._eof:
            raise EOFError("control() after receive_eof()")
        self._inbox.append(control)

    def receive_eof(self) -> None:
        """The input ends here; an open utterance is answered."""
        if not self._eof:
            self._arrive(self._decoder.flush())
        self._eof = True

    @property
    def urgency(self) -> Urgency | None:
        """Of the next step; None when there is nothing to do before more bytes arrive."""
        if self._jobs:
            if self._turn.ending or (self._turn.replying and not self._turn.said):
                return Urgency.FIRST
            # A caption is no hurry, but what comes after it is: in one session all goes in order.
            behind = len(self._jobs) > 1 or self._inbox
            alone = self._jobs[0][0] is Work.CAPTION and not behind
            return Urgency.AHEAD if alone else Urgency.LISTEN
        if self._may_speak():
            return self._how_soon()
        if self._takes_up():
            return Urgency.FIRST
        if self._inbox or (self._eof and self._started is not None):
            return Urgency.LISTEN
        if (self._pace is None or self._eof) and self._can_speak():
            return self._how_soon()
        return Urgency.AHEAD if self._untidy else None

    def _how_soon(self) -> Urgency:
        if not self._turn.replying:
            return Urgency.AHEAD
        return Urgency.SPEAK if self._turn.said else Urgency.FIRST

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Do one bounded piece of work: a frame, a block, a prefill or a token."""
        if self._jobs:
            self.work, job = self._jobs.popleft()
            return self._do(job)
        if self._may_speak():
            self._allowance -= 1
            return self._speak()
        if self._takes_up():
            self.work = Work.CONTROL
            return self._take_up()
        if self._inbox:
            self.work = Work.LISTEN
            self.taken += 1
            self._allowance = 0 if self._pace is None else self._pace(self.taken)
            return self._take(self._inbox.popleft())
        if self._eof and self._started is not None:
            self.work = Work.LISTEN
            return self._end_utterance()
        if (self._pace is None or self._eof) and self._can_speak():
            return self._speak()
        if self._untidy:
            self.work = Work.TIDY
            self._untidy = self._listener.tidy()
            return []
        return NEED_DATA

    def _do(self, job: Callable[[], list[Event]]) -> list[Event]:
        """Do a job; a turn that the LLM's context has no room for is given up, and nothing else."""
        try:
            return job()
        except ContextFullError as full:
            ref, self._reply_ref = self._reply_ref, None
            if self._endpointer is None:
                self._answered = self.heard  # or the next turn by hand would be about it, too
            self._leave()
            return [Refused(str(full), ref, "context_full")]

    def _may_speak(self) -> bool:
        """Tokens come before more input: those of the pace or, live, those that are there."""
        if self._pace is None:
            return self._turn.replying and bool(self._turn.secret) and self._can_speak()
        # In secret one is enough: it is given out no faster, and more would keep frames waiting.
        wanted = self._turn.replying or not self._turn.secret
        return wanted and self._allowance > 0 and self._can_speak()

    # --- taking input

    def _take(self, piece: Frame | Control) -> list[Event]:
        match piece:
            case Frame():
                return self._look(piece)
            case _:
                self.work = Work.CONTROL
                return self._follow(piece)

    def _follow(self, control: Control) -> list[Event]:
        match control:
            case Ask():
                return self._question(control)
            case Cancel():
                return self._cancel(control)
            case Commit():
                return self._commit(control)
            case Hold(ref):
                return self._hold(ref)
            case Clear():
                return self._clear()
            case Recording(ref):
                return self._begin_recording(ref)
            case Configure():
                return self._configure(control)
            case Forget():
                return self._forget(control)

    def _look(self, frame: Frame) -> list[Event]:
        self.heard = frame.at + FRAME_SAMPLES
        if self._listener.hear(frame.samples()):
            self._jobs.append((Work.PREFILL, self._prefill))
        events: list[Event] = [SoundStarted(*sound) for sound in self._listener.sounds()]
        if self._recording is not None:
            return events
        if self._fresh is None:
            self._fresh = frame.at
        if self._endpointer is None:
            self._hold_turn(frame.at)
            return events
        if self._turn.waiting and self._is_too_old():
            self._leave()
        events += self._change(self._endpointer.push(frame))
        return events + self._barge_in(self._endpointer) + self._fall_silent()

    def _fall_silent(self) -> list[Event]:
        """Nobody has spoken for long: answer the silence, where that is wished."""
        since, wait = self._silent_since, self._turns.idle_timeout_s
        if since is None or wait is None or self.heard - since < wait * SAMPLE_RATE:
            return []
        self._silent_since = None
        if self._busy() or self._turn.is_open:
            return []
        self._begin(since)
        self._reply_at_once(None, None)
        self._message(since, self.heard)
        return [FellSilent(since, self.heard)]

    def _message(self, since: int, until: int) -> None:
        """Samples [since, until) wait to be answered."""
        self._messages.append((since, until))
        self._fresh = None

    def _hold_turn(self, at: int) -> None:
        """Without endpoints a turn is always open, but under a reply; it never gets too long."""
        if self._turn.is_open and not self._turn.replying and self._is_too_old():
            self._leave()
        if not self._turn.is_open and not self._unopened:
            ring = round(self._turns.ring_s * SAMPLE_RATE)
            since = max(at - ring, self._with_context(self._by_hand_from))
            spoken_from = max(self._answered, self._by_hand_from)
            self._unopened = not self._begin(since, spoken_from=spoken_from)

    def _is_too_old(self) -> bool:
        """The open turn is about more than the ring holds twice over."""
        return self.heard - self._turn.since > 2 * self._turns.ring_s * SAMPLE_RATE

    # --- what waits for quiet

    def _busy(self) -> bool:
        """Someone speaks, a recording is being given, or a reply is on its way or being given."""
        speaking = self._started is not None or self._recording is not None
        return speaking or self._turn.replying or self._turn.ending

    def _takes_up(self) -> bool:
        """Something waits for quiet, and it is quiet."""
        due = bool(self._questions) or any(answer for *_, answer in self._unanswered)
        return due and not self._busy()

    def _take_up(self) -> list[Event]:
        """Answer what was said under a reply, else the question that was typed first."""
        if not any(answer for *_, answer in self._unanswered):
            return self._typed(self._questions.popleft())
        self._go_back()
        self._reply_at_once(None, None)
        return []

    def _go_back(self) -> None:
        """Open a turn about the utterances that a reply kept waiting."""
        events = self._drop_turn()
        assert not events, "a reply was being given"
        since, spoken_from, _ = self._unanswered[0]
        self._unanswered.clear()
        self._begin(since, spoken_from=spoken_from)

    def _question(self, question: Ask) -> list[Event]:
        accepted = self._accepted(question.ref)
        if self._busy() or self._questions:
            self._questions.append(question)
            return accepted
        return accepted + self._typed(question)

    def _accepted(self, ref: str | None) -> list[Event]:
        return [] if ref is None else [Accepted(ref)]

    def _typed(self, question: Ask) -> list[Event]:
        events = self._drop_turn()
        self._begin_about_ring(question.text)
        self._reply_at_once(question.ref, question.max_new_tokens)
        return events

    def _begin_about_ring(self, instruction: str | None) -> None:
        ring = round(self._turns.ring_s * SAMPLE_RATE)
        self._begin(max(0, self.heard - ring), instruction)

    def _cancel(self, cancel: Cancel) -> list[Event]:
        for question in self._questions:
            if cancel.asked is not None and question.ref == cancel.asked:
                self._questions.remove(question)
                return [Refused("the question was taken back", question.ref, "cancelled")]
        meant = cancel.asked in (None, self._given_ref) and cancel.turn in (None, self._closed)
        if not self._turn.replying or not meant:
            return [Refused(NO_REPLY, cancel.ref)]
        events = self._stop("cancelled")
        self._turn_to_speaker()
        return events

    def _commit(self, commit: Commit) -> list[Event]:
        if self._turn.replying and self._started is None and self._endpointer is not None:
            return [Refused(NOTHING_SAID, commit.ref)]
        events = self._accepted(commit.ref)
        events += self._stop("cancelled") if self._turn.replying else []
        if not self._something_said():
            if not commit.or_ring:
                return [*events, Refused(NOTHING_SAID, commit.ref)]
            self._begin_about_ring(commit.instruction)
        elif (commit.instruction is not None or self._guessed_otherwise(commit)) and (
            refused := self._instruct(commit.instruction, commit.ref)
        ):
            return events + refused
        if not self._turn.is_open:  # the context has no room for it, which is told
            self._reply_ref = commit.ref
            return events
        if self._started is not None:
            self._committed, self._reply_ref = True, commit.ref
            self._limit(commit.max_new_tokens)
            return events + self._end_utterance()
        self._reply_at_once(commit.ref, commit.max_new_tokens)
        return events

    def _instruct(self, instruction: str | None, ref: str | None) -> list[Event]:
        """Answer the open turn in other words, or within another limit (None)."""
        self._turn.forget_reply()
        if instruction is not None:
            self._turn.prefilled.clear()
        try:
            self._listener.instruct(instruction)
        except ContextFullError as full:
            self._leave()
            return [Refused(str(full), ref, "context_full")]
        return []

    def _guessed_otherwise(self, commit: Commit) -> bool:
        """A reply was begun in secret, and not with the limit that is wished now."""
        return commit.max_new_tokens is not None and self._turn.windows is not None

    def _limit(self, max_new_tokens: int | None) -> None:
        if max_new_tokens is not None:
            self._listener.limit(max_new_tokens)

    def _begin_recording(self, ref: str | None) -> list[Event]:
        events = self._end_utterance() if self._started is not None else []
        self._recording = self.heard, ref
        return events

    def _end_recording(self) -> list[Event]:
        """What was recorded waits to be asked for, with whatever else does."""
        assert self._recording is not None
        (at, ref), self._recording = self._recording, None
        self._messages.append((at, self.heard))
        if ref is not None:
            self._recorded[ref] = at, self.heard
        if self._turn.is_open and not self._busy() and self._is_too_old():
            self._leave()
        if self._busy():
            self._unanswered.append((at, at, False))
        elif self._turn.is_open or self._begin(at, spoken_from=at):
            self._hold_open_turn()
        return [Recorded(at, self.heard, ref)]

    def _hold(self, ref: str | None) -> list[Event]:
        if self._recording is not None:
            return self._end_recording()
        if self._endpointer is None:
            return self._hold_by_hand(ref)
        if self._turn.replying:
            return []  # what is said under a reply is a turn when the reply is over
        if not self._something_said():
            return [Refused(NOTHING_SAID, ref, "nothing_said")]
        if self._started is not None:
            self._held = True
            return self._end_utterance()
        self._hold_open_turn()
        return []

    def _hold_by_hand(self, ref: str | None) -> list[Event]:
        """What was given since the last message is one now."""
        since, replying = self._fresh, self._turn.replying
        if since is None or not (replying or self._something_said()):
            return [Refused(NOTHING_SAID, ref, "nothing_said")]
        self._message(since, self.heard)
        if not replying:  # what was given under a reply is a turn when the reply is over
            self._hold_open_turn()
        return [Held(since, self.heard, ref)]

    def _hold_open_turn(self) -> None:
        """The open turn is about all that was heard until now, and waits to be asked for."""
        if self._turn.waiting:
            self._resume()
        self._jobs.append((Work.ENCODE, self._pause))
        self._wait()

    def _something_said(self) -> bool:
        """Whether a turn is open, or can be, about what was not answered yet."""
        self._turn_to_speaker()
        if self._unanswered and self._started is None:
            self._go_back()
        if not self._turn.is_open and self._endpointer is None and self.heard > self._answered:
            self._hold_turn(self.heard)
        return self._turn.is_open

    def _clear(self) -> list[Event]:
        since, self._answered, self._last = self._answered, self.heard, None
        self._unanswered.clear()
        self._messages.clear()
        self._fresh = None
        self._unopened = False
        if self._turn.is_open and not self._turn.replying:
            self._leave()
            self._turn_to_speaker()
        self._listener.unhear(since, self.heard)
        return [Cleared(self.heard)]

    def _configure(self, wanted: Configure) -> list[Event]:
        events: list[Event] = []
        turns, self._unopened = wanted.turns, False
        self._listener.configure(
            wanted.instruction,
            wanted.max_new_tokens,
            None if turns is None else turns.captions,
            None if turns is None else turns.sound_events,
            wanted.temperature,
            wanted.top_p,
        )
        self._untidy = self._untidy or not self._turn.is_open
        if turns is not None:
            settled = {name: getattr(self._turns, name) for name in SETTLED}
            self._turns = turns.model_copy(update=settled)
        if wanted.endpointing is not None:
            if self._started is not None:
                events = self._end_utterance()
            if self._endpointer is None and self._turn.phase is Phase.OPEN:
                self._leave()  # nobody would end it
            if self._endpointer is not None:
                self._by_hand_from = self.heard
            self._endpointer = self._make_endpointer(wanted.endpointing)
        return [*events, Configured()]

    def _forget(self, wanted: Forget) -> list[Event]:
        if wanted.turn is not None:
            self._listener.forget(wanted.turn, wanted.part)
            self._untidy = self._untidy or not self._turn.is_open
        spans = [(wanted.since, wanted.until)]
        if wanted.ref is not None and wanted.ref in self._recorded:
            spans.append(self._recorded.pop(wanted.ref))
        for since, until in spans:
            if until > since:
                self._unsay(since, until)
        return []

    def _unsay(self, since: int, until: int) -> None:
        """Samples [since, until) are not looked at any more, and not answered if nothing else is
        left that would be."""
        if (since, until) in self._messages:
            self._messages.remove((since, until))
            going_on = self._started if self._endpointer is not None else self._fresh
            if not self._messages and going_on is None:
                self._clear()
        self._listener.unhear(since, until)

    def _drop_turn(self) -> list[Event]:
        """Close the open turn, answered or not."""
        if self._turn.replying:
            return self._stop("cancelled")
        if self._turn.is_open:
            self._leave()
        return []

    def _reply_at_once(self, ref: str | None, max_new_tokens: int | None) -> None:
        self._reply_ref, self._last, self._silent_since = ref, None, None
        if not self._turn.is_open:
            return  # the context has no room for it, which is told
        self._limit(max_new_tokens)
        if not self._turn.waiting:  # otherwise it was paused at its endpoint
            self._jobs.append((Work.ENCODE, self._pause))
        self._jobs += [
            (Work.ASK, self._ask),
            (Work.DECODE, partial(self._publish, self._turn.windows_prefilled(self.heard))),
        ]
        self._turn.phase = Phase.ENDING

    # --- hearing

    def _end_utterance(self) -> list[Event]:
        assert self._endpointer is not None
        return self._change(self._endpointer.flush())

    def _change(self, changes: list[Change]) -> list[Event]:
        events: list[Event] = []
        for change in changes:
            match change:
                case SpeechStarted(at):
                    events.append(change)
                    self._started, self._silent, self._silent_since = at, False, None
                    if not self._turn.is_open:
                        self._begin_at(at)
                    elif self._turn.waiting:
                        self._go_on(at)
                case SpeechPaused():
                    self._silent = True
                    if self._turn.may_go_on:
                        self._guess()
                case SpeechResumed():
                    self._silent = False
                    if self._turn.may_go_on:
                        self._resume()
                case SpeechEnded(at):
                    kept = self._keep(at)
                    events.append(replace(change, kept=kept))
                    assert self._started is not None
                    if kept:
                        self._message(self._started, at)
                    self._started = None
        return events

    def _keep(self, speech_end: int) -> bool:
        """An utterance is over; whether it is a turn, or will be."""
        if self._turn.may_go_on:
            self._end_turn(speech_end)
        elif self._turn.replying and self._turns.barge_in_frames is None:
            assert self._started is not None
            begun = self._started
            self._unanswered.append((self._with_context(begun), begun, self._answers()))
        elif self._turn.replying:
            return False
        return True

    def _answers(self) -> bool:
        """Whether the utterance that ends now is answered without being asked for."""
        return self._committed or (self._turns.auto_reply and not self._held)

    def _go_on(self, at: int) -> None:
        """Someone speaks again before the turn was answered: it goes on, if it is not too old."""
        if self._too_far(self._turn.since, at):
            self._leave()
            self._begin_at(at)
        else:
            self._turn.phase = Phase.OPEN
            self._jobs.clear()  # a pause that was not made yet must not be
            self._resume()

    def _too_far(self, begun: int, at: int) -> bool:
        """A turn with both would be about more than the ring holds."""
        return at - begun >= self._turns.ring_s * SAMPLE_RATE

    def _end_turn(self, speech_end: int) -> None:
        """The utterance is over: answer, or wait until that is asked for."""
        if self._answers():
            self._turn.phase = Phase.ENDING
            self._last = None if self._committed else (self._turn.since, speech_end)
            if self._turn.windows is None:  # otherwise that was done in secret
                self._jobs.append((Work.ASK, self._ask))
            cached = self._turn.windows_prefilled(speech_end)
            self._jobs.append((Work.DECODE, partial(self._publish, cached)))
        else:
            self._wait()
        self._committed = self._held = False

    def _wait(self) -> None:
        """The turn is over; its answer will be asked for."""
        self._turn.phase = Phase.WAITING
        if self._turns.captions and not self._turn.last_caption_given:
            self._turn.last_caption_given = True
            self._jobs.append((Work.CAPTION, partial(self._caption, last=True)))

    def _guess(self) -> None:
        """The utterance may be over: all but the prompt's end is computed while that is unsure."""
        self._jobs += [(Work.ENCODE, self._pause), (Work.PREFILL, self._prefill_ahead)]
        if self._turns.speculate and self._turns.auto_reply:
            self._jobs.append((Work.ASK, self._ask))

    def _begin_at(self, at: int) -> None:
        """Begin the turn of an utterance: a new one, or the last one again."""
        if self._last is not None:
            begun, end = self._last
            if 0 < at - end <= self._turns.rejoin_s * SAMPLE_RATE and not self._too_far(begun, at):
                # What was taken for an end was a pause: there has been no turn yet.
                self._listener.forget(self._closed - 1, "question")
                self._listener.forget(self._closed - 1, "answer")
                self._begin(begun, spoken_from=at)
                return
        self._begin(self._with_context(at), spoken_from=at)

    def _with_context(self, at: int) -> int:
        """First sample that an utterance's turn is about."""
        return max(self._answered, at - round(self._turns.context_s * SAMPLE_RATE), 0)

    def _begin(
        self, since: int, instruction: str | None = None, spoken_from: int | None = None
    ) -> bool:
        """Open a turn; whether the LLM's context has room for it, otherwise that is told."""
        try:
            waiting = self._listener.open(since, instruction, spoken_from)
        except ContextFullError as full:
            self._jobs.append((Work.CONTROL, partial(self._refuse_turn, str(full))))
            return False
        self._turn, self._untidy = Turn(since, spoken_from), False
        if waiting:
            self._jobs.append((Work.PREFILL, self._prefill))
        return True

    def _refuse_turn(self, why: str) -> list[Event]:
        ref, self._reply_ref = self._reply_ref, None
        return [Refused(why, ref, "context_full")]

    def _prefill(self) -> list[Event]:
        done = AudioPrefilled(self.heard, self._listener.prefill())
        self._turn.prefilled.append(done)
        if self._turns.captions and not self._turn.ending:
            self._jobs.append((Work.CAPTION, self._caption))
        return [done]

    def _prefill_ahead(self) -> list[Event]:
        self._listener.prefill()
        return []

    def _caption(self, *, last: bool = False) -> list[Event]:
        found = self._listener.caption(last=last)
        if found is None or not (last or any(found)):
            return []
        return [Caption(*found, last, self._turn.spoken_from or 0)]

    def _pause(self) -> list[Event]:
        self._listener.pause()
        self._turn.paused_at = self.heard
        return []

    def _last_caption(self) -> list[Event]:
        if not self._turn.caption_due:
            return []
        self._turn.caption_due = False
        return self._caption(last=True)

    def _resume(self) -> None:
        self._turn.take_back()
        if self._listener.resume():
            self._jobs.append((Work.PREFILL, self._prefill))

    # --- answering

    def _ask(self) -> list[Event]:
        if self._turn.windows is None:
            self._turn.windows = self._listener.ask()
        return []

    def _publish(self, cached: int) -> list[Event]:
        """The endpoint is certain: give out the reply, and what of it is there already."""
        assert self._turn.windows is not None
        self._turn.phase, self._answered = Phase.REPLYING, self._turn.paused_at
        self._turn.caption_due = self._turns.captions and not self._turn.last_caption_given
        text_tokens = self._listener.text_tokens()
        self._given_ref, self._reply_ref = self._reply_ref, None
        self._messages.clear()
        return [
            ReplyStarted(self._turn.windows, text_tokens, cached, self._given_ref, self._closed)
        ]

    def _can_speak(self) -> bool:
        if self._turn.replying:  # held while someone speaks, who may be interrupting
            return self._started is None or self._turns.barge_in_frames is None
        return self._turn.windows is not None and not self._turn.finished

    def _speak(self) -> list[Event]:
        self.work = Work.DECODE
        secret = self._turn.secret
        if not self._turn.replying:
            secret.append(self._listener.token())
            return []
        return self._say(secret.popleft() if secret else self._listener.token())

    def _say(self, text: str | None) -> list[Event]:
        self.released += 1
        if text is None:
            events = self._stop("limit" if self._listener.cut_short() else "complete")
            self._turn_to_speaker()
            return events
        self._turn.said += 1
        if self._turn.caption_due and text and not self._jobs:  # never before the first text
            self._jobs.append((Work.CAPTION, self._last_caption))
        return [ReplyDelta(text)] if text else []

    def _stop(self, reason: EndOfReply) -> list[Event]:
        events = self._last_caption()
        self._listener.close(None if reason in ("complete", "limit") else self._turn.said)
        self._closed += 1
        self._silent_since = self.heard if self._started is None else None
        self._over()
        return [*events, ReplyEnded(self._turn.said, reason)]

    def _leave(self) -> None:
        """Close a turn that was not answered."""
        self._listener.drop()
        self._over()

    def _over(self) -> None:
        """The turn is closed, with what was still to be done for it."""
        self._untidy = True
        self._turn.close()
        self._jobs.clear()

    def _barge_in(self, endpointer: SpeechFinder) -> list[Event]:
        """Speech under a reply: long enough, it interrupts."""
        enough = self._turns.barge_in_frames
        if not self._turn.replying or self._started is None or enough is None:
            return []
        if endpointer.speech_end - self._started < enough * FRAME_SAMPLES:
            return []
        events = self._stop("interrupted")
        self._turn_to_speaker()
        return events

    def _turn_to_speaker(self) -> None:
        """What someone says under a reply that is over is a turn from here on, with what was said
        under it before."""
        if self._started is not None and not self._turn.is_open:
            at = min([self._started, *(begin for _, begin, _ in self._unanswered)])
            self._unanswered.clear()
            self._begin_at(at)
            if self._silent:
                self._guess()
