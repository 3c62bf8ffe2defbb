"""When the events of a spoken reply are told: at the pace of its audio, and a little ahead of it.

A voice is made many times as fast as it is heard. What was sent cannot be taken back, so most of it
waits here, where an interruption throws it away.
"""

from collections import deque

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


class Playback:
    """The replies of one session, on a clock; other events never wait."""

    def __init__(self) -> None:
        self._waiting: deque[OfReply] = deque()
        self._turn = 0
        self._told = self._reported = 0  # samples of the reply that is being told
        self._characters = 0  # of its text, told with them
        self._is_spoken = False
        self._ends_at = 0.0  # when what was told is over, in seconds of the clock
        self._controls: list[Control] = []

    def take(self, event: Event, now: float) -> list[Event]:
        """Take an event of the session; the events that are told now."""
        if not isinstance(event, OfReply):
            return [event]
        if isinstance(event, ReplyAudio):
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
        played = self._told - max(0, round((self._ends_at - now) * VOICE_RATE))
        is_all = not self._waiting and played >= self._told > self._reported
        if is_all or played - self._reported >= VOICE_RATE:
            self._reported = played
            self._controls.append(Played(self._turn, played))

    def wake_at(self, now: float) -> float | None:
        """When there is something to be told next, or to tell the session; None: never."""
        if self._waiting:
            return self._due_at(self._waiting[0], now)
        return self._ends_at if self._told > self._reported else None

    def controls(self) -> list[Control]:
        """What the session has to know: how much of a reply was played, and what never will be."""
        controls, self._controls = self._controls, []
        return controls

    def _due_at(self, event: OfReply, now: float) -> float:
        if not isinstance(event, ReplyAudio) or not event.pcm:
            return now
        return max(self._ends_at, now) + _seconds(event) - AHEAD_S

    def _count(self, event: OfReply, now: float) -> None:
        match event:
            case ReplyStarted(turn=turn):
                self._turn, self._told, self._reported, self._characters = turn, 0, 0, 0
                self._is_spoken = False
            case ReplyAudio(text, pcm):
                self._is_spoken = True
                self._characters += len(text)
                self._told += len(pcm) // SAMPLE_BYTES
                self._ends_at = max(self._ends_at, now) + _seconds(event)
            case ReplyEnded(_, reason):
                if self._is_spoken and reason in ("interrupted", "cancelled"):
                    self._controls.append(Truncate(self._turn, self._characters))
                    self._ends_at = now  # clients stop at once
                self._reported = self._told
            case ReplyDelta() | ToolCalled() | ToolReturned():
                pass

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


def _seconds(audio: ReplyAudio) -> float:
    return len(audio.pcm) / SAMPLE_BYTES / VOICE_RATE
