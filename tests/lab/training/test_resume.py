"""An interrupted run goes on as if it had not been, and with no other settings."""

from pathlib import Path

import pytest
import torch

from assistant.config import ModelConfig
from assistant.files.weights import read_state
from lab.training.config import StageConfig
from tests.lab.training.toy import stage, train


def test_an_interrupted_run_ends_with_the_same_weights(
    runs: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_config, stage("ctc", 4), runs, "whole")

    from lab.training import loop

    real, count = loop.learning_rate, iter(range(100))

    def stop_at_seven(step: int, total: int, config: StageConfig) -> float:
        if next(count) == 7:
            raise KeyboardInterrupt
        return real(step, total, config)

    monkeypatch.setattr(loop, "learning_rate", stop_at_seven)
    hasty = stage("ctc", 4, checkpoint_minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config, hasty, runs, "cut")
    train(tiny_config, hasty, runs, "cut")
    ours = read_state(runs / "cut" / "state.pt")
    theirs = read_state(runs / "whole" / "state.pt")
    assert ours["step"] == theirs["step"] == 12
    for name, tensor in theirs["parameters"].items():
        assert torch.equal(ours["parameters"][name], tensor), name


def test_figures_lost_to_an_interruption_are_made_up_for(
    runs: Path, tiny_config: ModelConfig
) -> None:
    train(tiny_config, stage("ctc", 2), runs, "figures")
    path = runs / "figures" / "figures.csv"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    train(tiny_config, stage("ctc", 2), runs, "figures")
    assert path.read_text() == whole


def test_a_run_that_was_shortened_keeps_the_rates_it_had(
    runs: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.training import loop

    lengths: dict[int, int] = {}
    real = loop.learning_rate

    def remember(step: int, total: int, config: StageConfig) -> float:
        assert step not in lengths or lengths[step] == total
        lengths[step] = total
        return real(step, total, config)

    monkeypatch.setattr(loop, "learning_rate", remember)
    changes = {"steps": 8, "stop": 7, "replanned": [{"until": 2, "steps": 20}]}
    train(tiny_config, stage("ctc", 9, **changes), runs, "shortened")
    assert list(lengths.values()) == [20] * 2 + [8] * 5
    lengths.clear()
    train(tiny_config, stage("ctc", 9, **changes), runs, "shortened")
    assert lengths == {}  # nothing is left to do
