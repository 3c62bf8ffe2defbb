"""Sentences that are read: texts, questions and trivia."""

from pathlib import Path

import pytest

from lab.corpora.questions import all_asked
from lab.corpora.texts import TRIVIA, general_texts, split_texts, trivia
from lab.score import right


def test_trivia_without_their_choices(tmp_path: Path) -> None:
    for name in TRIVIA:
        (tmp_path / "trivia").mkdir(exist_ok=True)
        (tmp_path / "trivia" / name).write_text("")
    (tmp_path / "trivia" / "general").write_text(
        "#Q Who wrote Hamlet?\n^ Shakespeare\nA Shakespeare\nB Bacon\n\n"
        "#Q Which of these is a fruit?\n^ Apple\nA Apple\n\n"
        "#Q This drink contains caffeine.\n^ Coffee\nA Coffee\n\n"
        "#Q What is the year of the fire of London?\n^ 1666\nA 1666\n\n"
        "#Q What is the capital of Mongolia?\n^ A city that has a very long name\nA No\n"
    )
    assert trivia(tmp_path) == {"who wrote hamlet": "Shakespeare"}


def test_general_texts_come_out_as_transcripts(tmp_path: Path) -> None:
    gloss = '00001 03 n | a thing; "He read The Times; slowly"; "3 apples"; "alone"\n'
    (tmp_path / "data.noun").write_text(gloss)
    (tmp_path / "wisdom").write_text("A clash is not a disaster.  Go on!\n\t-- Someone\n%\nYes.\n")
    (tmp_path / "wisdom.dat").write_bytes(b"\0")
    assert general_texts(tmp_path, tmp_path) == [
        "a clash is not a disaster", "go on", "he read the times slowly",
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError, match="wordnet-base"):
        general_texts(tmp_path / "no", tmp_path / "no")


def test_a_longer_list_keeps_old_choices() -> None:
    texts = [f"text {i}" for i in range(1000)]
    train, held_out = split_texts(texts)
    assert set(train) | set(held_out) == set(texts)
    assert 10 < len(held_out) < 60
    assert set(split_texts(texts[:500])[1]) == set(held_out) & set(texts[:500])


def test_every_question_can_be_read_and_its_answer_is_right() -> None:
    asked = all_asked()
    assert len({a.text for a in asked}) == len(asked) > 5000
    for one in asked:
        assert set(one.text) <= set("abcdefghijklmnopqrstuvwxyz' "), one
        assert right(one.answer, one.key), one
