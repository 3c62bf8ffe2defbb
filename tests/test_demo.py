"""What the demo and its tape show is what the README and the docs say of them."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.parts.components import GGUFS, locate_parts
from assistant.prompt.prompt import tasks
from assistant.sound.recording import load_pcm16
from streaming.build import build_session, make_session, offered, spec_of_tape
from streaming.config import Config
from streaming.config_file import load_config
from streaming.controls import Clock
from streaming.dialogue.session import one_each
from streaming.events import Event
from streaming.instruments.ledger import Latency
from streaming.instruments.replay import play, replay
from streaming.shell import Shell
from streaming.tape.event_json import to_json
from streaming.tape.tape import Tape, read_tape
from tests.test_nano import replies

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo"


@pytest.fixture(scope="module")
def tape() -> Tape:
    with (DEMO / "talk.jsonl").open(encoding="utf-8") as lines:
        return read_tape(lines)


def test_the_docs_show_the_talk_on_the_tape_word_for_word(tape: Tape) -> None:
    said = "".join(_told(tape)).split("\n")[:-1]
    asked = [line for line in (DEMO / "talk.txt").read_text().splitlines() if line[0] != "("]
    assert len(said) == len(asked) == 6
    page = (ROOT / "docs" / "figures.md").read_text()
    places = [
        page.index(f"{question.removeprefix('> ')} | {answer.strip()} |")
        for question, answer in zip(asked, said, strict=True)
    ]
    assert all(earlier < later for earlier, later in pairwise(places))


def _told(tape: Tape) -> Iterator[str]:
    """Pieces of the replies, each of which ends a line."""
    for event in map(json.loads, tape.events):
        if event["type"] == "reply.delta":
            yield event["text"]
        elif event["type"] == "reply.ended":
            yield "\n"


# --- the real one, where its parts are installed --------------------------------------------------


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(shipped_config(), "small")


@pytest.fixture(scope="module")
def small(config: Config) -> Salmonn:
    if locate_parts(GGUFS[config.model.llm.weights[0].removeprefix("package:")]) is None:
        pytest.skip("requirements/small.txt is not installed")
    return load(config.model)


@pytest.mark.small
def test_the_demo_gives_the_answers_that_the_readme_shows(small: Salmonn, config: Config) -> None:
    tools = offered(small, config)
    session = build_session(small, config, tasks()["talk"], tools=tools, pace=one_each)
    session.control(Clock("2026-11-28T19:00:00.000"))
    events = replay(session, load_pcm16(DEMO / "evening.flac"), calls=Shell().calls().run)
    given: list[Event] = [event for event in events if not isinstance(event, Latency)]
    shown = re.findall(r"^ +→ (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [reply.strip() for reply in replies(given)] == shown


@pytest.mark.small
def test_the_tape_of_a_talk_repeats_itself(small: Salmonn, tape: Tape) -> None:
    """On a processor like the one it was made on: others round sums in another way."""
    session = make_session(small, spec_of_tape(tape), pace=tape.pace)
    assert [to_json(event) for event in play(tape, session)] == tape.events
