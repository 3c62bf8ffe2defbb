"""One conversation, without I/O: bytes in, events out.

    session.receive(pcm)                             # whenever bytes arrive; cuts them into frames
    session.control(Ask("What was that?"))           # buffers too: in order with the audio
    while (events := session.step()) is not NEED_DATA:
        ...                                          # one bounded piece of work was done

There is no clock, socket or thread in here. Times are sample indices. A session works in small
steps, in an order that `Dialogue` decides.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from assistant.errors import ContextFullError
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.stage import Stage
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.controls import Control, Outcome
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.dialogue import Dialogue
from streaming.dialogue.listener import Listener, SpeechFinder
from streaming.dialogue.turn import Ending, Guessed, Held, Lull, NoRoom, Replying, SaidAll
from streaming.dialogue.wakefulness import Wakefulness
from streaming.dialogue.work import NEED_DATA, NeedData, Pace, Urgency, Work
from streaming.events import Event


def one_each(taken: int) -> int:
    """A `Pace`: one token per piece of input, 50 per second of audio."""
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
        aloud: Aloud | None = None,
        wakefulness: Wakefulness | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Args:
        decoder: cuts bytes into frames.
        endpointer: finds utterances; None: turns end when the client commits them.
        listener: hears and answers; owned by this session.
        turns: what belongs to a turn.
        make_endpointer: makes another one, when other settings are wished.
        aloud: speaks replies; owned by this session. None: replies are text.
        wakefulness: whether it sleeps until a word is said; owned by this session. None: never.
        pace: None: tokens come as fast as the model makes them, when nothing more urgent waits
            (live). Otherwise the reply is paced by the input, so that a whole run, interruptions
            included, is a function of it alone (replay).
        """
        self._decoder, self._listener, self._pace = decoder, listener, pace
        speaks = aloud or Aloud(None)
        awake = wakefulness or Wakefulness()
        self._dialogue = Dialogue(endpointer, listener, turns, speaks, make_endpointer, awake)
        self._actions, self._floor = self._dialogue.actions, self._dialogue.floor
        self._inbox: deque[Frame | Control] = deque()
        self._arrived = 0  # samples
        self._eof = False
        self._allowance = 0  # tokens that may be given out before the next frame
        self.work = Work.LISTEN
        """The kind of work of the last step."""

        self.taken = 0
        """Number of pieces of input processed: frames and controls."""

    @property
    def heard(self) -> int:
        """Number of samples processed."""
        return self._floor.heard

    @property
    def released(self) -> int:
        """Tokens given out, clauses spoken, and ends of replies."""
        return self._floor.released

    def at_pace(self, pace: Pace | None) -> None:
        """Go on at another pace; see `Session`. Live from here on, where it is None."""
        self._pace, self._allowance = pace, 0

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
            EOFError: the input was ended before, and it is no `Outcome`.
        """
        if self._eof and not isinstance(control, Outcome):
            raise EOFError("control() after receive_eof()")
        self._inbox.append(control)

    def receive_eof(self) -> None:
        """The input ends here; an open utterance is answered."""
        if not self._eof:
            self._arrive(self._decoder.flush())
        self._eof = True

    @property
    def urgency(self) -> Urgency | None:
        """Urgency of the next step; None if there is nothing to do before more bytes arrive."""
        jobs, state = self._floor.jobs, self._floor.state
        if jobs:
            if isinstance(state, Ending) or (isinstance(state, Replying) and not state.said):
                return Urgency.FIRST
            # A caption is no hurry, but what comes after it is: in one session all goes in order.
            behind = any(work not in (Work.CAPTION, Work.DRAFT) for work, _ in jobs) or self._inbox
            return Urgency.LISTEN if behind else Urgency.AHEAD
        if self._may_speak():
            return self._how_soon()
        if self._dialogue.is_due:
            return Urgency.FIRST
        if self._inbox or (self._eof and self._floor.speaker is not None):
            return Urgency.LISTEN
        if (self._pace is None or self._eof) and self._floor.can_speak:
            return self._how_soon()
        if self._plays_on:
            return Urgency.SPEAK
        return Urgency.AHEAD if self._floor.untidy else None

    def _how_soon(self) -> Urgency:
        state = self._floor.state
        if not isinstance(state, Replying):
            return Urgency.AHEAD
        if self._floor.clause_is_due:
            return Urgency.VOICE
        return Urgency.SPEAK if state.said else Urgency.FIRST

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Do one bounded piece of work: a frame, a block, a prefill, a token or a clause."""
        if self._floor.jobs:
            self.work, job = self._floor.jobs.popleft()
            return self._do(job)
        if self._may_speak():
            self._allowance -= 1
            return self._speak()
        if self._dialogue.is_due:
            self.work = Work.CONTROL
            return self._actions.tell(Lull())
        if self._inbox:
            self.taken += 1
            self._allowance = 0 if self._pace is None else self._pace(self.taken)
            return self._take(self._inbox.popleft())
        if self._eof and self._floor.speaker is not None:
            self.work = Work.LISTEN
            return self._actions.end_utterance()
        if (self._pace is None or self._eof) and self._floor.can_speak:
            return self._speak()
        if self._plays_on:
            if self._floor.aloud.waits:
                return self._speak_clause()
            self.work = Work.LISTEN
            return self._actions.tell(SaidAll())
        if self._floor.untidy:
            self.work = Work.TIDY
            self._floor.untidy = self._listener.tidy()
            return []
        return NEED_DATA

    def _do(self, job: Callable[[], list[Event]]) -> list[Event]:
        """Do a job; a turn that the LLM's context has no room for is given up, and nothing else."""
        try:
            return job()
        except ContextFullError as full:
            return self._actions.tell(NoRoom(str(full)))

    def _take(self, piece: Frame | Control) -> list[Event]:
        if isinstance(piece, Frame):
            self.work = Work.LISTEN
            return self._dialogue.look(piece)
        self.work = Work.CONTROL
        return self._dialogue.follow(piece)

    def _may_speak(self) -> bool:
        """Tokens come before more input: those of the pace or, live, those that are there."""
        state = self._floor.state
        replying = isinstance(state, Replying)
        if self._pace is None:
            there = (
                isinstance(state, Replying) and bool(state.made) and not self._floor.clause_is_due
            )
            return there and self._floor.can_speak
        # Ahead one is enough: it is given out no faster, and more would keep frames waiting. None
        # where the turn is over already: it would take the place of one that is given out.
        ahead = isinstance(state, Guessed | Held) and state.draft is not None and state.draft.tokens
        return (
            (replying or not (ahead or self._dialogue.is_due))
            and self._allowance > 0
            and self._floor.can_speak
        )

    @property
    def _plays_on(self) -> bool:
        """A reply is being spoken or played, and no audio will come that tells for how long."""
        written = isinstance(self._floor.state, Replying) and self._floor.aloud.is_written
        return self._eof and written

    def _speak_clause(self) -> list[Event]:
        self.work = Work.VOICE
        return self._floor.speak_clause() + self._dialogue.end_if_played()

    def _speak(self) -> list[Event]:
        if self._floor.clause_is_due:
            return self._speak_clause()
        self.work = Work.DECODE
        if not isinstance(self._floor.state, Replying):
            self._floor.speak_ahead()
            return []
        text = self._floor.next_token()
        if text is not None:
            return self._floor.say(text)
        self._floor.end_text()
        return self._dialogue.end_if_played()
