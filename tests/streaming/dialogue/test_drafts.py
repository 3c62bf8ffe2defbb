"""When what is being said is read ahead of its end, and how urgent that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.audio.frames import FRAME_SAMPLES
from streaming.dialogue.work import Urgency, Work
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import scripts
from tests.streaming.fakes import Echo, converse, pcm, session


class Reader(Echo):
    """Is to read every four frames; notes at which frame it did."""

    draft_samples = 4 * FRAME_SAMPLES

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def draft(self) -> None:
        assert self.is_open
        assert self.ahead is None
        self.read.append(self.samples // FRAME_SAMPLES)


@pytest.mark.parametrize(
    ("script", "read"),
    [
        ("SSS" + "." * 9, []),
        ("SSSS" + "." * 9, [4]),
        ("..SSSSSSSSS" + "." * 9, [6, 10]),
        ("SSS..SSS" + "." * 9, [6]),  # not in a silence, which may be the pause
        ("SSSS....SSSS" + "." * 9, [4, 12]),  # the pause read what was said until then
    ],
)
def test_what_is_said_is_read_every_so_often(script: str, read: list[int]) -> None:
    listener = Reader()
    converse(session(listener), [pcm(script)])
    assert listener.read == read


def test_a_turn_by_hand_is_read_too() -> None:
    listener = Reader()
    converse(session(listener, by_hand=True), [pcm("..SSSS..SS")])
    assert listener.read == [4, 8]


def test_an_llm_that_hears_audio_reads_nothing() -> None:
    listener = Reader()
    listener.draft_samples = 0
    converse(session(listener), [pcm("SSSSSSSSS" + "." * 9)])
    assert listener.read == []


@given(scripts, st.data())
def test_it_is_read_at_the_same_samples_however_the_input_is_cut(
    script: str, data: st.DataObject
) -> None:
    whole, pieces = Reader(), Reader()
    events = converse(session(whole), [pcm(script)])
    talk = [pcm(script)[cut] for cut in data.draw(cuts(len(pcm(script))))]
    assert converse(session(pieces), list(talk)) == events == converse(session(), [pcm(script)])
    assert pieces.read == whole.read


@pytest.mark.parametrize("behind", ["", "S"])
def test_a_draft_is_no_hurry_where_nothing_is_behind_it(behind: str) -> None:
    talk = session(Reader())
    talk.receive(pcm("SSSS" + behind))
    while not any(work is Work.DRAFT for work, _ in talk._floor.jobs):
        talk.step()
    while talk._floor.jobs[0][0] is not Work.DRAFT:
        talk.step()
    assert talk.urgency is (Urgency.LISTEN if behind else Urgency.AHEAD)
    done = []
    for _ in range(2):
        talk.step()
        done.append(talk.work)
    assert done == [Work.DRAFT] * 2, "reading and prefill are two steps"
