"""Whether the session listens to whoever speaks, or only for its wake word."""

from collections.abc import Sequence

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.stage import Stage
from streaming.events import Event, FellAsleep, Woken


class Wakefulness:
    """Asleep until the word is said, and again after a silence; a session without a word never
    sleeps. Everything is heard all the same, and may be asked about."""

    def __init__(
        self, word: Stage[Frame, int] | None = None, phrase: str = "", sleep_after_s: float = 0.0
    ) -> None:
        """Args:
        word: finds the wake word; None: there is none.
        phrase: what has to be said.
        sleep_after_s: seconds in which nobody speaks and nothing is answered, until it sleeps.
        """
        self._word, self._phrase = word, phrase
        self._patience = round(sleep_after_s * SAMPLE_RATE)
        self._active: int | None = None  # sample until which somebody spoke, or was answered
        self.is_awake = True
        """Whether what is said is listened to."""

    def hear(self, frame: Frame, *, busy: bool, dismissed: bool) -> Sequence[Event]:
        """Take the next frame.

        Args:
            frame: it.
            busy: somebody is spoken or listened to, whatever the wake word says.
            dismissed: somebody wished for quiet since the last frame.
        """
        if self._word is None:
            return []
        if busy:
            return self._wake(frame.at)
        events = self._doze(frame.at, self._word, dismissed=dismissed) if self.is_awake else []
        if not self.is_awake and self._word.push(frame):
            return [*events, *self._wake(frame.at + FRAME_SAMPLES)]
        return events

    def _wake(self, at: int) -> list[Event]:
        before, self.is_awake, self._active = self.is_awake, True, at
        return [] if before else [Woken(at)]

    def _doze(self, at: int, word: Stage[Frame, int], *, dismissed: bool) -> list[Event]:
        quiet = self._active is None or at - self._active >= self._patience
        if not (quiet or dismissed):
            return []
        word.reset()
        self.is_awake = False
        return [FellAsleep(at, self._phrase)]
