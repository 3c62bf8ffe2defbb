"""Replaying a recording through a session, with a clock beside it: where the time goes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from streaming.events import Event, ReplyDelta, ReplyEnded, SpeechEnded, SpeechStarted
from streaming.frames import FRAME_BYTES, SAMPLE_RATE
from streaming.session import Session
from streaming.work import NEED_DATA, Work


@dataclass(slots=True)
class Latency:
    """One reply's wait, in milliseconds of this machine, but for the first, which is by choice."""

    endpoint_wait_ms: float = 0.0
    """Silence waited for before speech counts as over: audio time."""

    backlog_ms: float = 0.0
    """How late the frame that decided the endpoint was looked at: work begun before it, which the
    wait was too short to hide."""

    encode_ms: float = 0.0
    """Encoding the block that was open, after the endpoint."""

    prefill_ms: float = 0.0
    """Its audio tokens and the prompt's tail, after the endpoint."""

    first_token_ms: float = 0.0
    """Choosing and showing the first text, after the endpoint."""

    tokens_per_s: float = 0.0
    """Of the whole reply, begun in secret or not."""

    listening_ms: float = 0.0
    """Encoding and prefill done before the endpoint, hidden behind the speech."""

    secret_ms: float = 0.0
    """Work on the reply between the soft endpoint and the endpoint, hidden behind the wait."""

    @property
    def compute_ms(self) -> float:
        """Endpoint decided to first text."""
        return self.backlog_ms + self.encode_ms + self.prefill_ms + self.first_token_ms


@dataclass(slots=True)
class Stopwatch:
    """Adds up the work of a session's steps and makes a `Latency` per reply.

    Steps are taken as one worker would do them live, each when its audio is there and the step
    before it is done, however fast the recording was given.
    """

    latency: Latency = field(default_factory=Latency)
    _state: str = "speaking"  # then "ended", then "replying"
    _decode_s: float = 0.0
    _now: float = 0.0  # seconds of the stream

    def count(self, at: int, work: Work, seconds: float, events: list[Event]) -> Latency | None:
        """Take one step; returns the reply's latency when the reply is over.

        Args:
            at: samples that had been given when it was done.
            work: what it did.
            seconds: how long that took.
            events: what came of it.
        """
        begin = max(self._now, at / SAMPLE_RATE)
        self._now = begin + seconds
        self._add(work, 1000 * seconds)
        if work is Work.DECODE:
            self._decode_s += seconds
        for event in events:
            match event:
                case SpeechStarted() if self._state == "speaking":
                    self.latency, self._decode_s = Latency(), 0.0
                case SpeechEnded(end, decided_at) if self._state == "speaking":
                    self._state = "ended"
                    self.latency.endpoint_wait_ms = 1000 * (decided_at - end) / SAMPLE_RATE
                    self.latency.backlog_ms = 1000 * (begin - at / SAMPLE_RATE)
                case ReplyDelta():
                    self._state = "replying"
                case ReplyEnded(tokens=tokens):
                    self.latency.tokens_per_s = tokens / self._decode_s if self._decode_s else 0.0
                    done, self.latency = self.latency, Latency()
                    self._state, self._decode_s = "speaking", 0.0
                    return done
                case _:
                    pass
        return None

    def _add(self, work: Work, milliseconds: float) -> None:
        match work, self._state:
            case Work.LISTEN, "speaking":
                self.latency.listening_ms += milliseconds
            case ((Work.ENCODE | Work.PREFILL | Work.DECODE), "speaking"):
                self.latency.secret_ms += milliseconds
            case Work.ENCODE, "ended":
                self.latency.encode_ms += milliseconds
            case Work.PREFILL, "ended":
                self.latency.prefill_ms += milliseconds
            case Work.DECODE, "ended":
                self.latency.first_token_ms += milliseconds


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a replay, for drawing."""

    at: int
    """Samples that had been given when it was done."""

    work: Work
    seconds: float
    events: list[Event]


def replay(
    session: Session,
    pcm: bytes,
    *,
    realtime: bool = False,
    chunk_bytes: int = FRAME_BYTES,
    trace: list[Step] | None = None,
) -> Iterator[Event | Latency]:
    """Feed a recording to a session.

    Args:
        session: fresh.
        pcm: 16 kHz, 16-bit little-endian, mono.
        realtime: keep to the audio clock instead of going as fast as possible.
        chunk_bytes: size of the pieces it is given in; events do not depend on it.
        trace: receives every step.

    Yields:
        The session's events, and after each reply its latency.
    """
    stopwatch = Stopwatch()
    start = time.perf_counter()
    for at in range(0, len(pcm) + 1, chunk_bytes):
        chunk = pcm[at : at + chunk_bytes]
        due = start + (at + len(chunk)) / (2 * SAMPLE_RATE)
        if realtime and (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        session.receive(chunk)
        if at + chunk_bytes > len(pcm):
            session.receive_eof()
        while True:
            begin = time.perf_counter()
            events = session.step()
            if events is NEED_DATA:
                break
            assert isinstance(events, list)
            seconds = time.perf_counter() - begin
            given = (at + len(chunk)) // 2
            if trace is not None:
                trace.append(Step(given, session.work, seconds, events))
            latency = stopwatch.count(given, session.work, seconds, events)
            yield from events
            if latency is not None:
                yield latency
