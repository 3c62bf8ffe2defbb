"""Every cell of the turn's table: what follows in each state when something happens."""

from typing import get_args
from xml.etree import ElementTree

import pytest

from streaming.audio.endpointer import Change, SpeechPaused, SpeechResumed
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.controls import Ask, Cancel, Clear, Commit, Hold
from streaming.dialogue.actions import Actions
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.turn import (
    LEADS_TO,
    STATES,
    TABLE,
    About,
    Action,
    BargedIn,
    Draft,
    FrameByHand,
    Guessed,
    Happening,
    Held,
    IdleTimeout,
    Listening,
    Lull,
    NobodyEndsIt,
    NoRoom,
    Over,
    OverForNow,
    Prepared,
    Quiet,
    RecordingOver,
    Replying,
    SaidAll,
    Speaking,
    State,
    ToldToStop,
    TooOld,
)
from streaming.events import AudioPrefilled, SpeechEnded, SpeechStarted
from tests.streaming.dialogue import turns_page
from tests.streaming.fakes import TURNS, Echo, framed, pcm

SVG = "{http://www.w3.org/2000/svg}"

SPEECH = 3 * FRAME_SAMPLES
"""The first sample of the utterance."""

ENDED = SpeechEnded(7 * FRAME_SAMPLES, 8 * FRAME_SAMPLES)


class Ends:
    """An endpointer that ends what goes on when it is told to."""

    speech_end = 7 * FRAME_SAMPLES

    def push(self, frame: Frame) -> list[Change]:
        return []

    def flush(self) -> list[Change]:
        return [ENDED]

    def reset(self) -> None:
        pass

    def after_word(self) -> None:
        pass

    def judge(self, finished: float | None) -> None:
        pass


def work(actions: Actions) -> None:
    """Do all that is to be done."""
    while actions.floor.jobs:
        actions.floor.jobs.popleft()[1]()


def at(state: type[State], *, by_hand: bool = False) -> Actions:
    """A turn in a state, after eight frames: speech from the fourth on."""
    actions = Actions(None if by_hand else Ends(), Echo(), TURNS, Aloud(None))
    floor = actions.floor
    for frame in framed(pcm("...SSSSS")):
        actions._listener.hear(frame.samples())
        actions.messages.given(frame.at)
        floor.heard = frame.at + FRAME_SAMPLES
    if state is Quiet:
        return actions
    actions.change(SpeechStarted(SPEECH))
    work(actions)
    if state is Listening:
        return actions
    actions.change(SpeechPaused(ENDED.at))
    work(actions)
    if state is Guessed:
        return actions
    if state is Held:
        actions.change(ENDED, answered=False)
        work(actions)
        return actions
    actions.change(ENDED)
    if state is Replying:
        work(actions)
    return actions


HAPPENINGS: list[Happening] = [
    SpeechStarted(8 * FRAME_SAMPLES), SpeechPaused(ENDED.at), SpeechResumed(),
    Over(ENDED), OverForNow(ENDED), BargedIn(), ToldToStop(), IdleTimeout(0),
    FrameByHand(8 * FRAME_SAMPLES), TooOld(), Ask("What?"), Commit(), Hold(), Cancel(), Clear(),
    RecordingOver(4 * FRAME_SAMPLES), NobodyEndsIt(), Lull(), Prepared(1), SaidAll(),
    NoRoom("full"),
]  # fmt: skip

SPOKEN = (SpeechPaused, SpeechResumed, Over, OverForNow, BargedIn)
"""Happen while someone speaks."""


def outcome(state: type[State], happening: Happening) -> str:
    """The state that follows, what is told, and what the listener was asked for."""
    actions = at(state, by_hand=isinstance(happening, FrameByHand))
    listener = actions._listener
    assert isinstance(listener, Echo)
    assert type(actions.floor.state) is state
    if isinstance(happening, SPOKEN):
        actions.floor.speaker = Speaking(SPEECH)
    if isinstance(happening, Lull):
        actions.floor.speaker = None
        actions.waiting.questions.append(Ask("Then?"))
    before = len(listener.diary)
    try:
        events = actions.tell(happening)
    except AssertionError:
        return "cannot"
    told = " ".join(type(event).__name__ for event in events)
    asked = ", ".join(listener.diary[before:])
    return " / ".join([type(actions.floor.state).__name__, told, asked])


