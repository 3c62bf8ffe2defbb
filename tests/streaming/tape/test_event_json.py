"""Every event can be written as JSON."""

import json
from dataclasses import fields
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from streaming.events import Event, ReplyAudio
from streaming.tape.event_json import to_json

EVENTS: tuple[type[Event], ...] = Event.__args__


def made(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Events of a type; numbers that are not whole are probabilities."""
    shares = {field.name: st.floats(0, 1) for field in fields(kind) if field.type is float}
    return st.builds(kind, **shares)


@given(st.one_of(*[made(kind) for kind in EVENTS if kind is not ReplyAudio]))
def test_an_event_is_one_line_that_has_all_of_it(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert TypeAdapter(type(event)).validate_json(line) == event


@given(made(ReplyAudio))
def test_speech_is_told_by_its_length_and_a_digest(event: Event) -> None:
    assert isinstance(event, ReplyAudio)
    told = json.loads(to_json(event))
    assert told == {
        "type": "reply.audio",
        "text": event.text,
        "samples": len(event.pcm) // 2,
        "sha256": sha256(event.pcm).hexdigest()[:16],
        "words": [[word.begin, word.end] for word in event.words],
    }


@given(st.tuples(*map(made, EVENTS)))
def test_every_event_has_a_name_of_its_own(one_of_each: tuple[Event, ...]) -> None:
    names = {json.loads(to_json(event))["type"] for event in one_of_each}
    assert len(names) == len(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_explains_itself(event: type[Event]) -> None:
    assert event.__doc__
    assert not event.__doc__.startswith(event.__name__)  # written by hand
