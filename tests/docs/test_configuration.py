"""docs/configuration.md is what its script writes, and the script knows every key."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from assistant.config import LlmConfig, ModelConfig
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, shipped_config
from streaming.config import EndpointingConfig, ServerConfig, TurnsConfig
from streaming.config_file import load_config
from tests.docs.configuration import PAGE, comments, docstrings, leaves, limits, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.docs.configuration`"


EXAMPLES = re.findall(r"^```yaml\n(.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(example)
    config, shipped = load_config(tmp_path / "own.yaml"), load_config(shipped_config())
    assert config != shipped


def test_the_example_with_another_llm_is_small_but_for_its_weights(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if "OWNER" in text)
    (tmp_path / "own.yaml").write_text(example)
    mine, small = load_preset(tmp_path / "own.yaml")[1], load_preset(shipped_config(), "small")[1]
    assert mine.llm.weights == ["hub:OWNER/NAME"]
    assert mine.model_copy(update={"llm": small.llm}) == small
    assert mine.llm.model_copy(update={"weights": small.llm.weights}) == small.llm


def test_a_preset_that_stands_alone_names_the_parts_that_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("preset: mine\npresets: { mine: {} }\n")
    with pytest.raises(ConfigError) as error:
        load_preset(tmp_path / "own.yaml")
    parts = re.findall(r"presets\.mine\.(\w+): Field required", str(error.value))
    said = PAGE.read_text().partition("The parts that it must name are")[2].partition(";")[0]
    assert parts == re.findall(r"`(\w+)`", said)


def test_every_key_is_on_the_page_with_its_meaning() -> None:
    sections: dict[str, type[BaseModel]] = {
        "endpointing.": EndpointingConfig, "turns.": TurnsConfig, "server.": ServerConfig,
        "": ModelConfig,
    }  # fmt: skip
    for prefix, model in sections.items():
        for path, _, _ in leaves(model):
            assert f"\n| `{prefix}{'.'.join(path)}` |" in page()


def test_a_comment_belongs_to_the_key_behind_or_below_it() -> None:
    text = """\
# Of no key.

# Of all that
# is here.
here:
  one: 1 # of one
  # Above two
  two: "#no" # and behind it
  three: 3
  inner: # of inner
    one: 1
"""
    assert comments(text) == {
        ("here",): "Of all that is here.",
        ("here", "one"): "of one",
        ("here", "two"): "Above two and behind it",
        ("here", "inner"): "of inner",
    }


def test_docstrings_are_those_of_the_section_and_of_what_it_extends() -> None:
    found = docstrings(LlmConfig)
    assert found["weights"].startswith("Sources, tried in order")
    assert found["placement"].startswith("single: one device")


def test_a_range_is_told_whether_its_ends_belong_to_it_or_not() -> None:
    fields = {**ServerConfig.model_fields, **EndpointingConfig.model_fields}
    told = {name: limits(field.annotation, field.metadata) for name, field in fields.items()}
    assert told["port"] == "0 to 65,535"
    assert told["threshold"] == "over 0 to under 1"
    assert told["pause_frames"] == "1 to 1,500"
    assert told["open"] == ""
