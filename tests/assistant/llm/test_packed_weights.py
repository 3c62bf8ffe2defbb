"""Weights packed for ONNX Runtime stand for those of the file."""

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from assistant.llm.weights.packed import BLOCK, Packed, join, pack_gguf


def raw(kind: Kind, rows: int, columns: int, seed: int) -> NDArray[np.uint8]:
    """Blocks as llama.cpp writes them, drawn at random."""
    random = np.random.default_rng(seed)
    if kind in (Kind.Q5_0, Kind.Q8_0):
        weight = random.standard_normal((rows, columns), np.float32) / columns**0.5
        return np.asarray(gguf.quants.quantize(weight, kind))
    size, length = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (rows, columns // size, length), np.uint8)
    places = {Kind.Q4_K: [0, 2], Kind.Q6_K: [208]}[kind]  # of what a block's scales count in
    scales = {Kind.Q4_K: [1e-4, 6e-4], Kind.Q6_K: [2e-5]}[kind]
    for place, scale in zip(places, scales, strict=True):
        blocks[:, :, place : place + 2] = np.array([scale], np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


TOLERANCE = {Kind.Q4_K: 0.002, Kind.Q5_0: 0.02, Kind.Q6_K: 0.02, Kind.Q8_0: 0.02}
"""Of the size of all weights; the 4 bits of a file are kept, what has more is rounded to 8."""


def off(packed: Packed, weight: NDArray[np.float32]) -> float:
    difference = packed.floats().numpy() - weight
    return float(np.sqrt((difference**2).mean() / (weight**2).mean()))


@pytest.mark.parametrize("kind", TOLERANCE, ids=lambda kind: kind.name)
def test_what_a_file_holds_is_kept(kind: Kind) -> None:
    blocks = raw(kind, 40, 512, 0)
    weight = gguf.quants.dequantize(blocks, kind)
    (packed,) = pack_gguf(kind, blocks)
    assert packed.bits == (4 if kind is Kind.Q4_K else 8)
    assert off(packed, weight) < TOLERANCE[kind]
    assert packed.floats().shape == weight.shape
    some = np.array([3, 3, 39])
    assert torch.equal(packed[some].floats(), packed.floats()[some])
    assert packed[some[:0]].floats().shape == (0, 512)


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.02), (4, 0.15)])
def test_another_rounding_can_be_asked_for(bits: int, tolerance: float) -> None:
    blocks = raw(Kind.Q6_K, 40, 512, 0)
    (packed,) = pack_gguf(Kind.Q6_K, blocks, bits)
    assert packed.bits == bits
    assert off(packed, gguf.quants.dequantize(blocks, Kind.Q6_K)) < tolerance


def test_a_block_without_scale_is_its_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = raw(Kind.Q4_K, 4, 256, 0)
    blocks[:, 4:8] = 0  # scales of the first four blocks
    weight = gguf.quants.dequantize(blocks, Kind.Q4_K)
    assert (weight[:, :BLOCK] == weight[:, :1]).all()
    (packed,) = pack_gguf(Kind.Q4_K, blocks)
    assert off(packed, weight) < 0.01


def test_rows_are_joined_where_they_are_alike() -> None:
    kinds = (Kind.Q4_K, Kind.Q4_K, Kind.Q6_K)
    parts = [next(pack_gguf(kind, raw(kind, 8, 256, i))) for i, kind in enumerate(kinds)]
    both, last = join(parts)
    assert torch.equal(both.floats(), torch.cat([part.floats() for part in parts[:2]]))
    assert last is parts[2]
