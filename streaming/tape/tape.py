"""A recorded session: its input, its output, and when they came. It can be repeated to the byte.

A tape is JSON lines. The first one says how the session was made. The others, in order:

    {"in": "audio", "ms": 20.1, "data": BASE64}      cut as it came
    {"in": "ask", "ms": 950.0, "text": "What was that?"}
    {"in": "cancel", "ms": 990.3}
    {"in": "end", "ms": 1200.0}
    {"out": {"type": "speech.started", "at": 3200}, "ms": 340.2}
    {"tokens": 3, "after": 41}                       given out after the 41st piece of input

The pace at which a reply is given out depends on the machine, and where an interruption falls
depends on the pace. So the tape has the pace, too, and a session at that pace repeats the first
one.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from assistant.errors import ToolError
from streaming.controls import (
    Ask,
    Called,
    Cancel,
    Clear,
    Clock,
    Commit,
    Configure,
    Control,
    Forget,
    Hold,
    Outcome,
    Played,
    Recording,
    Returned,
    Truncate,
    Write,
)
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA, NeedData
from streaming.events import Event
from streaming.tape.event_json import to_json

VERSION = 1
LONGEST_MS = 7 * 24 * 60 * 60 * 1000
"""Largest time on a tape; no session lasts longer."""

_CONTROLS: dict[str, TypeAdapter[Control]] = {
    "ask": TypeAdapter(Ask),
    "write": TypeAdapter(Write),
    "called": TypeAdapter(Called),
    "returned": TypeAdapter(Returned),
    "outcome": TypeAdapter(Outcome),
    "clock": TypeAdapter(Clock),
    "cancel": TypeAdapter(Cancel),
    "commit": TypeAdapter(Commit),
    "hold": TypeAdapter(Hold),
    "clear": TypeAdapter(Clear),
    "recording": TypeAdapter(Recording),
    "configure": TypeAdapter(Configure),
    "forget": TypeAdapter(Forget),
    "played": TypeAdapter(Played),
    "truncate": TypeAdapter(Truncate),
}


class TapeError(ValueError):
    """A line of a tape cannot be understood."""


class Recorder:
    """A session that is written to a tape while it runs."""

    def __init__(
        self,
        session: Session,
        head: dict[str, Any],
        write: Callable[[str], object],
        milliseconds: Callable[[], float],
    ) -> None:
        """Args:
        session: a new one.
        head: how the session was made, with all that is needed to make one like it.
        write: receives each line.
        milliseconds: clock, since the session began.
        """
        self._session, self._write, self._now = session, write, milliseconds
        self._after, self._released = 0, 0
        self._line({"tape": VERSION, **head})

    def receive(self, audio: bytes) -> None:
        """See `Session.receive`."""
        self._came("audio", data=base64.b64encode(audio).decode())
        self._session.receive(audio)

    def control(self, control: Control) -> None:
        """See `Session.control`."""
        name = type(control).__name__.lower()
        self._came(name, **_CONTROLS[name].dump_python(control, mode="json", exclude_none=True))
        self._session.control(control)

    def receive_eof(self) -> None:
        """See `Session.receive_eof`."""
        self._came("end")
        self._session.receive_eof()

    def step(self) -> list[Event] | Literal[NeedData.NEED_DATA]:
        """See `Session.step`."""
        events = self._session.step()
        if self._session.taken != self._after:
            self._tell_pace()
        if events is not NEED_DATA:
            for event in events:
                shown = json.dumps(round(self._now(), 1))
                self._write(f'{{"out": {to_json(event)}, "ms": {shown}}}\n')
        return events

    def close(self) -> None:
        """Write the end of the tape."""
        self._tell_pace()

    def _tell_pace(self) -> None:
        given = self._session.released - self._released
        if given:
            self._line({"tokens": given, "after": self._after})
        self._after, self._released = self._session.taken, self._session.released

    def _came(self, what: str, **more: Any) -> None:
        self._line({"in": what, "ms": round(self._now(), 1), **more})

    def _line(self, values: dict[str, Any]) -> None:
        self._write(json.dumps(values, ensure_ascii=False) + "\n")


@dataclass(slots=True)
class Tape:
    """A tape that `Recorder` wrote."""

    head: dict[str, Any]
    inputs: list[tuple[float, bytes | Control]] = field(default_factory=list)
    """Audio and controls in order, each with its time in milliseconds."""

    ended: bool = False
    """Whether the input came to its end; False: the recording broke off."""

    late: list[tuple[float, Control]] = field(default_factory=list)
    """Outcomes of functions that came after the input's end."""

    events: list[str] = field(default_factory=list)
    """Events in order, as JSON."""

    tokens: dict[int, int] = field(default_factory=dict)
    """How many tokens were given out after each number of pieces of input."""

    def pace(self, taken: int) -> int:
        """The recorded `Pace`: how many tokens may be given out after `taken` pieces of input."""
        return self.tokens.get(taken, 0)

    def recut(self, seed: int) -> "Tape":
        """A tape with the same input, in which the audio is cut at other places."""
        rng = np.random.default_rng(seed)
        inputs: list[tuple[float, bytes | Control]] = []
        for milliseconds, piece in self._joined():
            if not isinstance(piece, bytes):
                inputs.append((milliseconds, piece))
                continue
            at = 0
            while at < len(piece):
                size = int(rng.choice([1, 7, 333, 640, 5000]))
                inputs.append((milliseconds, piece[at : at + size]))
                at += size
        return replace(self, inputs=inputs)

    def _joined(self) -> Iterator[tuple[float, bytes | Control]]:
        """The inputs, with all audio between two controls joined."""
        audio: list[bytes] = []
        when = 0.0
        for milliseconds, piece in self.inputs:
            if isinstance(piece, bytes):
                audio.append(piece)
                when = milliseconds
            else:
                yield when, b"".join(audio)
                yield milliseconds, piece
                audio.clear()
        yield when, b"".join(audio)


