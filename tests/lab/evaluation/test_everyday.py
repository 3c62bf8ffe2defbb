"""Everyday questions: their rules, and that no training text has them."""

from collections import Counter

import pytest

from assistant.files.presets import load_preset, shipped_config
from lab.corpora.questions import all_asked
from lab.evaluation.everyday import CHOOSE, Asked, admits, claims_act, talks
from lab.score import SYNONYMS, plain


def test_there_are_enough_of_every_kind() -> None:
    found = talks()
    assert sum(len(talk.turns) for talk in found) >= 150
    counts = Counter(talk.kind for talk in found)
    assert min(counts.values()) >= 10
    assert all(talk.sound in SYNONYMS for talk in found if talk.kind == "sounds")
    assert all(len(talk.turns) >= 2 for talk in found if talk.kind == "talks")
    assert all(len(talk.turns[0].ask) == 2 for talk in found if talk.kind == "pauses")


def test_every_question_stands_once_and_has_one_rule() -> None:
    asked = [plain(" ".join(turn.ask)) for talk in talks() for turn in talk.turns]
    twice = {words for words, count in Counter(asked).items() if count > 1}
    assert twice <= {"what was that"}
    for turn in (turn for talk in talks() for turn in talk.turns):
        assert [bool(turn.any), turn.unknown, turn.no_act].count(True) == 1, turn


def test_no_question_is_one_that_training_asks() -> None:
    """Those of nano's own recipe, which never trained this set's readers: shared wordings are few
    and common, and are listed."""
    trained = {plain(asked.text) for asked in all_asked()}
    wordings = {plain(" ".join(turn.ask)) for talk in talks() for turn in talk.turns}
    assert wordings & trained == set()


def test_what_is_reported_neither_chose_nor_was_shown() -> None:
    """Nearly the same words count as the same, too."""
    reported = [words(turn) for talk in talks() for turn in talk.turns]
    chose = [words(turn) for talk in talks(CHOOSE) for turn in talk.turns]
    prompt = load_preset(shipped_config(), "small")[1].prompt
    shown = [frozenset(plain(example.user).split()) for example in prompt.examples]
    for one in reported:
        for other in (*chose, *shown):
            assert len(one & other) / len(one | other) < 0.8, (sorted(one), sorted(other))


def words(turn: Asked) -> frozenset[str]:
    return frozenset(plain(" ".join(turn.ask)).split())


@pytest.mark.parametrize(
    ("rule", "answer", "is_right"),
    [
        ({"any": ["Lisbon"]}, "The capital of Portugal is Lisbon.", True),
        ({"any": ["Lisbon"]}, "It is Madrid.", False),
        ({"any": ["43"]}, "Forty-three.", True),
        ({"any": ["3"]}, "43", False),
        ({"any": ["40"]}, "It is 43.", False),
        ({"any": ["100"]}, "At 100 degrees, or 212.", True),
        ({"any": ["100"]}, "At 1,100 degrees.", False),
        ({"any": ["3000"]}, "Three thousand meters.", True),
        ({"any": ["apple; banana", "apple; orange"]}, "An orange, an apple.", True),
        ({"any": ["z"]}, "It ends with 'Z'.", True),
        ({"any": ["don't"]}, "They don't.", True),
        ({"any": ["Lisbon"]}, "  ", False),
        ({"unknown": True}, "I don't know what time it is.", True),
        ({"unknown": True}, "I’m sorry, I can’t see the clock.", True),
        ({"unknown": True}, "It is three o'clock.", False),
        ({"unknown": True}, "", False),
        ({"no_act": True}, "I cannot turn off lamps.", True),
        ({"no_act": True}, "I'm sorry, I have no tools to do that, so I can't.", True),
        ({"no_act": True}, "Okay, turning off the lamp.", False),
        ({"no_act": True}, "I have turned it off.", False),
        ({"no_act": True}, "The lamp is a nice idea.", True),
    ],
)
def test_rules(rule: dict[str, object], answer: str, is_right: bool) -> None:
    assert Asked.model_validate({"ask": "x", **rule}).is_right(answer) is is_right


def test_what_admits_and_what_claims() -> None:
    assert admits("That is not possible for me.")
    assert not admits("The canteen is open.")
    assert claims_act("Done!")
    assert not claims_act("The door is heavy.")
