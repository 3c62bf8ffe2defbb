"""The mean of runs: of what all have, by their shares."""

from pathlib import Path

import pytest
import torch

from assistant.errors import ConfigError
from assistant.files.weights import read_state
from lab.training.average import average


def state(path: Path, **values: float) -> Path:
    torch.save({"parameters": {k: torch.full((2,), v) for k, v in values.items()}}, path)
    return path


def test_each_counts_as_much_as_its_share(tmp_path: Path) -> None:
    one = state(tmp_path / "1.pt", a=1.0, b=0.0, head=9.0)
    two = state(tmp_path / "2.pt", a=5.0, b=4.0)
    assert average([(one, 1), (two, 3)], tmp_path / "mean" / "state.pt") == ["head"]
    found = read_state(tmp_path / "mean" / "state.pt")["parameters"]
    assert {k: v.tolist() for k, v in found.items()} == {"a": [4.0, 4.0], "b": [3.0, 3.0]}


def test_a_share_is_positive(tmp_path: Path) -> None:
    one = state(tmp_path / "1.pt", a=1.0)
    with pytest.raises(ConfigError, match=r"1\.pt: its share is 0"):
        average([(one, 0)], tmp_path / "mean.pt")


def test_an_adapter_that_a_run_lacks_changes_nothing_there(tmp_path: Path) -> None:
    old = state(tmp_path / "1.pt", a=1.0)
    new = state(tmp_path / "2.pt", **{"a": 1.0, "up.lora_A.x": 6.0, "up.lora_B.x": 3.0})
    assert average([(old, 1), (new, 2)], tmp_path / "mean.pt") == []
    found = read_state(tmp_path / "mean.pt")["parameters"]
    assert found["up.lora_A.x"].tolist() == [6.0, 6.0]
    assert found["up.lora_B.x"].tolist() == [2.0, 2.0]