def read_tape(lines: Iterable[str]) -> Tape:
    """Read a tape.

    Args:
        lines: of the file, split at newlines alone, since an instruction may contain other
            characters that end a line in Unicode.

    Raises:
        TapeError: it is no tape, or of another version; the message names the line.
    """
    tape: Tape | None = None
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise TapeError("no object")
            if tape is None:
                if values.pop("tape", None) != VERSION:
                    raise TapeError(f"not a tape of version {VERSION}")
                tape = Tape(values)
            else:
                _read(tape, values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise TapeError(f"line {number}: {where}: {first['msg']}") from error
        except RecursionError as error:
            raise TapeError(f"line {number}: nested too deep") from error
        except (ValueError, TypeError, ToolError) as error:
            raise TapeError(f"line {number}: {error}") from error
    if tape is None:
        raise TapeError("line 1: nothing there")
    return tape


def _read(tape: Tape, values: dict[str, Any]) -> None:
    match values:
        case {"out": event}:
            tape.events.append(json.dumps(event, ensure_ascii=False))
        case {"tokens": tokens, "after": after}:
            tape.tokens[_count("after", after)] = _count("tokens", tokens)
        case {"in": "audio", "ms": ms, "data": data}:
            tape.inputs.append((_milliseconds(ms), base64.b64decode(data, validate=True)))
        case {"in": "end"}:
            tape.ended = True
        case {"in": str(name), "ms": ms, **rest} if name in _CONTROLS:
            given = _milliseconds(ms), _CONTROLS[name].validate_python(rest)
            (tape.late if tape.ended else tape.inputs).append(given)
        case {"in": name, "ms": _}:
            raise TapeError(f"in: {name!r:.60} is no input")
        case _:
            raise TapeError(f"unknown line with {', '.join(values):.60}")


def _milliseconds(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= LONGEST_MS:  # type: ignore[operator]
        raise TapeError(f"ms: {value!r:.60} is no number from 0 to {LONGEST_MS}")
    return float(value)  # type: ignore[arg-type]


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TapeError(f"{name}: {value!r:.60} is no count")
    return value
