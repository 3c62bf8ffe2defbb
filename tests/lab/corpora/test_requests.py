"""Requests: what calls for a tool, what does not, and that none of them judges."""

import json
import random
import re
from pathlib import Path

import pytest
import yaml

from lab.corpora.requests import WISHES, choosing, filled, training, written


@pytest.mark.parametrize(
    ("text", "as_written"),
    [
        ("what time is it", "What time is it?"),
        ("can i have a timer", "Can I have a timer?"),
        ("remind me that i am late.", "Remind me that I am late."),
        ("whatever you say", "Whatever you say."),
    ],
)
def test_they_are_written_as_whisper_would(text: str, as_written: str) -> None:
    assert written(text) == as_written


def test_templates_name_slots_that_there_are_and_none_is_of_both_kinds() -> None:
    wishes = yaml.safe_load(WISHES.read_text())
    every = [*wishes["calls"], *wishes["talks"]]
    assert len({*every}) == len(every)
    named = {slot for template in every for slot in re.findall(r"\{(\w+)\}", template)}
    assert named == {*wishes["slots"]}


def test_slots_are_filled() -> None:
    slots = {"sound": ["a dog"], "long": ["ten minutes"]}
    text = "{long} of {sound}, {sound}."
    assert filled(text, slots, random.Random(0)) == "Ten minutes of a dog, a dog."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts of the corpora's forms."""
    train = [["set a timer for tea", "timer"], ["stop the timer", "timer"],
             ["tell me a joke", "tell_joke"], ["say it again please", "repeat"]]  # fmt: skip
    queries = {"train": train, "oos_train": [["who is that", "oos"]], "val": train[:1]}
    (tmp_path / "oos_eval.json").write_text(json.dumps(queries))
    rows = [
        {"text": "<put> milk on it", "scenario": "lists", "intent": "createoradd"},
        {"text": "lights off now", "scenario": "iot", "intent": "hue_lightoff"},
        {"text": "two words", "scenario": "iot", "intent": "hue_lightoff"},
    ]
    (tmp_path / "home_commands.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "trivia").mkdir()
    (tmp_path / "trivia" / "general").write_text("#Q Who sang it?\n^ Me\nA Me\n#Q This is\n")
    return tmp_path


def test_intents_say_whether_a_tool_is_called_for(folder: Path) -> None:
    found = {row.text: row.calls for row in training(folder, random.Random(0))}
    assert found["Set a timer for tea."]
    assert found["Put milk on it."]
    assert not found["Tell me a joke."]
    assert not found["Who is that?"]
    assert not found["Lights off now."]
    assert not found["Who sang it?"]
    assert not {"Say it again please.", "Two words.", "This is"} & found.keys(), "unclear or short"
    assert sum(found.values()) > 200, "templates are in it"
    assert [(row.text, row.calls) for row in choosing(folder, random.Random(0))] == [
        ("Set a timer for tea.", True)
    ]


def test_nothing_that_judges_trains(folder: Path) -> None:
    assert "Stop the timer." not in {row.text for row in training(folder, random.Random(0))}
