"""Which everyday questions are spoken, and how answers are counted."""

from collections import Counter

import pytest

from lab.evaluation.everyday import Asked

spoken = pytest.importorskip("bench.spoken", reason="needs the packages of `bench`")


def test_questions_are_spread_over_all_kinds() -> None:
    whole = Counter(talk.kind for talk in spoken.questions(spoken.KINDS, 10_000))
    assert set(whole) == set(spoken.KINDS)
    assert not whole.keys() & {"talks", "pauses", "sounds"}
    some = Counter(talk.kind for talk in spoken.questions(spoken.KINDS, 50))
    assert sum(some.values()) == 50
    share = 50 / sum(whole.values())
    assert all(abs(some[kind] - share * n) < 1 for kind, n in whole.items())


def test_questions_of_one_kind() -> None:
    chosen = spoken.questions(["sums"], 5)
    assert [talk.kind for talk in chosen] == ["sums"] * 5
    assert len({talk.turns[0].ask[0] for talk in chosen}) == 5


def test_answers_are_counted() -> None:
    lamp = Asked(ask=["Turn on the lamp."], no_act=True)
    answers = [
        spoken.Answered("commands", lamp, "I can't do that.", 400.0),
        spoken.Answered("commands", lamp, "Done.", 500.0),
        spoken.Answered("commands", lamp, "", None),
    ]
    assert spoken.counted("commands", answers) == {
        "kind": "commands", "asked": 3, "right": 1, "claims an act": 1,
        "first token after, ms": 450.0,
    }  # fmt: skip