EXPECTED: dict[type[Happening], tuple[str, str, str, str, str, str]] = {
    SpeechStarted: (
        "Listening /  / open 0",
        "Listening /  / ",
        "cannot",
        "Listening /  / taken back",
        "Ending /  / ",
        "Replying /  / ",
    ),
    SpeechPaused: (
        "Quiet /  / ",
        "Guessed /  / ",
        "cannot",
        "cannot",
        "Ending /  / ",
        "Replying /  / ",
    ),
    SpeechResumed: (
        "Quiet /  / ",
        "cannot",
        "Listening /  / taken back",
        "cannot",
        "Ending /  / ",
        "Replying /  / ",
    ),
    Over: (
        "Quiet / SpeechEnded / ",
        "Ending / SpeechEnded / ",
        "Ending / SpeechEnded / ",
        "cannot",
        "Ending / SpeechEnded / ",
        "Replying / SpeechEnded / ",
    ),
    OverForNow: (
        "Quiet / SpeechEnded / ",
        "Held / SpeechEnded / ",
        "Held / SpeechEnded / ",
        "cannot",
        "Ending / SpeechEnded / ",
        "Replying / SpeechEnded / ",
    ),
    BargedIn: (
        "Quiet /  / ",
        "Listening /  / ",
        "Guessed /  / ",
        "Held /  / ",
        "Ending /  / ",
        "Listening / ReplyEnded / said 0, open 2",
    ),
    ToldToStop: (
        "cannot",
        "cannot",
        "cannot",
        "cannot",
        "Quiet / Dismissed / answered",
        "cannot",
    ),
    IdleTimeout: (
        "Ending / FellSilent / open 0",
        "Listening /  / ",
        "Guessed /  / ",
        "Held /  / ",
        "Ending /  / ",
        "Replying /  / ",
    ),
    FrameByHand: (
        "Listening /  / open 0",
        "Listening /  / ",
        "cannot",
        "Held /  / ",
        "cannot",
        "Replying /  / ",
    ),
    TooOld: (
        "Quiet /  / ",
        "Listening /  / ",
        "Guessed /  / ",
        "Quiet /  / answered",
        "cannot",
        "Replying /  / ",
    ),
    Ask: (
        "Ending /  / open 0 What?",
        "Ending /  / answered, open 0 What?",
        "Guessed /  / ",
        "Ending /  / answered, open 0 What?",
        "cannot",
        "Replying /  / ",
    ),
    Commit: (
        "Quiet / Refused / ",
        "Ending / SpeechEnded / ",
        "Ending / SpeechEnded / ",
        "Ending /  / ",
        "cannot",
        "Replying / Refused / ",
    ),
    Hold: (
        "Quiet / Refused / ",
        "Held / SpeechEnded / ",
        "Held / SpeechEnded / ",
        "Held /  / taken back",
        "cannot",
        "Replying /  / ",
    ),
    Cancel: (
        "Quiet / Refused / ",
        "Listening / Refused / ",
        "Guessed / Refused / ",
        "Held / Refused / ",
        "cannot",
        "Quiet / ReplyEnded / said 0",
    ),
    Clear: (
        "Quiet /  / unheard 0 2560",
        "Listening /  / answered, open 2, unheard 0 2560",
        "Guessed /  / answered, open 2, unheard 0 2560",
        "Quiet /  / answered, unheard 0 2560",
        "cannot",
        "Replying /  / unheard 2560 2560",
    ),
    RecordingOver: (
        "Held /  / open 1",
        "Held /  / ",
        "Held /  / ",
        "Held /  / taken back",
        "cannot",
        "Replying /  / ",
    ),
    NobodyEndsIt: (
        "Quiet /  / ",
        "Quiet /  / answered",
        "cannot",
        "Held /  / ",
        "cannot",
        "Replying /  / ",
    ),
    Lull: (
        "Ending /  / open 0 Then?",
        "Ending /  / answered, open 0 Then?",
        "cannot",
        "Ending /  / answered, open 0 Then?",
        "cannot",
        "cannot",
    ),
    Prepared: (
        "cannot",
        "cannot",
        "cannot",
        "cannot",
        "Replying / ReplyStarted / ",
        "cannot",
    ),
    SaidAll: (
        "cannot",
        "cannot",
        "cannot",
        "cannot",
        "cannot",
        "Quiet / ReplyEnded / answered",
    ),
    NoRoom: (
        "cannot",
        "Quiet / Refused / answered",
        "Quiet / Refused / answered",
        "Quiet / Refused / answered",
        "Quiet / Refused / answered",
        "cannot",
    ),
}
"""By hand, from what each action is to do: state / events / what the listener was asked for."""

