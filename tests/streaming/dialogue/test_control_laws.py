"""What holds for a session whatever is said, asked and taken back."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.controls import (
    Ask,
    Cancel,
    Clear,
    Commit,
    Configure,
    Control,
    Hold,
    Recording,
)
from streaming.events import (
    ReplyEnded,
    ReplyStarted,
)
from tests.laws import cuts
from tests.streaming.dialogue.test_waiting import STEADFAST, WAITING, Script, refusals, replies
from tests.streaming.fakes import (
    CONFIG,
    TURNS,
    Echo,
    converse,
    pcm,
    session,
)

controls = st.sampled_from(
    [
        Ask("What?", "q"), Cancel("c"), Cancel("c", "q"), Commit(ref="m", or_ring=True),
        Commit("Count.", "n"), Hold("h"), Clear(), Configure(turns=STEADFAST),
        Configure(turns=TURNS), Configure(turns=WAITING), Configure(endpointing=CONFIG),
        Configure(endpointing=CONFIG.model_copy(update={"detector": "manual"})),
    ]
)  # fmt: skip
runs = st.tuples(st.sampled_from("SSMXW"), st.integers(1, 12), st.integers(1, 16)).map(
    lambda r: r[0] * r[1] + "." * r[2]
)
recordings = runs.map(lambda script: (Recording(), script, Hold("r")))
scripts = st.lists(st.one_of(runs, controls, recordings), max_size=9)


def flat(script: list[str | Control | tuple[Control, str, Control]]) -> Script:
    pieces: Script = []
    for piece in script:
        for part in piece if isinstance(piece, tuple) else (piece,):
            pieces.append(pcm(part) if isinstance(part, str) else part)
    return pieces


@settings(max_examples=300, deadline=None)
@given(data=st.data(), script=scripts, by_hand=st.booleans())
def test_controls_and_any_rechunking_give_identical_events(
    data: st.DataObject, script: list[str | Control | tuple[Control, str, Control]], by_hand: bool
) -> None:
    whole = flat([*script, "." * 60])
    recut: Script = []
    for piece in whole:
        if isinstance(piece, bytes):
            recut += [piece[cut] for cut in data.draw(cuts(len(piece)))]
        else:
            recut.append(piece)
    events = converse(session(by_hand=by_hand), whole)
    assert converse(session(by_hand=by_hand), recut) == events
    openly = TURNS.model_copy(update={"speculate": False})
    if not any(isinstance(p, Configure) for p in whole):
        assert converse(session(turns=openly, by_hand=by_hand), whole) == events


@settings(max_examples=300, deadline=None)
@given(script=scripts, by_hand=st.booleans())
def test_every_question_is_answered_once_or_refused_once(
    script: list[str | Control | tuple[Control, str, Control]], by_hand: bool
) -> None:
    asked = [
        Ask("What?", f"q{n}") if isinstance(p, Ask) else p
        for n, p in enumerate(flat([*script, "." * 200]))
    ]
    listener = Echo()
    events = converse(session(listener, by_hand=by_hand), asked)
    told = Counter(ref for ref, _ in [*replies(events), *refusals(events)])
    for piece in asked:
        if isinstance(piece, Ask):
            assert told[piece.ref] == 1
    starts = sum(isinstance(e, ReplyStarted) for e in events)
    assert starts == sum(isinstance(e, ReplyEnded) for e in events)
