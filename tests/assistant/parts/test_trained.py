"""What a trainer saved fills a model, and plain modules are filled as it is."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assistant.errors import CheckpointError
from assistant.files.weights import require
from assistant.llm.adapters import lora_parameters
from assistant.parts.checkpoint import TrainedWeights, read_trained
from tests.assistant.parts.models import LORA, toy_model


def trainers_names(model: dict[str, Tensor]) -> dict[str, Tensor]:
    aligner, llm = toy_model()
    weights = TrainedWeights(dict(aligner.state_dict()), dict(lora_parameters(llm)))
    named = {f"aligner.{k}": v for k, v in weights.aligner.items()}
    return named | {f"llm.{k}": v for k, v in weights.lora.items()} | model


def test_the_trainers_state_fills_a_model(tmp_path: Path) -> None:
    value = torch.full((8, 16), 3.0)
    adapter = f"{LORA}.1.self_attn.q_proj.lora_A.default.weight"
    parameters = trainers_names({f"llm.{adapter}": value, "blank": torch.ones(16)})
    torch.save({"parameters": parameters, "optimiser": {}, "step": 7}, tmp_path / "state.pt")
    aligner, llm = toy_model()
    with torch.no_grad():
        aligner.queries.zero_()
    assert read_trained(tmp_path / "state.pt").fill(aligner, llm, "it") == ["blank"]
    assert torch.equal(aligner.queries, parameters["aligner.queries"])
    assert torch.equal(lora_parameters(llm)[adapter], value)


@pytest.mark.parametrize(
    "key", ["aligner.projection.bias", f"llm.{LORA}.0.self_attn.v_proj.lora_B.default.weight"]
)
def test_a_key_the_trainer_lacks_is_named_as_the_trainer_does(tmp_path: Path, key: str) -> None:
    parameters = trainers_names({})
    del parameters[key]
    torch.save({"parameters": parameters}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=f"^it: missing {re.escape(key)} "):
        read_trained(tmp_path / "state.pt").fill(*toy_model(), "it")


def test_require_fills_a_module_and_reports_what_found_no_place() -> None:
    module = torch.nn.Linear(2, 3)
    state = {"weight": torch.ones(3, 2), "bias": torch.ones(3), "more": torch.ones(1)}
    assert require(module, state, "it") == ["more"]
    assert torch.equal(module(torch.ones(2)), torch.full((3,), 3.0))


def test_require_lists_all_that_is_missing_or_misshapen() -> None:
    message = r"^it: wrong shape weight: \(2, 3\), expected \(3, 2\); missing bias \(3,\)$"
    with pytest.raises(CheckpointError, match=message):
        require(torch.nn.Linear(2, 3), {"weight": torch.ones(2, 3)}, "it")
