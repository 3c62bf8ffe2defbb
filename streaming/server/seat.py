"""The place of one session at the server, which outlives a connection that drops."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Protocol

from assistant.errors import AssistantError
from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.controls import Control
from streaming.events import Event, ReplyEnded
from streaming.instruments.ledger import Latency, Stopwatch
from streaming.realtime.protocol import Output, Realtime
from streaming.server.errands import Errands
from streaming.server.playback import Playback
from streaming.server.rate import Allowance
from streaming.server.worker import Done, Host
from streaming.shell import Calls

KEPT = 2000
"""Most server events that are kept for a client that comes back."""

KEPT_BYTES = 4 * 2**20
"""Most bytes of server events that are kept."""

UNSENT_BYTES = KEPT_BYTES // 2
"""Bytes of unread events from which no more of a client's messages are taken."""


class Abortable(Protocol):
    """What carries a connection."""

    def abort(self) -> None:
        """End it at once."""


class Link(Protocol):
    """A client's connection, of whichever kind: its messages are iterated over."""

    @property
    def transport(self) -> Abortable:
        """What carries it."""

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...

    async def send(self, message: str | bytes, text: bool | None = None) -> None:
        """Send a message; `text`: bytes are UTF-8."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, with a code of RFC 6455 and a reason."""

    async def wait_closed(self) -> None:
        """Wait until it is closed."""


