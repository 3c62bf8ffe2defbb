"""What the log of a server holds, summed up.

    python -m bench.server_log FILE

Lines by their kind, and what must not be there: lines that are none of ours, tracebacks, control
characters. `bench.abuse` looks at the lines of each abuse with it, and keeps a log with `--log`.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.common import show

OURS = re.compile(
    r"(?P<minute>\d{4}-\d\d-\d\d \d\d:\d\d):\d\d,\d{3} (INFO|WARNING|ERROR|CRITICAL) "
    r"(?P<kind>(connection|request|session|server)\.[a-z_]+)(?P<fields>( [a-z_]+=[!-~]*)*) ?",
    re.ASCII,
)
"""One line for an event: when, how grave, its kind, and fields of visible ASCII."""

PIECE = 4
"""Bytes of a secret that tell it: fewer may be in a log by chance."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Of a log, or of a part of one."""

    kinds: Counter[str]
    """Lines of ours by their kind."""

    left_out: int
    """Lines that there was no room for, as the next ones of their kinds say: `more=312`."""

    longest: int
    """Bytes of the longest line."""

    strange: tuple[str, ...]
    """Lines that are none of ours."""

    controls: int
    """Control characters, the ends of lines apart."""

    tracebacks: int
    size: int
    """Bytes."""

    minutes: int
    """From the first line of ours to the last, begun ones too."""

    busiest: int
    """Bytes of ours in the busiest minute."""

    @property
    def lines(self) -> int:
        return self.kinds.total() + len(self.strange)

    def row(self) -> dict[str, int | float]:
        """Figures to show."""
        return {
            "lines": self.lines,
            **{f"{kind}, lines": count for kind, count in self.kinds.most_common()},
            "left out, as lines say": self.left_out,
            "longest line, bytes": self.longest,
            "lines that are none of ours": len(self.strange),
            "control characters": self.controls,
            "tracebacks": self.tracebacks,
            "bytes": self.size,
            "minutes": self.minutes,
            "bytes per minute": self.size / max(1, self.minutes),
            "bytes of ours, busiest minute": self.busiest,
        }


def summary(log: bytes) -> Summary:
    """Sum up a log."""
    kinds: Counter[str] = Counter()
    minutes: Counter[str] = Counter()
    strange = []
    left_out = 0
    lines = log.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        found = OURS.fullmatch(text := line.decode("latin-1"))
        if found is None:
            strange.append(text)
            continue
        kinds[found["kind"]] += 1
        minutes[found["minute"]] += len(line) + 1
        if more := re.search(r" more=(\d+)", found["fields"]):
            left_out += int(more[1])
    return Summary(
        kinds=kinds,
        left_out=left_out,
        longest=max(map(len, lines), default=0),
        strange=tuple(strange),
        controls=len(re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", log)),
        tracebacks=log.count(b"Traceback (most recent call last)"),
        size=len(log),
        minutes=_from_first_to_last(minutes),
        busiest=max(minutes.values(), default=0),
    )


def _from_first_to_last(minutes: Iterable[str]) -> int:
    """Both of them counted; the log is of one day, or of two that follow each other."""
    seen = sorted(minutes)
    if not seen:
        return 0
    first, last = (60 * int(minute[-5:-3]) + int(minute[-2:]) for minute in (seen[0], seen[-1]))
    return (last - first) % (24 * 60) + 1


def pieces_of(secret: bytes, log: bytes) -> int:
    """How many different pieces of a secret, `PIECE` bytes each, stand in a log."""
    pieces = {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}
    return sum(piece in log for piece in pieces)


def main() -> None:
    (file,) = sys.argv[1:]
    found = summary(Path(file).read_bytes())
    show(Path(file).name, [dict(found.row())])
    for line in found.strange[:20]:
        print(ascii(line[:200]))


if __name__ == "__main__":
    main()
