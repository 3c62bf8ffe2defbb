"""Whose step is next: urgency first, then who waited longest; and nobody hears another."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.controls import Hold
from streaming.dialogue.scheduler import PATIENCE, BusyError, Name, Scheduler
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.work import NEED_DATA, Pace, Unhurried, Urgency
from streaming.events import Event, ReplyDelta, SpeechEnded
from tests.laws import cuts
from tests.streaming.dialogue.test_laws import scripts
from tests.streaming.fakes import TURNS, converse, framed, pcm, session

CAPTIONED = TURNS.model_copy(update={"captions": True})


def steps(scheduler: Scheduler[Name]) -> Iterator[tuple[Name, list[Event]]]:
    """Do whatever is the most urgent until nothing is left: whose step it was and its events."""
    while (chosen := scheduler.next()) is not None:
        name, talk = chosen
        events = talk.step()
        assert isinstance(events, list), "a session with work had none"
        yield name, events


def run(scheduler: Scheduler[int]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for name, events in steps(scheduler):
        found.setdefault(name, []).extend(events)
    return found


@given(st.lists(scripts, min_size=1, max_size=4), st.data())
def test_each_session_gives_what_it_would_give_alone(talks: list[str], data: st.DataObject) -> None:
    scheduler: Scheduler[int] = Scheduler(most=4)
    sessions = [session(turns=CAPTIONED) for _ in talks]
    events: dict[int, list[Event]] = {i: [] for i in range(len(talks))}
    for i, talk in enumerate(sessions):
        scheduler.add(i, talk)
    pieces = [
        (i, pcm(script)[cut]) for i, script in enumerate(talks)
        for cut in data.draw(cuts(len(pcm(script))))
    ]  # fmt: skip
    for i, piece in pieces:
        sessions[i].receive(piece)
        for name, new in run(scheduler).items():
            events[name] += new
    for talk in sessions:
        talk.receive_eof()
    for name, new in run(scheduler).items():
        events[name] += new
    for i, script in enumerate(talks):
        assert events[i] == converse(session(turns=CAPTIONED), [pcm(script)])


@given(scripts, st.booleans())
def test_there_is_work_exactly_when_a_step_can_be_done(script: str, live: bool) -> None:
    talk = session(turns=CAPTIONED, pace=None if live else one_each)
    talk.receive(pcm(script))
    for _ in range(2):
        while talk.urgency is not None:
            assert talk.step() is not NEED_DATA
        assert talk.step() is NEED_DATA
        talk.receive_eof()


class Waiting:
    """A session with two steps of an urgency to do."""

    def __init__(self, urgency: Urgency) -> None:
        self._urgency, self._left = urgency, 2

    @property
    def urgency(self) -> Urgency | None:
        return self._urgency if self._left else None

    def step(self) -> list[Event]:
        self._left -= 1
        return []


def replying(pace: Pace | None = None) -> Session:
    """A session whose reply is to be given out: the endpoint was just heard."""
    talk = session(turns=TURNS.model_copy(update={"speculate": False}), pace=pace)
    talk.receive(pcm("...SSSS" + "." * 8))
    while not any(isinstance(e, SpeechEnded) for e in list(talk.step())):  # type: ignore[arg-type]
        pass
    return talk


def test_hearing_comes_first_then_first_texts_then_more_text() -> None:
    scheduler: Scheduler[str] = Scheduler(most=3)
    speaking, first, hearing = replying(), replying(), session()
    while not any(isinstance(e, ReplyDelta) for e in list(speaking.step())):  # type: ignore[arg-type]
        pass
    hearing.receive(pcm("SS"))
    for name, talk in (("speaking", speaking), ("first", first), ("hearing", hearing)):
        scheduler.add(name, talk)
    assert (speaking.urgency, first.urgency, hearing.urgency) == (
        Urgency.SPEAK, Urgency.FIRST, Urgency.LISTEN,
    )  # fmt: skip
    order = [name for name, _ in steps(scheduler)]
    assert order[:2] == ["hearing", "hearing"]
    assert order[2] == "first"
    assert order.index("speaking") > order.index("first")


def test_among_equals_nobody_is_passed_over() -> None:
    scheduler: Scheduler[int] = Scheduler(most=3)
    for i, frames in enumerate((50, 10, 10)):
        talk = session()
        talk.receive(pcm("." * frames))
        scheduler.add(i, talk)
    order = [name for name, _ in steps(scheduler)]
    assert order[:30] == [0, 1, 2] * 10
    assert order[30:70] == [0] * 40
    assert sorted(order[70:]) == [0, 1, 2]  # what there is to do when nothing else is


@pytest.mark.parametrize("urgency", list(PATIENCE))
def test_who_sends_faster_than_real_time_keeps_no_one_waiting_for_ever(urgency: Urgency) -> None:
    flood, patient = session(), Waiting(urgency)
    scheduler: Scheduler[str] = Scheduler(most=2)
    scheduler.add("flood", flood)
    scheduler.add("patient", patient)  # type: ignore[arg-type]
    flood.receive(pcm("." * (2 * PATIENCE[urgency] + 2)))
    order = [name for name, _ in steps(scheduler)]
    assert order.index("patient") == PATIENCE[urgency]
    assert order[PATIENCE[urgency] + 1 :].index("patient") == PATIENCE[urgency]


def test_a_caption_is_no_hurry_but_what_comes_after_it_is() -> None:
    talk = session(turns=CAPTIONED, pace=None)
    talk.receive(pcm("...SSSSS"))  # its last frame completes a window
    urgencies = []
    while (urgency := talk.urgency) is not None:
        urgencies.append(urgency)
        if urgency is Urgency.AHEAD:
            talk.receive(pcm("S"))
            assert talk.urgency is Urgency.LISTEN
        talk.step()
    assert urgencies.count(Urgency.AHEAD) == 1


def test_secret_work_waits_for_all_else() -> None:
    secret = session(pace=None)
    secret.receive(pcm("...SSSS" + "." * 4))
    while secret.urgency is not Urgency.AHEAD:
        secret.step()
    other = session()
    other.receive(pcm("."))
    scheduler: Scheduler[str] = Scheduler(most=2)
    scheduler.add("secret", secret)
    scheduler.add("other", other)
    assert next(steps(scheduler))[0] == "other"


def test_there_is_a_limit_and_it_says_so() -> None:
    scheduler: Scheduler[int] = Scheduler(most=1)
    scheduler.add(1, session())
    with pytest.raises(ValueError, match="already"):
        scheduler.add(1, session())
    with pytest.raises(BusyError, match="1 sessions are all"):
        scheduler.add(2, session())
    scheduler.remove(1)
    scheduler.add(2, session())


def test_who_is_in_no_hurry_waits_for_all_others_and_gives_the_same() -> None:
    scheduler: Scheduler[str] = Scheduler(most=2)
    inner, live = session(turns=CAPTIONED), session(turns=CAPTIONED)
    unhurried = Unhurried(inner)
    scheduler.add("unhurried", unhurried)
    scheduler.add("live", live)
    audio = pcm("...SSSS" + "." * 30)
    unhurried.hear(framed(audio))
    unhurried.control(Hold())
    live.receive(audio)
    assert unhurried.urgency is Urgency.LATER
    order, events = [], []
    for name, new in steps(scheduler):
        order.append(name)
        events += new if name == "unhurried" else []
    assert order.index("unhurried") == order.count("live")
    assert (unhurried.heard, unhurried.taken, unhurried.work) == (inner.heard, 38, inner.work)
    alone = session(turns=CAPTIONED)
    alone.receive(audio)
    alone.control(Hold())
    assert events == [event for _, new in _alone(alone) for event in new]


def _alone(talk: Session) -> Iterator[tuple[str, list[Event]]]:
    scheduler: Scheduler[str] = Scheduler(most=1)
    scheduler.add("alone", talk)
    yield from steps(scheduler)