class Seat:
    """Protocol, outgoing events and timing of one session; used on the event loop alone."""

    def __init__(
        self,
        name: str,
        protocol: Realtime,
        worker: Host,
        calls: Calls | None = None,
        playback: Playback | None = None,
        *,
        resumable: bool = True,
    ) -> None:
        """Args:
        name: of the session.
        protocol: of its client.
        worker: steps the session.
        calls: runs its functions; None: there is nothing to run.
        playback: how its replies are played; None: by the client.
        resumable: a client may come back to it.
        """
        self.name, self.protocol, self._worker = name, protocol, worker
        self._errands = Errands(calls, self._control)
        self.begun = time.monotonic()
        self.allowance = Allowance(self.begun)
        """Limit of the client's messages, over all of its connections."""

        self.messages = 0
        """Number of text messages that came in."""

        self.took_long = False
        """Whether any message was a long one."""

        self.given = 0
        """Number of samples that came in, at 16 kHz."""

        self.heard = 0
        """Number of samples that the session has processed."""

        self.sent = 0
        """Number of the last event that was written to a socket."""

        self.waiting = 0
        """Pieces of input that the session has not processed: frames and controls."""

        self.left_at: float | None = None
        """Time at which the last connection was lost; None while there is one."""

        self.over: tuple[int, str] | None = None
        """Close code and reason, once the session has ended."""

        self.ended = asyncio.Event()
        """Set when the session has ended."""

        self.timers: list[asyncio.TimerHandle] = []
        """Timers for the warning before the session's end, and for the end."""

        self.taking = asyncio.Lock()
        """Locked while a message is taken, so that messages are taken one after another."""

        self.work_s = 0.0
        """Seconds of the event loop's time that the current message has taken."""

        self.answered_bytes = 0
        """Bytes of events that answered messages immediately."""

        self.resumable, self.resumed = resumable, False
        self.connection: Link | None = None
        self._playback = playback or Playback()
        self._alarm: asyncio.TimerHandle | None = None  # when it goes on
        self._progress = asyncio.Event()
        self._arrived: deque[tuple[int, float]] = deque()  # samples given, and when
        self._stopwatch = Stopwatch()
        self._given_pieces = 0
        self._answered_at = self.begun  # something was being answered
        self._log: deque[tuple[bytes, int]] = deque()  # events, and the size of all before them
        self._logged = 0  # events ever put into the log
        self._logged_bytes = 0
        self.news = asyncio.Event()
        """Set when there are events to be written."""

    @property
    def last(self) -> int:
        """Number of the session's last event."""
        return self._logged

    def begin(self) -> None:
        """Send what is sent first."""
        self._errands.begin()
        self.put(self.protocol.begin())

    def _control(self, control: Control) -> None:
        """Give the session a control that no client sent."""
        if self.over is None:
            self.put(Output(inputs=[control]))

    def put(self, output: Output) -> None:
        """Send events, and give the session its input."""
        if frames := sum(isinstance(piece, Frame) for piece in output.inputs):
            self.given += frames * FRAME_SAMPLES
            self._errands.given = self.given
            self._arrived.append((self.given, time.monotonic()))
        self._given_pieces += len(output.inputs)
        self.waiting += len(output.inputs)
        if output.inputs:
            self._worker.give(self.name, output.inputs)
        if output.clears:
            self.clear()
        before = self._logged_bytes
        self.send(output.events)
        self.answered_bytes += self._logged_bytes - before

    def hear(self, audio: bytes) -> None:
        """Give the session audio, in its input format."""
        self.put(Output(inputs=self.protocol.hear(audio)))

    async def caught_up(self, backlog_s: float, unread: int) -> None:
        """Wait while too much input is unprocessed, or too many events are unread.

        Args:
            backlog_s: limit of unprocessed audio, in seconds; a control counts as 20 ms.
            unread: limit of unread events; `UNSENT_BYTES` limits their size, too.
        """
        most = backlog_s * SAMPLE_RATE / FRAME_SAMPLES
        while self.over is None and (
            self.waiting > most
            or self.last - self.sent > unread
            or self._unsent_bytes() > UNSENT_BYTES
        ):
            self._progress.clear()
            await self._progress.wait()

    def _unsent_bytes(self) -> int:
        """Bytes of events that were not written to a socket."""
        unsent = self._logged - self.sent
        if unsent <= 0:
            return 0
        return self._logged_bytes - self._log[-min(unsent, len(self._log))][1]

    def wrote(self, number: int) -> None:
        """Note that the events up to this number were written to a socket."""
        self.sent = number
        self._progress.set()

    def busy(self, since: float) -> bool:
        """Whether the session answers now, or did after the time `since` of `time.monotonic`."""
        if self.protocol.answering:
            self._answered_at = time.monotonic()
        return self._answered_at > since

    def fail(self, code: int, error: Exception) -> None:
        """End the session because of an error; the client gets the message of an
        `AssistantError`."""
        told = str(error) if isinstance(error, AssistantError) else "an error of the server"
        self.send([self.protocol.server_error("session_failed", told)])
        self.end(code, "the session failed")

    def warn(self, seconds: float) -> None:
        """Tell the client that the session ends in `seconds`."""
        left = {"expires_at": self.protocol.config.expires_at, "seconds_left": round(seconds)}
        self.send([self.protocol.extension("session_expires", **left)])

    def expire(self, code: int) -> None:
        """End the session because it has reached its longest duration."""
        why = "the session is over: it lasted as long as it may"
        self.send([self.protocol.server_error("session_expired", why)])
        self.end(code, why)

    def done(self, done: Done) -> tuple[int, Latency | None]:
        """Take the result of a step.

        Returns:
            Number of samples heard in the step, and the latency of a reply that ended in it.
        """
        heard, self.heard = done.heard - self.heard, done.heard
        self.waiting = self._given_pieces - done.taken
        self._progress.set()
        latency = self._stopwatch.count(
            done.heard, done.work, done.seconds, done.events, self._stream_time(done)
        )
        self._errands.take(done.events)
        for event in done.events:
            self._tell(self._playback.take(event, time.monotonic()))
        self.play_on()
        if latency is not None and self.protocol.config.salmonn.latency:
            figures = {key: round(value, 3) for key, value in asdict(latency).items()}
            told = {**figures, "compute_ms": round(latency.compute_ms, 3)}
            self.send([self.protocol.extension("latency", **told)])
        return heard, latency

    def clear(self) -> None:
        """Play no more of the last answer."""
        self._playback.clear(time.monotonic())
        if self.protocol.track is not None:
            self.protocol.track.heard_until(self._playback.told_ms)
            self.send(self.protocol.track.cleared())
        self.play_on()

    def _tell(self, events: list[Event]) -> None:
        track = self.protocol.track
        for event in events:
            stops = isinstance(event, ReplyEnded) and event.reason in ("interrupted", "cancelled")
            if track is not None and stops:
                track.heard_until(self._playback.told_ms)
            self.send(self.protocol.translate(event))
            if track is not None and stops:
                self.send(track.cleared())

    def play_on(self) -> None:
        """Tell what is due of a spoken reply, and come back for the rest of it; a player calls
        this, too, when it has played all that there was."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.over is not None:
            return
        now = time.monotonic()
        self._tell(self._playback.due(now))
        if self.protocol.track is not None and self._playback.is_over(now):
            self.send(self.protocol.track.stopped())
        if controls := self._playback.controls():
            self.put(Output(inputs=[*controls]))
        if (at := self._playback.wake_at(now)) is not None:
            wait = max(0.0, at - now)
            self._alarm = asyncio.get_running_loop().call_later(wait, self.play_on)

    def _stream_time(self, done: Done) -> float:
        """Begin of a step in seconds of the stream: the time of its audio, plus its delay."""
        while len(self._arrived) > 1 and self._arrived[0][0] < done.heard:
            self._arrived.popleft()
        arrived = self._arrived[0][1] if self._arrived else done.begun
        return done.heard / SAMPLE_RATE + max(0.0, done.begun - arrived)

    def send(self, events: list[dict[str, Any]]) -> None:
        """Number events and keep them, for the task that writes to the socket."""
        for event in events:
            line = _line(event)
            self._log.append((line, self._logged_bytes))
            self._logged += 1
            self._logged_bytes += len(line)
            while self._log and (
                len(self._log) > KEPT or self._logged_bytes - self._log[0][1] > KEPT_BYTES
            ):
                self._log.popleft()
        self.news.set()

    def end(self, code: int, why: str) -> None:
        """End the session with a close code and a reason, unless it has ended already."""
        if self.over is None:
            self.over = code, why
        if self._alarm is not None:
            self._alarm.cancel()
        self._errands.end()
        self.ended.set()
        self.news.set()
        self._progress.set()

    def after(self, number: int) -> list[bytes] | None:
        """Events after a number; None if they are no longer kept, or the number never existed."""
        missing = self._logged - number
        if not 0 <= missing <= len(self._log):
            return None
        return [line for line, _ in list(self._log)[len(self._log) - missing :]]


def _line(event: dict[str, Any]) -> bytes:
    """An event as UTF-8."""
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, told back as it came
        return json.dumps(event).encode()
