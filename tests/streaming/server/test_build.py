"""What sessions begin with, by what the preset can do."""

from dataclasses import replace
from typing import Any

import pytest

from assistant.config import PartConfig
from assistant.files.presets import shipped_config
from assistant.model import load
from streaming.config import Config, Eagerness
from streaming.config_file import load_config
from streaming.server.build import build_assistant


def begun(config: Config) -> dict[str, Any]:
    """The turn detection that a session tells of when it begins."""
    assistant = build_assistant(load(config.model), config, "Reply.")
    (created,) = assistant.new_protocol("sess", str, 0).begin().events
    found: dict[str, Any] = created["session"]["audio"]["input"]["turn_detection"]
    return found


def judging(eagerness: Eagerness | None) -> Config:
    config = load_config(shipped_config(), "tiny")
    model = config.model.model_copy(update={"end_of_turn": PartConfig(weights=["toy:9"])})
    endpointing = config.endpointing.model_copy(update={"eagerness": eagerness})
    return replace(config, model=model, endpointing=endpointing)


@pytest.mark.parametrize("eagerness", ["auto", "low"])
def test_where_pauses_are_judged_that_is_told(eagerness: Eagerness) -> None:
    found = begun(judging(eagerness))
    assert (found["type"], found["eagerness"]) == ("semantic_vad", eagerness)


def test_where_they_are_not_silence_is() -> None:
    shipped = load_config(shipped_config(), "tiny")
    assert shipped.endpointing.eagerness == "auto"
    for config in (shipped, judging(None)):
        found = begun(config)
        assert (found["type"], found["silence_duration_ms"]) == ("server_vad", 320)
