"""Decides what a session does with audio and controls.

`Dialogue` tells the open turn what happens, and does what `turn.TABLE` has for that.
"""

from collections.abc import Callable, Sequence

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.controls import (
    Ask,
    Called,
    Cancel,
    Clear,
    Clock,
    Commit,
    Configure,
    Control,
    Forget,
    Hold,
    Outcome,
    Played,
    Recording,
    Returned,
    Truncate,
    Write,
)
from streaming.dialogue.actions import Actions
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.listener import Listener, SpeechFinder
from streaming.dialogue.turn import (
    BargedIn,
    Ending,
    FrameByHand,
    Guessed,
    IdleTimeout,
    Listening,
    NobodyEndsIt,
    RecordingOver,
    Replying,
    SaidAll,
    TooOld,
)
from streaming.dialogue.wakefulness import Wakefulness
from streaming.events import (
    Accepted,
    Cleared,
    Configured,
    Event,
    Notified,
    Recorded,
    Refused,
    SoundStarted,
    Woken,
)

SETTLED = ("ring_s", "silence_db", "turns_kept")
"""Settings of turns that are fixed when a session is made."""


class Dialogue:
    """Turns over one stream of frames."""

    def __init__(
        self,
        endpointer: SpeechFinder | None,
        listener: Listener,
        turns: TurnsConfig,
        aloud: Aloud,
        make_endpointer: Callable[[EndpointingConfig], SpeechFinder | None],
        wakefulness: Wakefulness,
    ) -> None:
        """Args:
        endpointer: finds utterances; None: turns end by hand.
        listener: hears and answers; owned by this dialogue.
        turns: what belongs to a turn.
        aloud: speaks replies; owned by this dialogue.
        make_endpointer: makes another one, when other settings are wished.
        wakefulness: whether whoever speaks is listened to; owned by this dialogue.
        """
        self._wakefulness = wakefulness
        self._make_endpointer, self._listener = make_endpointer, listener
        self.actions = Actions(endpointer, listener, turns, aloud)
        """What is done with the open turn, and its state."""

        self.floor = self.actions.floor
        self._noticed = 0  # notices
        # First sample of the recording that is being given, and what it is known by.
        self._recording: tuple[int, str | None] | None = None
        self._read = 0  # samples heard when what is being said was last read

    # --- what comes in

    def look(self, frame: Frame) -> list[Event]:
        """Hear a frame."""
        events = self._look(frame) + self.end_if_played()
        self._draft()
        return events

    def end_if_played(self) -> list[Event]:
        """The reply is over where all of it was given out, and played if it is spoken."""
        floor = self.floor
        over = isinstance(floor.state, Replying) and floor.aloud.is_over(floor.heard)
        return self.actions.tell(SaidAll()) if over else []

    def _look(self, frame: Frame) -> list[Event]:
        floor = self.floor
        floor.heard = frame.at + FRAME_SAMPLES
        if self._listener.hear(frame.samples()):
            floor.hear_more()
        events: list[Event] = [SoundStarted(*sound) for sound in self._listener.sounds()]
        events += self._notice()
        if self._recording is not None:
            return events
        self.actions.messages.given(frame.at)
        if self.floor.is_too_old:
            events += self.actions.tell(TooOld())
        if self.actions.endpointer is None:
            return events + self.actions.tell(FrameByHand(frame.at))
        woke = self._wake(frame, self.actions.endpointer)
        if woke or not self._wakefulness.is_awake:
            return [*events, *woke]
        for change in self.actions.endpointer.push(frame):
            events += self.actions.change(change)
        return events + self._barge_in(self.actions.endpointer) + self._fall_silent()

    def _wake(self, frame: Frame, endpointer: SpeechFinder) -> Sequence[Event]:
        dismissed, self.actions.dismissed = self.actions.dismissed, False
        busy = self._needs_no_word()
        told = self._wakefulness.hear(frame, busy=busy, dismissed=dismissed)
        if any(isinstance(event, Woken) for event in told):
            endpointer.reset() if busy else endpointer.after_word()
        if not self._wakefulness.is_awake:
            self.floor.silent_since = None  # who wakes it up has something to say
        return told

    def _needs_no_word(self) -> bool:
        """Whether whoever speaks is listened to without a wake word: in the middle of a talk, and
        where nobody is answered without asking for it."""
        return self._is_busy() or not self.floor.turns.auto_reply

    def _draft(self) -> None:
        """Read what is being said ahead of its end, every so often. Not in a silence: the pause
        that may follow reads it, and must not wait."""
        floor, endpointer = self.floor, self.actions.endpointer
        if isinstance(floor.state, Guessed):
            self._read = floor.heard  # by the pause
        if not isinstance(floor.state, Listening):
            return
        begun = floor.state.about.spoken_from
        if begun is None or not self._listener.draft_samples:
            return
        due = max(self._read, begun) + self._listener.draft_samples
        if floor.heard >= due and (endpointer is None or endpointer.speech_end == floor.heard):
            self._read = floor.heard
            floor.draft()

    def _notice(self) -> list[Event]:
        """What has to be told from now on; it waits for quiet."""
        noticed: list[Event] = []
        for kind, name, text in self._listener.notices():
            ref, self._noticed = f"notice_{self._noticed}", self._noticed + 1
            notice = Notified(self.floor.heard, kind, name, text, ref)
            self.actions.waiting.notices.append(notice)
            noticed.append(notice)
        return noticed

    def follow(self, control: Control) -> list[Event]:
        """Carry out a client's control."""
        match control:
            case Ask():
                return self._question(control)
            case Cancel():
                return self._take_back_question(control) or self.actions.tell(control)
            case Write() | Called() | Returned():
                self.floor.put(control)
                return []
            case Commit(instruction, ref, True, most, kept, tools, choice, aloud) if (
                self._listener.is_asked
            ):
                how = kept, tools, choice, aloud
                return self._question(Ask(instruction, ref, most, False, *how))
            case Commit():
                return self._accepted(control.ref) + self.actions.tell(control)
            case Hold():
                return self._end_recording() if self._recording else self.actions.tell(control)
            case Clear():
                return [*self.actions.tell(control), Cleared(self.floor.heard)]
            case Recording(ref):
                events = self.actions.end_utterance()
                self._recording = self.floor.heard, ref
                return events
            case Configure():
                return self._configure(control)
            case Forget():
                return self._forget_parts(control)
            case Outcome(call, output, say):
                return self.floor.returned(call, output, say)
            case Clock(local):
                self._listener.tell_time(local)
                return self._notice()
            case Played(turn, samples):
                state = self.floor.state
                if isinstance(state, Replying) and state.turn == turn:
                    self.floor.aloud.played(samples)
                return self.end_if_played()
            case Truncate(turn, characters):
                self.floor.truncate(turn, characters)
                return []

    @property
    def is_due(self) -> bool:
        """Whether something waits for quiet, and it is quiet now."""
        return self.actions.waiting.is_due and not self._is_busy()

    def _is_busy(self) -> bool:
        """Someone speaks, a recording is being given, or a reply is on its way or being given."""
        speaking = self.floor.speaker is not None or self._recording is not None
        return speaking or isinstance(self.floor.state, Ending | Replying)

    def _barge_in(self, endpointer: SpeechFinder) -> list[Event]:
        """Interrupt a reply if speech during it has been long enough."""
        enough, speaker = self.floor.turns.barge_in_frames, self.floor.speaker
        if speaker is None or enough is None:
            return []
        begun = max(speaker.since, speaker.passed)
        long = endpointer.speech_end - begun >= enough * FRAME_SAMPLES
        return self.actions.tell(BargedIn()) if long else []

    def _fall_silent(self) -> list[Event]:
        """Answer the silence if nobody has spoken for long enough and that is configured."""
        since, wait = self.floor.silent_since, self.floor.turns.idle_timeout_s
        if since is None or wait is None or self.floor.heard - since < wait * SAMPLE_RATE:
            return []
        self.floor.silent_since = None
        return self.actions.tell(IdleTimeout(since))

    # --- controls that are not the turn's alone

    def _question(self, question: Ask) -> list[Event]:
        accepted = self._accepted(question.ref)
        if self._is_busy() or self.actions.waiting.questions:
            return accepted + self.actions.wait(question)
        return accepted + self.actions.tell(question)

    def _accepted(self, ref: str | None) -> list[Event]:
        return [] if ref is None else [Accepted(ref)]

    def _take_back_question(self, cancel: Cancel) -> list[Event]:
        for question in self.actions.waiting.questions:
            if cancel.asked is not None and question.ref == cancel.asked:
                self.actions.waiting.questions.remove(question)
                if all(other.alone for other in self.actions.waiting.questions):
                    self.floor.claim(waits=False)
                return [Refused("the question was taken back", question.ref, "cancelled")]
        return []

    def _end_recording(self) -> list[Event]:
        """End a recording, which then waits for a client to ask about it."""
        assert self._recording is not None
        (since, ref), self._recording = self._recording, None
        self.actions.messages.recorded(since, self.floor.heard, ref)
        recorded = Recorded(since, self.floor.heard, ref)
        return [*self.actions.tell(RecordingOver(since)), recorded]

    def _configure(self, wanted: Configure) -> list[Event]:
        events: list[Event] = []
        turns, self.actions.unopened = wanted.turns, False
        self._listener.configure(
            wanted.instruction,
            wanted.max_new_tokens,
            None if turns is None else turns.captions,
            None if turns is None else turns.sound_events,
            wanted.temperature,
            wanted.top_p,
            wanted.tools,
            wanted.tool_choice,
        )
        self.floor.untidy = self.floor.untidy or self.floor.about is None
        self._configure_voice(wanted)
        if turns is not None:
            settled = {name: getattr(self.floor.turns, name) for name in SETTLED}
            self.floor.turns = turns.model_copy(update=settled)
        if wanted.endpointing is not None:
            events = self.actions.end_utterance()
            if self.actions.endpointer is None:
                events += self.actions.tell(NobodyEndsIt())
            else:
                self.actions.by_hand_from = self.floor.heard
            self.actions.endpointer = self._make_endpointer(wanted.endpointing)
        return [*events, Configured()]

    def _configure_voice(self, wanted: Configure) -> None:
        aloud = self.floor.aloud
        aloud.is_on = aloud.is_on if wanted.aloud is None else wanted.aloud
        aloud.speed = wanted.speed or aloud.speed

    def _forget_parts(self, wanted: Forget) -> list[Event]:
        if wanted.turn is not None:
            self.floor.forget((wanted.turn, wanted.part))
        if wanted.ref is not None:
            self.floor.forget(wanted.ref)
        spans = [(wanted.since, wanted.until)]
        if wanted.ref is not None and (recorded := self.actions.messages.recording(wanted.ref)):
            spans.append(recorded)
        events: list[Event] = []
        for since, until in spans:
            if until > since:
                events += self._unsay(since, until)
        return events

    def _unsay(self, since: int, until: int) -> list[Event]:
        """Samples [since, until) are not looked at any more, and not answered if nothing else is
        left that would be."""
        by_hand = self.actions.endpointer is None
        going_on = self.actions.messages.fresh if by_hand else self.floor.speaker
        events: list[Event] = []
        if self.actions.messages.forget(since, until) and going_on is None:
            events = self.actions.tell(Clear())
        self._listener.unhear(since, until)
        return events
