import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.voice.clauses import FIRST, LATER, LONGEST, Clauses
from tests.laws import check_stage_laws, cuts, run

TEXTS = st.text(st.sampled_from("aB1 .,!?\n`*-e.g. Dr. "), max_size=400)


def clauses(text: str) -> list[str]:
    return run(Clauses(), [text])


@given(st.data())
def test_they_do_not_depend_on_how_the_text_was_cut(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    check_stage_laws(Clauses, text, [text[cut] for cut in data.draw(cuts(len(text)))])


@given(TEXTS)
def test_joined_they_are_the_text(text: str) -> None:
    assert "".join(clauses(text)) == text


@given(st.text(st.sampled_from("ab ,.\n"), max_size=900))
def test_none_is_long(text: str) -> None:
    assert all(len(clause.strip()) <= LONGEST for clause in clauses(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Okay, I'll be quiet.", ["Okay, ", "I'll be quiet."]),
        ("I can't do that. I can only talk.", ["I can't do that. ", "I can only talk."]),
        ("Dr. Smith is in. He waits.", ["Dr. Smith is in. ", "He waits."]),
        ("J. R. Smith, e.g. he.", ["J. R. Smith, ", "e.g. he."]),
        ("It is 3.5 or 4,000.", ["It is 3.5 or 4,000."]),
        ('He said "No!" Then he left.', ['He said "No!" ', "Then he left."]),
        ("1. Boil it.\n2. Eat it.", ["1. Boil it.\n", "2. Eat it."]),
        (
            "See:\n```a. b. c. d\ne. f.``` That is it.",
            ["See:\n", "```a. b. c. d\ne. f.``` That is it."],
        ),
    ],
)
def test_where_they_end(text: str, expected: list[str]) -> None:
    assert clauses(text) == expected


def test_the_first_one_is_short_and_later_ones_are_long() -> None:
    word, *rest = clauses("one two, " * 30)
    assert word == "one two, "
    assert all(LATER.mark <= len(clause.strip()) < 2 * LATER.mark for clause in rest[:-1])


def test_without_a_mark_it_ends_before_a_word_that_something_can_begin_with() -> None:
    first, *_ = clauses("Paris is the largest city of all and it lies on the river Seine today")
    assert first == "Paris is the largest city of all "
    assert len(first) >= FIRST.joint


def test_a_sentence_is_a_clause_at_the_same_moment_as_its_space() -> None:
    stage = Clauses()
    assert stage.push("It is late.") == []
    assert stage.push(" ") == ["It is late. "]
