"""When the events of a spoken reply are told: at the pace of its audio, and a little ahead of it.

A voice is made many times as fast as it is heard. What was sent cannot be taken back, so most of it
waits here, where an interruption throws it away.
"""

from bisect import bisect_left
from collections import deque
from typing import Protocol

from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE
from streaming.controls import Control, Played, Truncate
from streaming.events import (
    Event,
    ReplyAudio,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    ToolCalled,
    ToolReturned,
)
from streaming.realtime.speech import pieces

AHEAD_S = 0.4
"""Seconds of audio that a client has before it is heard, at most."""

PIECE_S = 0.2
"""Seconds of audio in an event, at most."""

NOTHING = ReplyAudio("", b"", ())

OfReply = ReplyStarted | ReplyDelta | ReplyAudio | ToolCalled | ToolReturned | ReplyEnded


class Player(Protocol):
    """Plays the audio that is told. Times are seconds of one clock."""

    def ends_at(self, now: float) -> float:
        """When all that there is will have been played; `now` if nothing is left."""

    def play(self, pcm: bytes, now: float) -> None:
        """Play this after all that there is: PCM16 at `VOICE_RATE`."""

    def stop(self, now: float) -> int:
        """Play no more of what there is; how many samples of it were not played."""


class AtTheClient:
    """A client that plays what it gets, at once. What it has played when it stops, it says itself,
    by `conversation.item.truncate`."""

    def __init__(self) -> None:
        self._ends_at = 0.0

    def ends_at(self, now: float) -> float:
        """When all that it got will have been played."""
        return max(self._ends_at, now)

    def play(self, pcm: bytes, now: float) -> None:
        """It plays this, too."""
        self._ends_at = self.ends_at(now) + _seconds(pcm)

    def stop(self, now: float) -> int:
        """It stops at once."""
        self._ends_at = now
        return 0


class Playback:
    """The replies of one session, on a clock; other events never wait."""

    def __init__(self, player: Player | None = None) -> None:
        """`player`: plays them; None: the client does."""
        self._player = player or AtTheClient()
        self._waiting: deque[OfReply] = deque()
        self._turn = 0
        self._told = self._reported = 0  # samples of the reply that is being told
        self._characters = 0  # of its text, told with them
        self._words: list[tuple[int, int]] = []  # first samples, and characters up to their ends
        self._is_spoken = self._is_open = self._is_muted = False
        self._controls: list[Control] = []

    def take(self, event: Event, now: float) -> list[Event]:
        """Take an event of the session; the events that are told now."""
        if not isinstance(event, OfReply):
            return [event]
        if isinstance(event, ReplyAudio):
            if self._is_muted:
                event = NOTHING
            self._waiting += pieces(event, round(PIECE_S * VOICE_RATE))
        else:
            if isinstance(event, ReplyEnded) and event.reason in ("interrupted", "cancelled"):
                self._drop()
            self._waiting.append(event)
        return self.due(now)

    def due(self, now: float) -> list[Event]:
        """The events that waited until now."""
        told: list[Event] = []
        while self._waiting and self._due_at(self._waiting[0], now) <= now:
            event = self._waiting.popleft()
            self._count(event, now)
            told.append(event)
        self._report(now)
        return told

    def _report(self, now: float) -> None:
        """Say how much was played: every second, and when it is all that there is for now."""
        played = self._told - round((self._player.ends_at(now) - now) * VOICE_RATE)
        is_all = not self._waiting and played >= self._told > self._reported
        if is_all or played - self._reported >= VOICE_RATE:
            self._reported = played
            self._controls.append(Played(self._turn, played))

    def wake_at(self, now: float) -> float | None:
        """When there is something to be told next, or to tell the session; None: never."""
        if self._waiting:
            return self._due_at(self._waiting[0], now)
        return self._player.ends_at(now) if self._told > self._reported else None

    def clear(self, now: float) -> None:
        """Play no more of the last reply, as its client wishes."""
        self._drop()
        self._is_muted = self._is_open
        self._stop(now)
        if not self._is_open:  # or its end will say so
            self._truncate()

    def is_over(self, now: float) -> bool:
        """Whether all that was told was played, and no reply is being told."""
        return not (self._is_open or self._waiting) and self._player.ends_at(now) <= now

    @property
    def told_ms(self) -> int:
        """How much of the last reply was told, in milliseconds, or played if it was stopped."""
        return self._told * 1000 // VOICE_RATE

    def controls(self) -> list[Control]:
        """What the session has to know: how much of a reply was played, and what never will be."""
        controls, self._controls = self._controls, []
        return controls

    def _due_at(self, event: OfReply, now: float) -> float:
        if not isinstance(event, ReplyAudio) or not event.pcm:
            return now
        return self._player.ends_at(now) + _seconds(event.pcm) - AHEAD_S

    def _count(self, event: OfReply, now: float) -> None:
        match event:
            case ReplyStarted(turn=turn):
                self._turn, self._told, self._reported, self._characters = turn, 0, 0, 0
                self._words, self._is_spoken, self._is_muted = [], False, False
                self._is_open = True
            case ReplyAudio(text, pcm, words):
                self._is_spoken = True
                self._words += [
                    (self._told + word.begin, self._characters + word.end) for word in words
                ]
                self._characters += len(text)
                self._told += len(pcm) // SAMPLE_BYTES
                self._player.play(pcm, now)
            case ReplyEnded(_, reason):
                self._is_open = False
                if self._is_spoken and reason in ("interrupted", "cancelled"):
                    self._stop(now)
                    self._truncate()
                self._reported = self._told
            case ReplyDelta() | ToolCalled() | ToolReturned():
                pass

    def _stop(self, now: float) -> None:
        """Play no more; a word that had begun counts as heard."""
        if missed := self._player.stop(now):
            self._told -= missed
            begun = bisect_left(self._words, (self._told, 0))
            self._characters = self._words[begun - 1][1] if begun else 0

    def _truncate(self) -> None:
        self._controls.append(Truncate(self._turn, self._characters))

    def _drop(self) -> None:
        """Throw away what of the last reply was not told, but for the fact that it is spoken."""
        kept: list[OfReply] = []
        while self._waiting:
            event = self._waiting.pop()
            if not isinstance(event, ReplyAudio):
                kept.append(event)
            elif NOTHING not in kept:
                kept.append(NOTHING)
            if isinstance(event, ReplyStarted):
                break
        self._waiting += reversed(kept)


def _seconds(pcm: bytes) -> float:
    return len(pcm) / SAMPLE_BYTES / VOICE_RATE
