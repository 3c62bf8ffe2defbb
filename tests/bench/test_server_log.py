"""What the log of a server holds: lines of ours, and what must not be there."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.server_log import PIECE, pieces_of, summary
from streaming.server.log import Log

OURS = b"2026-11-28 23:59:58,100 INFO session.begins session=sess_ab12c\n"
REFUSED = b"2026-11-29 00:01:02,007 INFO connection.refused why=rate status=429 more=312\n"
FAILS = b"2026-11-29 00:01:03,007 ERROR session.fails session=sess_a error=E at=a.py:1<b.py:20\n"


def test_lines_are_counted_by_kind_and_size() -> None:
    found = summary(OURS + REFUSED + REFUSED + FAILS)
    assert found.kinds == {"session.begins": 1, "connection.refused": 2, "session.fails": 1}
    assert found.left_out == 624
    assert found.lines == 4
    assert found.longest == len(FAILS) - 1
    assert (found.strange, found.controls, found.tracebacks) == ((), 0, 0)
    assert found.size == len(OURS + REFUSED + REFUSED + FAILS)
    assert found.minutes == 3  # 23:59, 00:00, 00:01
    assert found.busiest == len(REFUSED + REFUSED + FAILS)


def test_what_is_not_ours_is_told() -> None:
    traceback = b'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: secret\n'
    found = summary(OURS + traceback + OURS)
    assert (found.lines, len(found.strange), found.tracebacks) == (5, 3, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"2026-11-28 23:59:58,100 INFO session.begins session=sess_\x1b[31m",
        b"2026-11-28 23:59:58,100 INFO session.begins session=a text\n",
        b"2026-11-28 23:59:58,100 ERROR asyncio: Task was destroyed\n",
        b"2026-11-28 23:59:58,100 INFO other.kind a=b\n",
        b"2026-11-28 23:59:58,100 INFO session.begins session=\xff\n",
        "2026-11-28 23:59:58,100 INFO session.begins session=é\n".encode(),
        b"2026-11-28 23:59:58,100 INFO session.begins session=a\r\n",
        b"session.begins session=a\n",
        b"\n",
    ],
)
def test_a_line_that_is_nearly_ours_is_none(line: bytes) -> None:
    assert summary(OURS + line).strange != ()
    assert summary(OURS + line).kinds == {"session.begins": 1}


def test_control_characters_are_counted_but_for_the_ends_of_lines() -> None:
    assert summary(OURS + b"\x1b]0;\x07\r\x00\x7f\t\n").controls == 6


def test_an_empty_log_has_nothing() -> None:
    found = summary(b"")
    assert (found.lines, found.longest, found.minutes, found.busiest) == (0, 0, 0, 0)


def test_what_the_server_writes_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lines = Log(lambda: now)
    with caplog.at_level(logging.INFO, "salmonn-live"):
        for _ in range(25):
            lines.line("connection.refused", why="rate", status=429)
        now = 10.0
        lines.line("connection.refused", why="rate", status=429)
        lines.line("connection.fails")
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    found = summary("".join(form.format(r) + "\n" for r in caplog.records).encode())
    assert found.kinds == {"connection.refused": 21, "connection.fails": 1}
    assert (found.left_out, found.strange) == (5, ())


@given(secret=st.binary(min_size=PIECE, max_size=20), before=st.binary(), after=st.binary())
def test_a_secret_and_every_piece_of_it_are_found(
    secret: bytes, before: bytes, after: bytes
) -> None:
    pieces = len({secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)})
    assert pieces_of(secret, before + secret + after) == pieces
    assert pieces_of(secret, before + secret[:PIECE] + after) >= 1


def test_what_is_no_piece_of_a_secret_is_not_found() -> None:
    assert pieces_of(b"s3cr3t/AbC", OURS + REFUSED + b"s3c r3t /Ab") == 0
