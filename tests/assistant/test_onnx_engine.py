"""Weights in blocks of 8 bits stand for what was rounded."""

import pytest
import torch

from assistant.onnx_engine import BLOCK, WEIGHT, ZERO, rounded_blocks


@pytest.mark.parametrize("width", [BLOCK, 3 * BLOCK, BLOCK + 1, 5])
def test_no_weight_is_off_by_more_than_half_a_step(width: int) -> None:
    weight = torch.randn(7, width, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    rounded, scale = rounded_blocks(weight)
    blocks = -(-width // BLOCK)
    assert rounded.shape == (7, blocks, BLOCK)
    assert scale.shape == (7, blocks)
    meant = ((rounded.float() - ZERO) * scale[:, :, None]).flatten(1)[:, :width]
    step = scale.repeat_interleave(BLOCK, 1)[:, :width]
    assert ((meant - weight).abs() <= step * 0.5001).all()
    assert int((rounded.int() - ZERO).abs().max()) == WEIGHT
