"""A reply as it is spoken: clause by clause, and how far it was played."""

from collections import deque

from assistant.rates import SAMPLE_RATE
from assistant.voice.clauses import Clauses
from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE, Voice
from streaming.events import ReplyAudio

AHEAD_S = 6.0
"""Seconds of speech that are made before they are played, at most, and a clause: a reply of many
minutes is not in memory whole, and little of it is made in vain."""


class Aloud:
    """What of a reply is to be spoken, was, and was played.

    Whoever plays it begins at once, and goes on while there is more. So a reply is over when as
    many seconds of the stream were heard as it is long; or earlier, when they say that they have
    played it: a client that sends no audio is answered aloud, too.
    """

    def __init__(self, voice: Voice | None, speed: float = 1.0) -> None:
        """Args:
        voice: speaks; shared. None: nobody does, replies are text.
        speed: times as fast as the voice speaks by itself.
        """
        self._voice = voice
        self.is_on = voice is not None
        """Whether the next reply is spoken."""

        self.speed = speed
        """Of the next clause."""

        self._clauses = Clauses()
        self._waiting: deque[str] = deque()
        self._speaks = False
        self._made_all = True  # the reply's text came to its end
        self._made = self._played = 0  # samples of the reply
        self._until = 0  # sample of the stream at which it is played

    def begin(self, wanted: bool | None) -> None:
        """A reply begins.

        Args:
            wanted: whether it is spoken; None: as the session has it.
        """
        self.stop()
        self._speaks = self._voice is not None and (self.is_on if wanted is None else wanted)
        self._made_all = False

    def take(self, text: str) -> None:
        """The next piece of the reply's text."""
        if self._speaks:
            self._waiting += self._clauses.push(text)

    def finish(self) -> None:
        """The reply's text has come to its end."""
        if self._speaks:
            self._waiting += self._clauses.flush()
        self._made_all = True

    def stop(self) -> None:
        """The reply is over; what was not spoken never is."""
        self._clauses.reset()
        self._waiting.clear()
        self._made_all, self._speaks = True, False
        self._made = self._played = self._until = 0

    @property
    def waits(self) -> bool:
        """Whether a clause waits to be spoken."""
        return bool(self._waiting)

    def is_ahead(self, heard: int) -> bool:
        """Whether enough was made for now; `heard`: samples of the stream so far."""
        by_clock = (self._until - heard) / SAMPLE_RATE
        return min(by_clock, (self._made - self._played) / VOICE_RATE) > AHEAD_S

    @property
    def is_begun(self) -> bool:
        """Whether there is something to be heard, if it is spoken."""
        return self._made > 0 or not self._speaks

    @property
    def is_made(self) -> bool:
        """Whether all of the reply was given out, and spoken if it is."""
        return self._made_all and not self._waiting

    @property
    def is_written(self) -> bool:
        """Whether all of the reply's text was given out."""
        return self._made_all

    def speak(self, heard: int) -> ReplyAudio:
        """Speak the clause that waits; `heard`: samples of the stream so far."""
        assert self._voice is not None, "no clause waits without a voice"
        text = self._waiting.popleft()
        speech = self._voice.speak(text, self.speed)
        samples = len(speech.pcm) // SAMPLE_BYTES
        self._made += samples
        self._until = max(self._until, heard) + -(-samples * SAMPLE_RATE // VOICE_RATE)
        return ReplyAudio(text, speech.pcm, speech.words)

    def played(self, samples: int) -> None:
        """So many samples of the reply were played."""
        self._played = max(self._played, samples)

    def is_over(self, heard: int) -> bool:
        """Whether all of the reply was given out and played; `heard`: samples of the stream."""
        return self.is_made and (self._played >= self._made or heard >= self._until)
