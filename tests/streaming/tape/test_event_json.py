"""Every event can be written as JSON."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import Event
from streaming.tape.event_json import to_json

EVENTS: tuple[type[Event], ...] = Event.__args__


@given(st.one_of(*map(st.from_type, EVENTS)))
def test_an_event_is_one_line_with_its_fields(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    written = json.loads(line)
    assert isinstance(written.pop("type"), str)
    assert written == asdict(event)


@given(st.tuples(*map(st.from_type, EVENTS)))
def test_every_event_has_a_name_of_its_own(one_of_each: tuple[Event, ...]) -> None:
    names = {json.loads(to_json(event))["type"] for event in one_of_each}
    assert len(names) == len(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_and_field_explains_itself(event: type[Event]) -> None:
    assert event.__doc__
    assert not event.__doc__.startswith(event.__name__)  # written by hand
