"""Replays a recording through a session, and measures where the time goes."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_BYTES
from streaming.controls import Control, Outcome
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA, Work
from streaming.events import Event, ToolCalled
from streaming.instruments.both_sides import BothSides
from streaming.instruments.ledger import Latency, Stopwatch
from streaming.tape.tape import Recorder, Tape


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a replay, for drawing."""

    at: int
    """Samples that the session had been given when the step was done."""

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
    sides: BothSides | None = None,
    calls: Callable[[ToolCalled], Outcome] | None = None,
) -> Iterator[Event | Latency]:
    """Feed a recording to a session.

    Args:
        session: a new one.
        pcm: the recording, 16 kHz, 16-bit little-endian, mono.
        realtime: go at the pace of the audio instead of as fast as possible.
        chunk_bytes: size of the pieces of input; events do not depend on it.
        trace: receives every step.
        sides: receives what is heard, the recording apart.
        calls: runs the functions that are the shell's, where the session offers any.

    Yields:
        The session's events, and the latency of each reply after its last event.
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
            if sides is not None:
                _tell(session, sides.take(given, seconds, events))
            if calls is not None:
                run_calls(session, calls, events)
            latency = stopwatch.count(given, session.work, seconds, events)
            yield from events
            if latency is not None:
                yield latency


def _tell(session: Session, controls: list[Control]) -> None:
    for control in controls:
        with suppress(EOFError):  # nothing is answered after the end
            session.control(control)


def run_calls(
    session: Session | Recorder, calls: Callable[[ToolCalled], Outcome], events: list[Event]
) -> None:
    """Run what a session called that is the shell's.

    Args:
        session: or what records it.
        calls: runs a function.
        events: of a step.
    """
    for event in events:
        if isinstance(event, ToolCalled) and event.by == "shell":
            session.control(calls(event))


def play(tape: Tape, session: Session, *, realtime: bool = False) -> Iterator[Event]:
    """Give a session the input that is on a tape.

    Args:
        tape: the tape.
        session: a new one, made as `tape.head` says, with the pace `tape.pace`.
        realtime: keep the recorded times instead of going as fast as possible; events do not depend
            on it.
    """
    begin = time.perf_counter()
    for milliseconds, piece in tape.inputs:
        if realtime and (early := begin + milliseconds / 1000 - time.perf_counter()) > 0:
            time.sleep(early)
        if isinstance(piece, bytes):
            session.receive(piece)
        else:
            session.control(piece)
        yield from _steps(session)
    if tape.ended:
        session.receive_eof()
        yield from _steps(session)
        for _, control in tape.late:
            session.control(control)
            yield from _steps(session)


def _steps(session: Session) -> Iterator[Event]:
    while (events := session.step()) is not NEED_DATA:
        yield from events
