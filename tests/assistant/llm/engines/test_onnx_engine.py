"""Weights in blocks of 8 bits stand for what was rounded, and are the engine's own."""

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.weights import packed
from assistant.llm.weights.packed import BLOCK, ZERO, rounded_blocks
from assistant.llm.weights.read import ReadWeights, StateTensors


@pytest.mark.parametrize("width", [BLOCK, 3 * BLOCK, BLOCK + 1, 5])
def test_no_weight_is_off_by_more_than_half_a_step(width: int) -> None:
    weight = torch.randn(7, width, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    rounded, scale = rounded_blocks(weight)
    blocks = -(-width // BLOCK)
    assert rounded.shape == (7, blocks, BLOCK)
    assert scale.shape == (7, blocks)
    meant = ((rounded.float() - ZERO[8]) * scale[:, :, None]).flatten(1)[:, :width]
    step = scale.repeat_interleave(BLOCK, 1)[:, :width]
    assert ((meant - weight).abs() <= step * 0.5001).all()
    assert int((rounded.int() - ZERO[8]).abs().max()) == 127


def test_the_engine_keeps_nothing_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []

    def recorded(weight: Tensor, block: int) -> tuple[Tensor, Tensor]:
        made = rounded_blocks(weight, block)
        given.extend(made)
        return made

    monkeypatch.setattr(packed, "rounded_blocks", recorded)
    config = LlamaConfig(
        vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    engine = OnnxEngine(ReadWeights(StateTensors(model), config), threads=1)
    embeds = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    before = engine.extend(engine.start(), embeds).clone()
    assert before.any()
    for tensor in given:
        tensor.zero_()
    assert torch.equal(engine.extend(engine.start(), embeds), before)
