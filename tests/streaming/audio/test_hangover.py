"""How long a judged pause has to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.audio.hangover import CERTAIN, PATIENCE, hangover
from streaming.config import Eagerness

chances = st.floats(0, 1)


@given(chances, chances, st.sampled_from(list(PATIENCE)))
def test_the_likelier_an_end_the_shorter_the_wait(
    first: float, second: float, eagerness: Eagerness
) -> None:
    low, high = sorted([first, second])
    assert hangover(low, eagerness) >= hangover(high, eagerness)


@given(chances)
def test_the_more_eager_the_shorter_the_wait(chance: float) -> None:
    waits = [hangover(chance, eagerness) for eagerness in ("high", "medium", "low")]
    assert waits == sorted(waits)
    assert hangover(chance, "auto") == hangover(chance, "medium")


@pytest.mark.parametrize(("chance", "frames"), [(1, 10), (CERTAIN, 10), (0.5, 50), (0, 75)])
def test_from_200_ms_to_one_and_a_half_seconds(chance: float, frames: int) -> None:
    assert hangover(chance, "medium") == frames
