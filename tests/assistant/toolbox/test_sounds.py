"""Questions about a log of sounds."""

from typing import Any

import pytest

from assistant.ear.noticing import Sound
from assistant.rates import SAMPLE_RATE
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.sounds import Sounds
from lab.classes import sound_classes

KNOWN = Sounds(["dog barking", "dog growling", "door bell", "person sneezing", "glass breaking"])


def sound(name: str, begin_s: int) -> Sound:
    return Sound(begin_s * SAMPLE_RATE, (begin_s + 1) * SAMPLE_RATE, name, 0.9)


LOG = (sound("dog barking", 1), sound("door bell", 5), sound("dog barking", 60))


def heard(log: tuple[Sound, ...] = LOG, /, **arguments: Any) -> dict[str, Any]:
    (own,) = KNOWN.tools()
    return own.run(arguments, Moment(121 * SAMPLE_RATE, log))


def test_how_often_and_when_a_sound_was_heard() -> None:
    dog = {"sound": "dog barking", "times": 2, "last": "1 minute ago"}
    assert heard(sound="the dog bark") == {"heard": [dog]}
    assert heard(sound="dogs barking") == {"heard": [dog]}
    assert heard() == {
        "heard": [dog, {"sound": "door bell", "times": 1, "last": "1 minute 55 seconds ago"}]
    }


def test_what_was_not_heard_is_told_apart_from_what_cannot_be() -> None:
    assert heard(sound="sneezing") == {"sound": "sneezing", "times": 0}
    assert heard((), sound="all") == {"heard": []}
    with pytest.raises(RefusedError, match="cannot tell the sound 'submarine'"):
        heard(sound="submarine")


def test_words_mean_the_classes_that_have_them() -> None:
    assert KNOWN.meant("doorbell") == KNOWN.meant("a door bell") == ["door bell"]
    assert KNOWN.meant("dog") == ["dog barking", "dog growling"]
    assert KNOWN.meant("the sound of breaking glass") == ["glass breaking"]
    assert KNOWN.meant("my little dog growling loudly") == ["dog growling"]


def test_every_class_is_meant_by_its_name() -> None:
    names = [*sound_classes().classes]
    all_of_them = Sounds(names)
    for name in names:
        assert name in all_of_them.meant(name)
