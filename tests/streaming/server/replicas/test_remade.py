"""A session that is made again goes on as the first one would have, whenever that was lost."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.audio.frames import FRAME_BYTES, Frame
from streaming.controls import Ask, Commit, Control, Write
from streaming.dialogue.narrator import Narrator
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA, Stepped, Work
from streaming.events import Event
from streaming.server.replicas.kept import PACKED_FRAMES, Kept
from streaming.server.replicas.remade import DivergedError, Remade
from streaming.server.worker import Done
from tests.streaming.fakes import Echo, Speaker, framed, pcm, session
from tests.streaming.tape.test_tape import made, scripts

Piece = Frame | Control


def pieces_of(script: list[bytes | Control]) -> list[Piece]:
    pieces: list[Piece] = []
    for piece in script:
        pieces += framed(piece) if isinstance(piece, bytes) else [piece]
    return pieces


def copied(kept: Kept) -> Kept:
    """As another process gets it."""
    found: Kept = pickle.loads(pickle.dumps(kept))
    return found


class Stepping:
    """Gives a session its input and steps it, as a replica does, and keeps what the server does."""

    def __init__(self, session: Stepped, kept: Kept) -> None:
        self.session, self.kept = session, kept
        self.events: list[Event] = []

    def give(self, piece: Piece) -> None:
        self.kept.put([piece])
        if isinstance(piece, Frame):
            self.session.hear([piece])
        else:
            self.session.control(piece)

    def work(self, most: int = 100_000) -> None:
        for _ in range(most):
            if self.session.urgency is None:
                return
            new = self.session.step()
            assert new is not NEED_DATA
            self.events += new
            if isinstance(self.session, Remade) and self.session.is_behind:
                continue  # not told
            how_far = self.session.heard, self.session.taken, self.session.released
            self.kept.note(Done(Work.LISTEN, 0, 0, *how_far, new))


@settings(max_examples=300)
@given(scripts, st.data(), st.booleans(), st.booleans())
def test_nothing_is_lost_and_nothing_comes_twice(
    script: list[bytes | Control], data: st.DataObject, by_hand: bool, aloud: bool
) -> None:
    pieces = pieces_of(script)
    first_dies = data.draw(st.integers(0, len(pieces)))
    second_dies = data.draw(st.integers(first_dies, len(pieces)))
    often = data.draw(st.lists(st.integers(0, 12), min_size=len(pieces), max_size=len(pieces)))
    whole, disturbed = (Stepping(made(None, by_hand, aloud), Kept()) for _ in range(2))

    def die() -> None:
        disturbed.session = Remade(made(None, by_hand, aloud), copied(disturbed.kept))
        for one in (whole, disturbed):
            one.work()

    for number, (piece, steps) in enumerate(zip(pieces, often, strict=True)):
        for one in (whole, disturbed):
            one.give(piece)
            one.work(steps if number <= first_dies else 100_000)  # alike from then on
        if number in (first_dies, second_dies):
            die()
    die()
    assert disturbed.events == whole.events


def test_all_that_was_put_in_comes_back_in_order() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(-(2**15), 2**15, (PACKED_FRAMES + 7) * FRAME_BYTES // 2).astype("<i2")
    frames: list[Piece] = [Frame(0, frame.pcm) for frame in framed(noise.tobytes())]
    given_: list[Piece] = [Ask("First."), *frames[:3], Commit(), Ask("b"), *frames[3:], Commit()]
    kept = Kept()
    kept.put(given_[:5])
    kept.put(given_[5:])
    assert list(kept.pieces()) == given_
    assert list(copied(kept).pieces()) == given_


def test_silence_takes_next_to_nothing() -> None:
    kept = Kept()
    silence: list[Piece] = [Frame(0, bytes(FRAME_BYTES))]
    kept.put(silence * PACKED_FRAMES * 6)
    assert kept.size < 6 * 2000


def test_another_session_than_the_first_is_noticed() -> None:
    first = Stepping(session(pace=None), Kept())
    for frame in framed(pcm("...SSSS" + "." * 30)):
        first.give(frame)
        first.work()
    assert first.events

    class Other(Echo):
        def token(self) -> Any:
            return "other" if super().token() is not None else None

    def again(session: Session) -> None:
        stepping = Stepping(Remade(session, copied(first.kept)), Kept())
        stepping.give(Ask("What?"))
        stepping.work()

    again(session(pace=None))
    with pytest.raises(DivergedError):
        again(session(Other(), pace=None))


def test_somebody_who_speaks_goes_on_where_the_first_was() -> None:
    first = Stepping(Narrator(Speaker()), Kept())
    for word in ("That is the first thing. ", "And that is the second. ", "Three."):
        first.give(Write(word))
    first.work(1)
    again = Stepping(Remade(Narrator(Speaker()), copied(first.kept)), Kept())
    known = len(first.events)
    for one in (first, again):
        one.give(Commit())
        one.work()
    assert known == 1
    assert first.events[known:] == again.events
