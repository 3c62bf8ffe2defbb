"""Talks that are played to a whole session."""

from pathlib import Path

import numpy as np
import pytest

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from lab.evaluation.everyday import Asked, Talk
from lab.evaluation.live import Live
from lab.evaluation.recorded import Recorded
from streaming.config_file import load_config

DEMO = Path(__file__).parents[3] / "demo" / "kitchen.flac"


def test_tools_that_a_preset_is_not_offered_are_an_error(tiny: Salmonn) -> None:
    config = load_config(shipped_config(), "tiny")
    assert Live(tiny, config).name == "live"
    with pytest.raises(ConfigError, match=r"^live with tools: this preset is offered no tools$"):
        Live(tiny, config, tools=True)


def test_each_turn_of_a_talk_has_its_reply(tiny: Salmonn) -> None:
    said = recording.load(DEMO)
    first, second = said[: 3 * SAMPLE_RATE], said[4 * SAMPLE_RATE : 7 * SAMPLE_RATE]
    asked = tuple(Asked(ask=[name], any=["yes"]) for name in ("a", "b"))
    silence = np.zeros(SAMPLE_RATE, np.float32)
    names = ("a.flac", "b.flac", "c.flac")
    talk = Recorded(Talk("talks", (*asked, asked[0])), "flite/rms", names, (first, silence, second))
    found = Live(tiny, load_config(shipped_config(), "tiny")).talk(talk)
    assert [len(turn.waits_ms) for turn in found] == [1, 0, 1]
    assert [bool(turn.reply) for turn in found] == [True, False, True]
    assert all(wait >= 320 for turn in found for wait in turn.waits_ms)
