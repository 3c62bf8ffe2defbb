"""Speaks a text that somebody else wrote, in steps, as a session speaks its replies."""

from typing import Literal

from assistant.voice.voice import Voice
from streaming.audio.frames import Frame
from streaming.controls import Commit, Control, Played, Write
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.work import NEED_DATA, NeedData, Pace, Urgency, Work
from streaming.events import Event, ReplyEnded


class Narrator:
    """Text in, clauses of speech out; hears nothing.

    A `Write` is the next piece of the text, cut anywhere, and a `Commit` its end. A `Played` says
    how much of the speech was passed on: no more than some seconds are made ahead of that. The
    events are `ReplyAudio`, and a `ReplyEnded` after the last of them.
    """

    def __init__(self, voice: Voice, speed: float = 1.0) -> None:
        """Args:
        voice: speaks; shared.
        speed: times as fast as the voice speaks by itself.
        """
        self._aloud = Aloud(voice, speed)
        self._aloud.begin(wanted=True)
        self._over = False
        self.work = Work.VOICE
        """The kind of work of every step."""

        self.taken = 0
        """Number of controls processed."""

    @property
    def heard(self) -> int:
        """Number of samples processed: none."""
        return 0

    @property
    def released(self) -> int:
        """Nothing: its clauses depend on the text alone."""
        return 0

    def at_pace(self, pace: Pace | None) -> None:
        """It goes at the pace of `Played`."""

    @property
    def urgency(self) -> Urgency | None:
        """A clause waits to be spoken, or the end to be told; None: there is nothing to do."""
        ended = self._aloud.is_made and not self._over
        return Urgency.VOICE if self._can_speak or ended else None

    @property
    def _can_speak(self) -> bool:
        return self._aloud.waits and not self._aloud.is_ahead(0)

    def hear(self, frames: list[Frame]) -> None:
        """Audio is not listened to."""

    def control(self, control: Control) -> None:
        """Take text, its end, or how much was passed on; other controls have no effect."""
        self.taken += 1
        match control:
            case Write(text=text):
                self._aloud.take(text)
            case Commit():
                self._aloud.finish()
            case Played(samples=samples):
                self._aloud.played(samples)
            case _:
                pass

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """Speak the next clause, or tell that there are no more."""
        if self._can_speak:
            return [self._aloud.speak(0)]
        if self._aloud.is_made and not self._over:
            self._over = True
            return [ReplyEnded(0, "complete")]
        return NEED_DATA
