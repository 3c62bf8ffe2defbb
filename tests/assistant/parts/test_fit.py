"""Weights against a preset, before any of its other parts is there."""

import re

import pytest
import torch

from assistant.config import ModelConfig
from assistant.errors import CheckpointError
from assistant.files.presets import load_preset, shipped_config
from assistant.llm.adapters import lora_parameters
from assistant.parts.build import build_ear, build_llm
from assistant.parts.checkpoint import TrainedWeights, fit


def tiny_weights(tiny_config: ModelConfig) -> TrainedWeights:
    ear = build_ear(tiny_config, 48)
    llm = build_llm(tiny_config, train=True)
    lora = {k: v.detach() for k, v in lora_parameters(llm.model).items()}
    return TrainedWeights(dict(ear.aligner.state_dict()), lora, ["blank"])


def test_fit_keeps_what_has_a_place_and_names_the_rest(tiny_config: ModelConfig) -> None:
    weights = tiny_weights(tiny_config)
    weights.aligner["qformer.layers.0.text_mlp.weight"] = torch.zeros(2)
    fitted = fit(weights, tiny_config, "x")
    assert fitted.aligner.keys() == tiny_weights(tiny_config).aligner.keys()
    assert fitted.lora.keys() == weights.lora.keys()
    assert fitted.leftover == ["blank", "aligner.qformer.layers.0.text_mlp.weight"]


@pytest.mark.parametrize("key", ["ln_speech.weight", "projection.bias", "qformer.norm.bias"])
def test_fit_names_what_is_missing(tiny_config: ModelConfig, key: str) -> None:
    weights = tiny_weights(tiny_config)
    del weights.aligner[key]
    with pytest.raises(CheckpointError, match=rf"missing aligner\.{re.escape(key)}"):
        fit(weights, tiny_config, "x")


def test_fit_refuses_another_preset(tiny_config: ModelConfig) -> None:
    nano = load_preset(shipped_config(), "nano")[1]
    with pytest.raises(CheckpointError, match="wrong shape aligner.queries"):
        fit(tiny_weights(tiny_config), nano, "x")
    lora = tiny_config.llm.lora
    assert lora is not None
    llm = tiny_config.llm.model_copy(update={"lora": lora.model_copy(update={"rank": 16})})
    with pytest.raises(CheckpointError, match="does not fit LoRA of rank 16"):
        fit(tiny_weights(tiny_config), tiny_config.model_copy(update={"llm": llm}), "x")


def test_fit_without_lora(tiny_config: ModelConfig) -> None:
    weights = tiny_weights(tiny_config)
    plain = tiny_config.model_copy(
        update={"llm": tiny_config.llm.model_copy(update={"lora": None})}
    )
    assert fit(weights, plain, "x").lora == {}
    assert set(weights.lora) <= set(fit(weights, plain, "x").leftover)
    bare = TrainedWeights(weights.aligner, {})
    with pytest.raises(CheckpointError, match="the preset has LoRA, the file has none"):
        fit(bare, tiny_config, "x")
