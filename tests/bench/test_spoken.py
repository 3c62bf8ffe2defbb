"""Which everyday questions the time of an answer is measured with."""

from collections import Counter

import pytest

spoken = pytest.importorskip("bench.spoken", reason="needs the packages of `bench`")


def test_questions_are_spread_over_all_kinds() -> None:
    whole = Counter(talk.kind for talk in spoken.questions(10_000))
    assert set(whole) == set(spoken.SINGLE)
    some = Counter(talk.kind for talk in spoken.questions(50))
    assert sum(some.values()) == 50
    share = 50 / sum(whole.values())
    assert all(abs(some[kind] - share * n) < 1 for kind, n in whole.items())
