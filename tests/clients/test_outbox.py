"""What is sent and kept, in order, against a server that loses its connection."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from clients import outbox
from clients.outbox import AUDIO_BYTES, MESSAGE_BYTES, MESSAGES, Outbox

SECOND = bytes(2 * outbox.SAMPLE_RATE)
FIRST = "settings"


def all_of(box: Outbox) -> list[bytes | str]:
    """What is to be sent now."""
    taken = []
    while (piece := box.take()) is not None:
        taken.append(piece)
    return taken


def test_everything_is_sent_once_and_in_order() -> None:
    box = Outbox(FIRST)
    for piece in (b"12", "a", b"34"):
        box.put(piece)
    assert all_of(box) == [FIRST, b"12", "a", b"34"]
    box.put("b")
    assert all_of(box) == ["b"]
    assert all_of(box) == []


def test_what_could_not_be_sent_is_next() -> None:
    box = Outbox(FIRST)
    box.put(b"12")
    box.put("a")
    assert all_of(box) == [FIRST, b"12", "a"]
    for _ in range(3):
        box.untake()
    assert all_of(box) == [FIRST, b"12", "a"]


class Server:
    """Counts what it got, as a session of ours does, and keeps it."""

    def __init__(self) -> None:
        self.audio, self.messages = b"", list[str]()
        self.got: list[int | str] = []  # bytes of audio, one by one, and messages

    def take(self, piece: bytes | str, cut: int | None = None) -> None:
        if isinstance(piece, bytes):
            self.audio += piece[:cut]
            self.got += piece[:cut]
        elif cut is None:
            self.messages.append(piece)
            self.got.append(piece)


PIECES = some.lists(
    some.one_of(some.binary(max_size=4), some.text("ab", min_size=1, max_size=2)), max_size=12
)


@settings(deadline=None)
@given(
    PIECES, some.lists(some.tuples(some.integers(0, 6), some.integers(0, 6), some.integers(0, 4)))
)
def test_wherever_it_breaks_the_server_has_everything_once_and_in_order(
    pieces: list[bytes | str], breaks: list[tuple[int, int, int]]
) -> None:
    """A break: so many pieces are put before it, so many of what is sent arrive whole, and of the
    next so many bytes.
    """
    box, server, left = Outbox(FIRST), Server(), list(pieces)
    for put, whole, part in breaks:
        for _ in range(min(put, len(left))):
            box.put(left.pop(0))
        for number, piece in enumerate(all_of(box)):
            if number < whole:
                server.take(piece)
            elif number == whole:
                server.take(piece, part)
        box.resume(len(server.audio), len(server.messages))
    for piece in left:
        box.put(piece)
    for piece in all_of(box):
        server.take(piece)
    wanted = [one for piece in pieces for one in ([piece] if isinstance(piece, str) else piece)]
    assert server.got == [FIRST, *wanted]


def test_audio_that_is_kept_no_longer_is_left_out_once() -> None:
    box = Outbox(FIRST)
    for _ in range(40):
        box.put(SECOND)
    all_of(box)
    box.resume(500, 1)
    assert all_of(box) == [SECOND] * (AUDIO_BYTES // len(SECOND))
    box.put(b"more")
    assert all_of(box) == [b"more"]
    box.resume(500 + AUDIO_BYTES, 1)
    assert all_of(box) == [b"more"]
    box.put(SECOND)
    assert all_of(box) == [SECOND]
    box.resume(500 + AUDIO_BYTES + 4, 1)
    assert all_of(box) == [SECOND]


def test_messages_that_are_kept_no_longer_are_left_out_once() -> None:
    box = Outbox(FIRST)
    for number in range(MESSAGES + 10):
        box.put(str(number))
    all_of(box)
    box.resume(0, 1)
    assert all_of(box) == [str(number) for number in range(10, MESSAGES + 10)]
    box.put("more")
    box.resume(0, 1 + MESSAGES)
    assert all_of(box) == ["more"]


def test_settings_that_did_not_arrive_are_sent_again_however_much_came_after_them() -> None:
    box = Outbox(FIRST)
    for _ in range(40):
        box.put(SECOND)
    all_of(box)
    box.resume(0, 0)
    assert all_of(box)[:2] == [FIRST, SECOND]


@pytest.mark.parametrize("sent", [True, False])
def test_what_is_kept_is_bounded_by_messages_and_their_length_too(sent: bool) -> None:
    box = Outbox(FIRST)
    for number in range(3 * MESSAGES):
        box.put(json.dumps(number))
        if sent:
            all_of(box)
    assert len(box) == MESSAGES
    for number in range(20):
        box.put(json.dumps(number) + "x" * (MESSAGE_BYTES // 4))
        box.put(b"12")
    kept = len(box)
    assert kept < 12
    box.put("x" * MESSAGE_BYTES)  # one that is too long by itself stays: it may not have arrived
    assert len(box) == 1
    box.put(b"12")
    assert len(box) == 2


def test_what_has_arrived_is_kept_no_longer() -> None:
    box = Outbox(FIRST)
    for piece in (b"12", "a", b"34", "b"):
        box.put(piece)
    all_of(box)
    box.resume(3, 2)
    assert len(box) == 2
    assert all_of(box) == [b"4", "b"]


def test_another_session_gets_its_settings_and_what_was_not_sent() -> None:
    box = Outbox(FIRST)
    box.put(b"12")
    box.put("a")
    all_of(box)
    for piece in (b"34", "b"):
        box.put(piece)
    box.restart("others")
    assert all_of(box) == ["others", b"34", "b"]
    box.resume(1, 1)
    assert all_of(box) == [b"4", "b"]


def test_sending_does_not_look_at_everything_that_is_kept() -> None:
    """As many steps for a piece when much is kept as when nothing is."""
    looked = 0

    class Counted(bytes):
        def __len__(self) -> int:
            nonlocal looked
            looked += 1
            return super().__len__()

    box, steps = Outbox(FIRST), []
    for _ in range(700):
        before = looked
        box.put(Counted(1280))
        box.take()
        steps.append(looked - before)
    assert max(steps[1:]) == min(steps[1:])
