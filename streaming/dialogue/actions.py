"""The actions of a dialogue: a method for every `turn.Action`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assistant.errors import ContextFullError
from streaming.audio.endpointer import Change, SpeechPaused, SpeechResumed
from streaming.config import TurnsConfig
from streaming.controls import Ask, Cancel, Clear, Commit, Hold
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.listener import Listener, SpeechFinder
from streaming.dialogue.overlap import Overlap
from streaming.dialogue.turn import (
    TABLE,
    Action,
    Ending,
    FrameByHand,
    Guessed,
    Happening,
    Held,
    IdleTimeout,
    NoRoom,
    Over,
    OverForNow,
    Prepared,
    RecordingOver,
    Replying,
    Speaking,
)
from streaming.dialogue.work import Work
from streaming.events import (
    Event,
    FellSilent,
    HeldByHand,
    Notified,
    Refused,
    SpeechEnded,
    SpeechStarted,
)

NOTHING_SAID = "there is nothing to commit: nothing was said"
NO_REPLY = "there is no reply to cancel"
ANSWERED = "what was asked was answered, or forgotten, meanwhile"


class Actions(Overlap):
    """The open turn, what waits for it to be over, and what is done with both."""

    def __init__(
        self, endpointer: SpeechFinder | None, listener: Listener, turns: TurnsConfig, aloud: Aloud
    ) -> None:
        """Args:
        endpointer: finds utterances; None: turns end by hand.
        listener: hears and answers.
        turns: what belongs to a turn.
        aloud: speaks replies.
        """
        super().__init__(endpointer, listener, turns, aloud)
        self.by_hand_from = 0
        """First sample since which turns end by hand."""

        self.unopened = False
        """A turn by hand did not fit into the context: wait for a change."""

        self._actions: dict[Action, Callable[[Any], list[Event]]] = {
            action: getattr(self, f"_{action.name.lower()}") for action in Action
        }

    def tell(self, happening: Happening) -> list[Event]:
        """Do what `turn.TABLE` has for this."""
        return self._actions[TABLE[type(self.floor.state), type(happening)]](happening)

    def change(
        self, change: Change, commit: Commit | None = None, *, answered: bool = True
    ) -> list[Event]:
        """Speech starts, pauses, goes on or ends; for the other arguments see `end_utterance`."""
        floor = self.floor
        match change:
            case SpeechStarted(at):
                floor.speaker, floor.silent_since = Speaking(at), None
                return [change, *self.tell(change)]
            case SpeechPaused() | SpeechResumed():
                assert floor.speaker is not None
                paused = isinstance(change, SpeechPaused)
                floor.speaker = replace(floor.speaker, paused=paused)
                return self.tell(change)
            case SpeechEnded():
                if commit is not None:
                    ended: Happening = Over(change, commit)
                elif answered and floor.turns.auto_reply:
                    ended = Over(change)
                else:
                    ended = OverForNow(change)
                events = self.tell(ended)
                floor.speaker = None
                return events

    def end_utterance(self, commit: Commit | None = None, *, answered: bool = True) -> list[Event]:
        """End the utterance that goes on, if one does.

        Args:
            commit: what asked for that.
            answered: whether its reply may follow; otherwise that will be asked for.
        """
        if self.floor.speaker is None:
            return []
        assert self.endpointer is not None
        events = []
        for change in self.endpointer.flush():
            events += self.change(change, commit, answered=answered)
        return events

    # --- actions, as `turn.Action` has them

    def _ignore(self, _: Happening) -> list[Event]:
        return []

    def _cannot(self, happening: Happening) -> list[Event]:
        raise AssertionError(f"{type(happening).__name__} in {type(self.floor.state).__name__}")

    def _open(self, started: SpeechStarted) -> list[Event]:
        self.floor.open_at(started.at)
        return []

    def _go_on(self, started: SpeechStarted) -> list[Event]:
        assert self.floor.about is not None
        if self.floor.is_too_far(self.floor.about.since, started.at):
            self.floor.give_up()
            self.floor.open_at(started.at)
        else:
            self.floor.jobs.clear()  # a pause that was not made yet must not be
            self.floor.resume()
        return []

    def _guess(self, _: Happening) -> list[Event]:
        self.floor.guess()
        return []

    def _take_back(self, _: Happening) -> list[Event]:
        self.floor.resume()
        return []

    def _answer(self, over: Over) -> list[Event]:
        assert self.floor.about is not None
        ended = self.floor.about.since, over.end.at, self._listener.turn
        self.floor.last = None if over.commit is not None else ended
        if over.commit is None and self.floor.turns.stop_words:
            self.floor.jobs.append((Work.CAPTION, self._heed))
        self.floor.answer(over.end.at, over.commit)
        return self._ended(over.end)

    def _keep(self, over: OverForNow) -> list[Event]:
        self.floor.hold()
        return self._ended(over.end)

    def _let_pass(self, over: Over | OverForNow) -> list[Event]:
        return self._ended(over.end)

    def _finish(self, _: Happening) -> list[Event]:
        return self._stop("limit" if self._listener.cut_short() else "complete")

    def _answer_silence(self, quiet: IdleTimeout) -> list[Event]:
        self.floor.open(quiet.since)
        self.floor.answer_at_once()
        self.messages.said(quiet.since, self.floor.heard)
        return [FellSilent(quiet.since, self.floor.heard)]

    def _open_by_hand(self, frame: FrameByHand) -> list[Event]:
        if not self.unopened:
            ring = round(self.floor.ring)
            since = max(frame.at - ring, self.floor.with_context(self.by_hand_from))
            spoken_from = max(self.floor.answered, self.by_hand_from)
            self.unopened = not self.floor.open(since, spoken_from=spoken_from)
        return []

    def _give_up(self, _: Happening) -> list[Event]:
        self.floor.give_up()
        return []

    def _give_up_by_hand(self, _: Happening) -> list[Event]:
        if self.endpointer is None:
            self.floor.give_up()
        return []

    def _answer_text(self, question: Ask) -> list[Event]:
        self.floor.drop()
        self.floor.open_about_ring(question)
        self.floor.answer_at_once(question)
        return []

    def _wait(self, waiting: Ask | RecordingOver) -> list[Event]:
        if isinstance(waiting, Ask):
            return self.wait(waiting)
        self.waiting.unanswered.append((waiting.since, waiting.since, False))
        return []

    def wait(self, question: Ask) -> list[Event]:
        """A question waits for quiet, with what was written."""
        self.waiting.questions.append(question)
        if not question.alone:
            self.floor.claim(waits=True)
        return []

    def _commit_unopened(self, commit: Commit) -> list[Event]:
        if self._open_what_waits():
            return self.tell(commit)
        return self._commit_ring(commit)

    def _commit_ring(self, commit: Commit) -> list[Event]:
        """Nothing was said: answer about everything in the ring, where that is wished."""
        if not commit.or_ring:
            return [Refused(NOTHING_SAID, commit.ref)]
        if self.floor.open_about_ring(commit):
            return self._answer_now(commit)
        return []  # the context has no room for it, which is told

    def _commit(self, commit: Commit) -> list[Event]:
        if not self._open_what_waits():
            return self._commit_ring(commit)
        guessed = isinstance(state := self.floor.state, Guessed | Held) and state.draft is not None
        if commit.instruction is not None or (guessed and not commit.is_plain):
            try:
                self.floor.instruct(commit.instruction)
            except ContextFullError as full:
                self.floor.give_up()
                return [Refused(str(full), commit.ref, "context_full")]
        return self._answer_now(commit)

    def _answer_now(self, commit: Commit) -> list[Event]:
        """Answer the open turn; it ends an utterance that goes on."""
        if self.floor.speaker is not None:
            return self.end_utterance(commit)
        self.floor.answer_at_once(commit)
        return []

    def _commit_under_reply(self, commit: Commit) -> list[Event]:
        if self.floor.speaker is None and self.endpointer is not None:
            return [Refused(NOTHING_SAID, commit.ref)]
        events = self.floor.stop("cancelled")
        return events + self.tell(commit)

    def _hold(self, hold: Hold) -> list[Event]:
        by_hand, fresh = self.endpointer is None, self.messages.fresh
        if (by_hand and fresh is None) or not self._open_what_waits():
            return [Refused(NOTHING_SAID, hold.ref, "nothing_said")]
        if self.floor.speaker is not None:
            return self.end_utterance(answered=False)
        self._hold_open_turn()
        return self._hold_under_reply(hold)

    def _hold_under_reply(self, hold: Hold) -> list[Event]:
        """What is given under a reply is a turn when the reply is over."""
        if self.endpointer is not None:
            return []
        if (since := self.messages.fresh) is None:
            return [Refused(NOTHING_SAID, hold.ref, "nothing_said")]
        self.messages.said(since, self.floor.heard)
        return [HeldByHand(since, self.floor.heard, hold.ref)]

    def _hold_open_turn(self) -> None:
        """The open turn is about all that was heard until now, and waits to be asked for."""
        if isinstance(self.floor.state, Held):
            self.floor.resume()
        self.floor.hold()

    def _refuse_cancel(self, cancel: Cancel) -> list[Event]:
        return [Refused(NO_REPLY, cancel.ref)]

    def _cancel(self, cancel: Cancel) -> list[Event]:
        state = self.floor.state
        assert isinstance(state, Replying)
        meant = cancel.asked in (None, state.ref) and cancel.turn in (None, state.turn)
        return self._stop("cancelled") if meant else self._refuse_cancel(cancel)

    def _forget(self, clear: Clear) -> list[Event]:
        since = self.floor.answered
        self._unsaid()
        self.floor.give_up()
        self._turn_to_speaker()
        self._listener.unhear(since, self.floor.heard)
        return []

    def _forget_heard(self, clear: Clear) -> list[Event]:
        since = self.floor.answered
        self._unsaid()
        self._listener.unhear(since, self.floor.heard)
        return []

    def _unsaid(self) -> None:
        self.floor.answered, self.floor.last, self.unopened = self.floor.heard, None, False
        self.waiting.unanswered.clear()
        self.messages.clear()

    def _hold_recording(self, over: RecordingOver) -> list[Event]:
        if self.floor.is_too_old:
            self.floor.give_up()
        if self.floor.about is not None or self.floor.open(over.since, spoken_from=over.since):
            self._hold_open_turn()
        return []

    def _take_up(self, _: Happening) -> list[Event]:
        if not self.waiting.is_answered:
            if self.waiting.notices:
                return self._announce(self.waiting.notices.popleft())
            question = self.waiting.questions.popleft()
            words = question.text is not None or question.alone or not question.kept
            if words or self._listener.is_asked:
                return self.tell(question)
            return [Refused(ANSWERED, question.ref, "cancelled")]
        self._go_back()
        self.floor.answer_at_once()
        return []

    def _announce(self, notice: Notified) -> list[Event]:
        """Tell it; a turn that waits to be asked for waits on."""
        if isinstance(state := self.floor.state, Held):
            since, begun = state.about.since, state.about.spoken_from
            self.waiting.unanswered.insert(0, (since, since if begun is None else begun, False))
        self.floor.drop()
        self.waiting.told = notice
        self.floor.announce(notice.text, notice.ref)
        return []

    def _give_out(self, prepared: Prepared) -> list[Event]:
        if not (isinstance(self.floor.state, Ending) and self.floor.state.is_notice):
            self.messages.answered()
        return self.floor.give_out(prepared.cached)

    def _refuse_turn(self, full: NoRoom) -> list[Event]:
        ref = state.ref if isinstance(state := self.floor.state, Ending) else None
        if self.endpointer is None:
            self.floor.answered = self.floor.heard  # or the next turn by hand would be about it
        self.floor.give_up()
        return [Refused(full.why, ref, "context_full")]

    # --- what several actions do

    def _open_what_waits(self) -> bool:
        """Whether a turn is open, or can be, about what was not answered yet."""
        self._turn_to_speaker()
        if self.waiting.unanswered and self.floor.speaker is None:
            self._go_back()
        if self.endpointer is None and self.floor.heard > self.floor.answered:
            self.tell(FrameByHand(self.floor.heard))
        return self.floor.about is not None

    def _go_back(self) -> None:
        """Open a turn about the utterances that a reply kept waiting."""
        self.floor.drop()
        since, spoken_from, _ = self.waiting.unanswered[0]
        self.waiting.unanswered.clear()
        self.floor.open(since, spoken_from=spoken_from)
