"""The example of docs/embedding.md is the file beside it, and runs."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from streaming import controls, events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embedding.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "embed.py"


def test_the_page_shows_the_whole_file() -> None:
    assert f"```python\n{EXAMPLE.read_text()}```" in PAGE


def test_the_example_hears_speech_and_answers_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = str(ROOT / "demo" / "kitchen.flac")
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), recording, "--preset", "tiny"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    assert len(re.findall(r"^ +[\d.]+ s  speech starts$", out, re.MULTILINE)) == 3
    assert len(re.findall(r"^ +[\d.]+ s  speech ends$", out, re.MULTILINE)) == 3
    assert out.rpartition("speech ends\n")[2].strip()


def test_the_example_answers_each_utterance_and_the_question() -> None:
    names = runpy.run_path(str(EXAMPLE))
    config = names["load_config"](names["shipped_config"](), "tiny")
    session = names["build_session"](names["load"](config.model), config, "Listen.")
    pcm = names["load_pcm16"](ROOT / "demo" / "kitchen.flac")
    heard = list(names["hear"](session, pcm))
    assert sum(isinstance(event, events.ReplyStarted) for event in heard) == 4


@pytest.mark.parametrize(
    "name",
    [
        *(event.__name__ for event in events.Event.__args__),
        *(control.__name__ for control in controls.Control.__args__),
    ],
)
def test_the_page_names_every_event_and_control(name: str) -> None:
    assert f"`{name}`" in PAGE
