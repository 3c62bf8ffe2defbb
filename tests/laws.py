"""What every stage promises, and the strategies to check it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from streaming.audio.stage import Stage

In = TypeVar("In")
Out = TypeVar("Out")


def cuts(length: int) -> st.SearchStrategy[list[slice]]:
    """Every way to cut a sequence of `length`: anywhere, empty pieces included."""
    points = st.lists(st.integers(0, length), max_size=12).map(sorted)
    return points.map(lambda p: [slice(a, b) for a, b in zip([0, *p], [*p, length], strict=True)])


def run(stage: Stage[In, Out], chunks: Iterable[In]) -> list[Out]:
    return [out for chunk in chunks for out in stage.push(chunk)] + stage.flush()


def check_stage_laws(make: Callable[[], Stage[In, Out]], whole: In, chunks: Sequence[In]) -> None:
    expected = run(make(), [whole])
    stage = make()
    assert run(stage, chunks) == expected, "chunking changed the output"
    assert run(stage, chunks) == expected, "flush() left something behind"
    stage.push(whole)
    stage.reset()
    assert run(stage, chunks) == expected, "reset() left something behind"
