"""A replay is shown whatever happens in it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streaming.dialogue.work import Work
from streaming.events import Event
from streaming.instruments.ledger import Latency
from streaming.instruments.show import Screen
from streaming.instruments.timeline import COLOURS


@pytest.mark.parametrize("kind", [*Event.__args__, Latency])
def test_every_event_can_be_shown(kind: type[Event | Latency]) -> None:
    @given(st.from_type(kind))
    def shown(event: Event | Latency) -> None:
        Screen(Console(file=io.StringIO(), emoji=False)).show(event)

    shown()


def test_what_is_no_event_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="unreachable"):
        Screen(Console(file=io.StringIO())).show(object())  # type: ignore[arg-type]


def test_every_kind_of_work_has_a_lane() -> None:
    assert COLOURS.keys() == set(Work)