cells = pytest.mark.parametrize(
    ("state", "happening"),
    [
        pytest.param(state, happening, id=f"{state.__name__}-{type(happening).__name__}")
        for happening in HAPPENINGS
        for state in STATES
    ],
)


@cells
def test_a_cell_does_what_it_says(state: type[State], happening: Happening) -> None:
    expected = EXPECTED[type(happening)][STATES.index(state)]
    assert outcome(state, happening) == expected
    action = TABLE[state, type(happening)]
    assert (action is Action.CANNOT) == (expected == "cannot")
    follows = expected.split(" /")[0]
    if action is not Action.CANNOT:
        assert follows in {state.__name__, *(to.__name__ for to in LEADS_TO.get(action, ()))}


def test_the_table_is_complete() -> None:
    happenings = get_args(Happening)
    assert {type(happening) for happening in HAPPENINGS} == set(happenings)
    assert TABLE.keys() == {(state, happening) for state in STATES for happening in happenings}
    assert {*get_args(State)} == {*STATES}
    assert {*TABLE.values()} == {*Action}


def test_the_page_is_drawn_from_the_table() -> None:
    assert turns_page.PAGE.read_text() == turns_page.drawn(), "`make golden` writes it anew"


def test_the_picture_is_drawn_from_the_table_and_the_page_shows_it() -> None:
    drawn = turns_page.PICTURE.read_text()
    assert drawn == turns_page.picture(), "`make golden` writes it anew"
    assert f"]({turns_page.PICTURE.name})" in turns_page.PAGE.read_text()
    texts = [text.text for text in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    leads = {(state, to) for (state, _), a in TABLE.items() for to in LEADS_TO.get(a, ())}
    assert texts[: len(STATES)] == [state.__name__ for state in STATES]
    assert len(texts) == len(STATES) + len({(a, b) for a, b in leads if a is not b})


# --- states


@pytest.mark.parametrize(
    ("until", "windows"), [(5119, 0), (5120, 1), (10239, 1), (10240, 2), (99999, 2)]
)
def test_windows_count_from_the_sample_they_were_prefilled_at(until: int, windows: int) -> None:
    about = About(320, 640, (AudioPrefilled(5120, 1), AudioPrefilled(10240, 2)))
    assert about.windows_prefilled(until) == windows


def test_a_draft_is_finished_by_its_end_alone() -> None:
    assert not Draft(2).finished
    assert not Draft(2, ("It",)).finished
    assert Draft(2, ("It", None)).finished


def test_a_turn_that_goes_on_keeps_what_was_heard_and_loses_its_reply() -> None:
    actions = at(Held)
    before = actions.floor.state
    assert isinstance(before, Held)
    actions.change(SpeechStarted(9 * FRAME_SAMPLES))
    assert actions.floor.state == Listening(before.about)
