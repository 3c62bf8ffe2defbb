"""docs/configuration.md is what its script writes, and the script knows every key."""

from pydantic import BaseModel

from assistant.config import LlmConfig, ModelConfig
from streaming.config import EndpointingConfig, ServerConfig, TurnsConfig
from tests.docs.configuration import PAGE, comments, docstrings, leaves, limits, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.docs.configuration`"


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
    assert found["placement"].startswith("auto spreads")


def test_a_range_is_told_whether_its_ends_belong_to_it_or_not() -> None:
    fields = {**ServerConfig.model_fields, **EndpointingConfig.model_fields}
    told = {name: limits(field.annotation, field.metadata) for name, field in fields.items()}
    assert told["port"] == "0 to 65,535"
    assert told["threshold"] == "over 0 to under 1"
    assert told["pause_frames"] == "1 to 1,500"
    assert told["open"] == ""
