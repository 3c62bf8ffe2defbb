"""One session's place at the server: it outlives a connection that drops."""

import asyncio
import json
import time
from collections import deque
from dataclasses import asdict
from typing import Any

from websockets.asyncio.server import ServerConnection

from assistant.errors import AssistantError
from streaming.frames import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from streaming.ledger import Latency, Stopwatch
from streaming.realtime.protocol import Output, Realtime
from streaming.server.rate import Allowance
from streaming.server.worker import Done, Worker

KEPT = 2000
"""Server events that are kept for a client that comes back."""

KEPT_BYTES = 4 * 2**20
"""Of them."""


class Seat:
    """Protocol, outgoing events and timing of one session; lives on the event loop."""

    def __init__(self, name: str, protocol: Realtime, worker: Worker) -> None:
        self.name, self.protocol, self._worker = name, protocol, worker
        self.begun = time.monotonic()
        self.allowance = Allowance(self.begun)
        """What the client may send; it is its own, whatever connection it comes over."""

        self.messages = 0
        """Text messages that came in."""

        self.took_long = False
        """Some message was long."""

        self.given = 0
        """Samples that came in, at 16 kHz."""

        self.heard = 0
        """Samples the model has looked at."""

        self.sent = 0
        """Number of the last event that was written to a socket."""

        self.waiting = 0
        """Pieces of input that it has not looked at: frames and controls."""

        self.left_at: float | None = None
        """When the last connection was lost; None while there is one."""

        self.over: str | None = None
        """Why the session has ended."""

        self.resumed = False
        self.connection: ServerConnection | None = None
        self._progress = asyncio.Event()
        self._arrived: deque[tuple[int, float]] = deque()  # samples given, and when
        self._stopwatch = Stopwatch()
        self._given_pieces = 0
        self._answered_at = self.begun  # something was being answered
        self._log: deque[bytes] = deque()
        self._log_bytes = 0
        self._logged = 0  # events ever put into the log
        self.news = asyncio.Event()
        """Set when there are events that were not written."""

    @property
    def last(self) -> int:
        """Number of the last event."""
        return self._logged

    def put(self, output: Output) -> None:
        """Send events, and give the session its input."""
        for piece in output.inputs:
            if isinstance(piece, bytes):
                self.given += len(piece) // 2
                self._arrived.append((self.given, time.monotonic()))
            frames = len(piece) // FRAME_BYTES if isinstance(piece, bytes) else 1
            self._given_pieces += frames
            self.waiting += frames
        if output.inputs:
            self._worker.give(self.name, output.inputs)
        self.send(output.events)

    def hear(self, audio: bytes) -> None:
        """Audio as it is, in the session's input format."""
        self.put(Output(inputs=self.protocol.hear(audio)))

    async def caught_up(self, backlog_s: float, unread: int) -> None:
        """Wait while more than so much audio waits, or the client left that many events unread.

        A control counts as 20 ms of audio.
        """
        most = backlog_s * SAMPLE_RATE / FRAME_SAMPLES
        while self.over is None and (self.waiting > most or self.last - self.sent > unread):
            self._progress.clear()
            await self._progress.wait()

    def wrote(self, number: int) -> None:
        """The events up to this one were written to a socket."""
        self.sent = number
        self._progress.set()

    def busy(self, since: float) -> bool:
        """Answering, or it was since some second of `time.monotonic`."""
        if self.protocol.answering:
            self._answered_at = time.monotonic()
        return self._answered_at > since

    def fail(self, error: Exception) -> None:
        """The session is broken off."""
        told = str(error) if isinstance(error, AssistantError) else "an error of the server"
        self.send([self.protocol.server_error(told)])
        self.end("the session failed")

    def done(self, done: Done) -> tuple[int, Latency | None]:
        """A step of the session was done.

        Returns:
            Samples heard in it, and the reply's latency if one is over.
        """
        heard, self.heard = done.heard - self.heard, done.heard
        self.waiting = self._given_pieces - done.taken
        self._progress.set()
        latency = self._stopwatch.count(
            done.heard, done.work, done.seconds, done.events, self._stream_time(done)
        )
        for event in done.events:
            self.send(self.protocol.translate(event))
        if latency is not None and self.protocol.config.salmonn.latency:
            figures = {key: round(value, 3) for key, value in asdict(latency).items()}
            told = {**figures, "compute_ms": round(latency.compute_ms, 3)}
            self.send([self.protocol.extension("latency", **told)])
        return heard, latency

    def _stream_time(self, done: Done) -> float:
        """When the step began, in seconds of the stream: its audio's time, and how late it was."""
        while len(self._arrived) > 1 and self._arrived[0][0] < done.heard:
            self._arrived.popleft()
        arrived = self._arrived[0][1] if self._arrived else done.begun
        return done.heard / SAMPLE_RATE + max(0.0, done.begun - arrived)

    def send(self, events: list[dict[str, Any]]) -> None:
        """Put events into the log; whoever writes to a socket sees them."""
        for event in events:
            line = _line(event)
            self._log.append(line)
            self._logged += 1
            self._log_bytes += len(line)
            while len(self._log) > KEPT or self._log_bytes > KEPT_BYTES:
                self._log_bytes -= len(self._log.popleft())
        self.news.set()

    def end(self, why: str) -> None:
        """The session is over."""
        self.over = why
        self.news.set()
        self._progress.set()

    def after(self, number: int) -> list[bytes] | None:
        """Events after the one of a number; None when they are not kept, or there never was one."""
        missing = self._logged - number
        if not 0 <= missing <= len(self._log):
            return None
        return list(self._log)[len(self._log) - missing :] if missing > 0 else []


def _line(event: dict[str, Any]) -> bytes:
    """An event as UTF-8."""
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, told back as it came
        return json.dumps(event).encode()
