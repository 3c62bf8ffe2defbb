"""A watch tells the same however the sounds come, and one sample on either side of each bound."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.sounds import Sounds
from assistant.toolbox.watch import MOST, Condition, Watch, Watches
from tests.laws import check_stage_laws, cuts

DOG, BELL = "dog barking", "door bell"


def sound(begin: int, length: int = 10, name: str = DOG) -> Sound:
    return Sound(begin, begin + length, name, 0.9)


@st.composite
def heard(draw: st.DrawFn) -> list[Sound]:
    """Sounds in order; some go on, and come again with a later end."""
    found, at = list[Sound](), 0
    for _ in range(draw(st.integers(0, 10))):
        at += draw(st.integers(0, 30))
        name = draw(st.sampled_from([DOG, BELL]))
        lengths = sorted(draw(st.lists(st.integers(1, 40), min_size=1, max_size=3)))
        found += [sound(at, length, name) for length in lengths]
        at += 1
    return found


conditions = st.builds(
    Condition,
    names=st.sampled_from([(DOG,), (BELL,), (DOG, BELL)]),
    times=st.integers(1, 3),
    within=st.none() | st.integers(0, 60),
    lasting=st.integers(0, 30),
    always=st.booleans(),
)


@given(conditions, heard(), st.data())
def test_how_sounds_are_grouped_changes_nothing(
    condition: Condition, sounds: list[Sound], data: st.DataObject
) -> None:
    pieces = [sounds[piece] for piece in data.draw(cuts(len(sounds)))]
    check_stage_laws(lambda: Watch(condition), sounds, pieces)


@given(conditions, heard())
def test_it_comes_true_as_often_as_a_simple_count_says(
    condition: Condition, sounds: list[Sound]
) -> None:
    """Each sound counts once, as soon as it is long enough; enough of them start anew."""
    begins, seen = list[int](), set[tuple[str, int]]()
    expected = 0
    for one in sounds:
        long_enough = one.end - one.begin >= condition.lasting
        key = one.name, one.begin
        if one.name not in condition.names or not long_enough or key in seen:
            continue
        seen.add(key)
        begins.append(one.begin)
        near = [b for b in begins if condition.within is None or b >= one.begin - condition.within]
        if len(near) >= condition.times and (condition.always or not expected):
            expected, begins = expected + 1, []
    assert len(Watch(condition).push(sounds)) == expected


def times_true(condition: Condition, *sounds: Sound) -> int:
    return len(Watch(condition).push(sounds))


def test_one_sample_decides() -> None:
    twice = Condition((DOG,), times=2, within=100)
    assert times_true(twice, sound(0), sound(100)) == 1
    assert times_true(twice, sound(0), sound(101)) == 0
    long = Condition((DOG,), lasting=100)
    assert times_true(long, sound(0, 100)) == 1
    assert times_true(long, sound(0, 99)) == 0
    assert times_true(long, sound(0, 99), sound(0, 200)) == 1


def test_when_it_came_true_does_not_depend_on_how_long_the_block_was() -> None:
    long = Condition((DOG,), lasting=100)
    assert Watch(long).push([sound(5, 100)])[0].at == 105
    assert Watch(long).push([sound(5, 300)])[0].at == 105


def test_once_or_always() -> None:
    assert times_true(Condition((DOG,)), sound(0), sound(100), sound(200)) == 1
    assert times_true(Condition((DOG,), always=True), sound(0), sound(100), sound(200)) == 3
    assert times_true(Condition((DOG,), times=2, always=True), *map(sound, (0, 50, 90, 99))) == 2


def test_another_sound_is_not_meant() -> None:
    assert times_true(Condition((DOG,)), sound(0, name=BELL)) == 0


def call(watches: Watches, tool: str, /, **arguments: Any) -> dict[str, Any]:
    (found,) = [own for own in watches.tools() if own.tool.name == tool]
    return found.run(arguments, Moment(0))


@pytest.fixture
def watches() -> Watches:
    return Watches(Sounds([DOG, "dog growling", BELL]))


def test_a_watch_is_asked_for_and_stopped(watches: Watches) -> None:
    told = call(
        watches, "watch", sound="the dog", times=3, within="an hour", lasting="two seconds",
        message=" Look after the dog. ", always=True,
    )  # fmt: skip
    assert told == {
        "listening_for": [DOG, "dog growling"], "times": 3, "within": "1 hour",
        "lasting": "2 seconds", "always": True,
    }  # fmt: skip
    assert watches.conditions == [
        Condition((DOG, "dog growling"), 3, 3600 * SAMPLE_RATE, 2 * SAMPLE_RATE,
                  "Look after the dog.", True)
    ]  # fmt: skip
    call(watches, "watch", sound="door bell")
    with pytest.raises(RefusedError, match="cannot tell the sound 'cat'"):
        call(watches, "stop_watching", sound="cat")
    assert call(watches, "stop_watching", sound="dog barking") == {
        "stopped": [f"{DOG}, dog growling"]
    }
    with pytest.raises(RefusedError, match="do not listen for 'dog'"):
        call(watches, "stop_watching", sound="dog")
    assert call(watches, "stop_watching") == {"stopped": [BELL]}
    with pytest.raises(RefusedError, match="nothing in particular"):
        call(watches, "stop_watching")


def test_what_came_true_once_is_forgotten(watches: Watches) -> None:
    call(watches, "watch", sound="bell")
    call(watches, "watch", sound="bell", always=True)
    bells = [sound(at, name=BELL) for at in (0, 100, 200)]
    assert [found.at for found in watches.push(bells)] == [10, 10, 110, 210]
    assert [condition.always for condition in watches.conditions] == [True]


def test_a_sound_that_the_ear_does_not_know_is_refused(watches: Watches) -> None:
    with pytest.raises(RefusedError, match="cannot tell the sound 'a submarine' from others"):
        call(watches, "watch", sound="a submarine")
    with pytest.raises(RefusedError, match="'soon' is not a length of time"):
        call(watches, "watch", sound="bell", within="soon")
    assert watches.conditions == []


def test_there_are_only_so_many(watches: Watches) -> None:
    for _ in range(MOST):
        call(watches, "watch", sound="bell")
    with pytest.raises(RefusedError, match=f"{MOST} things"):
        call(watches, "watch", sound="bell")
