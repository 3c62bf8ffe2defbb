"""Speech under a reply: what interrupts it, what does not, and what ends it without another."""

from abc import ABC, abstractmethod
from dataclasses import replace

from streaming.audio.endpointer import SpeechPaused
from streaming.config import TurnsConfig
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.floor import Floor
from streaming.dialogue.listener import Listener, SpeechFinder
from streaming.dialogue.manners import dismisses, interrupts
from streaming.dialogue.messages import Messages
from streaming.dialogue.turn import (
    BargedIn,
    Ending,
    Guessed,
    Happening,
    Listening,
    Over,
    OverForNow,
    Prepared,
    Quiet,
    Replying,
    ToldToStop,
)
from streaming.dialogue.waiting import Waiting
from streaming.dialogue.work import Work
from streaming.events import Dismissed, EndOfReply, Event, SpeechEnded


class Overlap(ABC):
    """The open turn, what waits for it to be over, and what is done when somebody speaks under a
    reply; `Actions` has the rest."""

    def __init__(
        self, endpointer: SpeechFinder | None, listener: Listener, turns: TurnsConfig, aloud: Aloud
    ) -> None:
        """Args:
        endpointer: finds utterances; None: turns end by hand.
        listener: hears and answers.
        turns: what belongs to a turn.
        aloud: speaks replies.
        """
        self.endpointer, self._listener = endpointer, listener
        self.floor = Floor(listener, turns, aloud, lambda n: self.tell(Prepared(n)), self._judge)
        self.messages = Messages()
        self.waiting = Waiting()
        """What waits for quiet."""

        self.dismissed = False
        """Somebody wished for quiet, since this was set back."""

    @abstractmethod
    def tell(self, happening: Happening) -> list[Event]:
        """Do what `turn.TABLE` has for this."""

    def _judge(self, finished: float | None) -> None:
        if self.endpointer is not None:
            self.endpointer.judge(finished)

    # --- under a reply

    def _weigh(self, _: SpeechPaused) -> list[Event]:
        turns = self.floor.turns
        if turns.barge_in_frames is not None and (turns.backchannels or turns.stop_words):
            self.floor.jobs.append((Work.ENCODE, self._read_under_reply))
        return []

    def _read_under_reply(self) -> list[Event]:
        floor = self.floor
        if floor.speaker is None:  # who ended in the same frame
            return []
        words = self._listener.overheard(floor.speaker.since)
        if dismisses(words, floor.turns):
            floor.last = None  # it is no part of the question
        if interrupts(words, floor.turns):
            return self.tell(BargedIn())
        floor.speaker = replace(floor.speaker, passed=floor.heard)
        return []

    def _put_off(self, over: Over | OverForNow) -> list[Event]:
        if self.floor.turns.barge_in_frames is not None:
            return [replace(over.end, kept=False)]
        assert self.floor.speaker is not None
        begun = self.floor.speaker.since
        since = self.floor.with_context(begun)
        self.waiting.unanswered.append((since, begun, isinstance(over, Over)))
        return self._ended(over.end)

    def _ended(self, end: SpeechEnded) -> list[Event]:
        assert self.floor.speaker is not None  # an utterance is a message
        self.messages.said(self.floor.speaker.since, end.at)
        return [end]

    def _interrupt(self, _: BargedIn) -> list[Event]:
        floor, speaker = self.floor, self.floor.speaker
        if isinstance(floor.state, Replying) and speaker is not None:
            self.waiting.again(floor.state.ref, floor.state.about.since, speaker.since)
        events = self._stop("interrupted")
        if isinstance(state := floor.state, Listening | Guessed):
            floor.state = replace(state, about=replace(state.about, interrupts=True))
        return events

    def _stop(self, reason: EndOfReply) -> list[Event]:
        events = self.floor.stop(reason)
        self._turn_to_speaker()
        return events

    def _turn_to_speaker(self) -> None:
        """What someone says under a reply that is over is a turn from here on, with what was said
        under it before."""
        floor = self.floor
        if floor.speaker is not None and isinstance(floor.state, Quiet):
            at = min([floor.speaker.since, *(begin for _, begin, _ in self.waiting.unanswered)])
            self.waiting.unanswered.clear()
            self.floor.open_at(at)
            if floor.speaker.paused and floor.about is not None:
                floor.guess()

    # --- told to stop

    def _heed(self) -> list[Event]:
        """A turn is over: whether it is to be answered."""
        state, turns = self.floor.state, self.floor.turns
        assert isinstance(state, Ending)
        # into a silence it may be meant for a function of others, such as one that plays music
        meant = state.about.interrupts or self._listener.only_ours()
        told = meant and dismisses(self._listener.said(), turns)
        return self.tell(ToldToStop()) if told else []

    def _dismiss(self, _: ToldToStop) -> list[Event]:
        self.waiting.dismissed()
        self.dismissed = True
        self.messages.answered()
        events = self.floor.dismiss()
        self._turn_to_speaker()
        return [*events, Dismissed(self.floor.heard)]
