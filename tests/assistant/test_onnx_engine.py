"""Weights in blocks of 8 bits stand for what was rounded."""

import numpy as np
import pytest

from assistant.onnx_engine import BLOCK, WEIGHT, ZERO, rounded_blocks


@pytest.mark.parametrize("width", [BLOCK, 3 * BLOCK, BLOCK + 1, 5])
def test_no_weight_is_off_by_more_than_half_a_step(width: int) -> None:
    weight = np.random.default_rng(0).standard_normal((7, width)).astype(np.float32)
    weight[2] = 0
    rounded, scale = rounded_blocks(weight)
    blocks = -(-width // BLOCK)
    assert rounded.shape == (7, blocks, BLOCK)
    assert scale.shape == (7, blocks)
    meant = ((rounded.astype(np.float32) - ZERO) * scale[:, :, None]).reshape(7, -1)[:, :width]
    step = np.repeat(scale, BLOCK, 1)[:, :width]
    assert (np.abs(meant - weight) <= step * 0.5001).all()
    assert np.abs(rounded.astype(int) - ZERO).max() == WEIGHT
