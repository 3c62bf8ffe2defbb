"""Matrices in blocks of 4 or 8 bits, as ONNX Runtime's `MatMulNBits` takes them.

Q4_K of a GGUF file is repacked without a second rounding. It has a real-valued minimum per block
of 32, which the operator does not take at speed: the nearest whole zero point goes with the
weights, and what is left of it is a matrix of its own, a thirty-second of the size, for the sums of
the inputs of each block. What has more than 4 bits in the file is rounded to 8.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 32
"""Weights that share a scale."""

WIDE = 128
"""The same in 8 bits repacked from a file: a token waits for bytes, and in blocks of 32 one in
nine is of a scale."""

ZERO = {8: 128, 4: 8}
"""What stands for a weight of 0 where no zero points are given, by bits; the operator's choice."""

ROWS_AT_ONCE = 4096
"""Rows repacked together: some 50 MB while it lasts."""

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Packed:
    """A matrix (rows, columns): scale * (rounded - zero) + rest, block by block."""

    bits: int
    """4 or 8."""

    block: int
    """Weights that share a scale."""

    columns: int
    rounded: NDArray[np.uint8]
    """Shape (rows, blocks, block * bits / 8); of two in a byte the first is the low half."""

    scale: NDArray[np.float32]
    """Shape (rows, blocks)."""

    zero: NDArray[np.uint8] | None = None
    """Zero points, packed as weights are, shape (rows, blocks / 2); None: `ZERO`. 4 bits only."""

    rest: "Packed | None" = None
    """What is added to every weight of a block: a matrix (rows, blocks)."""

    @property
    def rows(self) -> int:
        """Outputs."""
        return len(self.scale)

    @property
    def layout(self) -> tuple[int, int, bool]:
        """Matrices that have it in common can be joined."""
        return self.bits, self.block, self.rest is None

    def arrays(self) -> dict[str, Array]:
        """Its arrays by name."""
        found: dict[str, Array] = {"rounded": self.rounded, "scale": self.scale}
        if self.zero is not None:
            found["zero"] = self.zero
        if self.rest is not None:
            found |= {f"rest.{name}": array for name, array in self.rest.arrays().items()}
        return found

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> "Packed":
        """Some of the rows."""
        return replace(
            self,
            rounded=self.rounded[rows],
            scale=self.scale[rows],
            zero=None if self.zero is None else self.zero[rows],
            rest=None if self.rest is None else self.rest[rows],
        )

    def floats(self) -> Tensor:
        """What it stands for, fp32."""
        whole = self.rounded
        if self.bits == 4:
            whole = _halves(whole)
        zero: Array = np.array(ZERO[self.bits], np.float32)
        if self.zero is not None:
            zero = _halves(self.zero)[:, : self.scale.shape[1], None]
        values = (whole.astype(np.float32) - zero.astype(np.float32)) * self.scale[:, :, None]
        if self.rest is not None:
            values += self.rest.floats().numpy()[:, :, None]
        width = values.shape[1] * values.shape[2]
        return torch.from_numpy(values.reshape(len(values), width)[:, : self.columns])


def join(parts: Iterable[Packed]) -> list[Packed]:
    """Rows below one another, where neighbours have the same layout."""
    return [_below(list(group)) for _, group in groupby(parts, lambda part: part.layout)]


def _below(parts: list[Packed]) -> Packed:
    if len(parts) == 1:
        return parts[0]
    zeros = [part.zero for part in parts if part.zero is not None]
    rests = [part.rest for part in parts if part.rest is not None]
    return replace(
        parts[0],
        rounded=np.concatenate([part.rounded for part in parts]),
        scale=np.concatenate([part.scale for part in parts]),
        zero=np.concatenate(zeros) if zeros else None,
        rest=_below(rests) if rests else None,
    )


def rounded_blocks(weight: Tensor, block: int = BLOCK) -> tuple[Tensor, Tensor]:
    """Weights (out, in), fp32, rounded to 8 bits.

    Returns:
        (out, blocks, block), of which w is (rounded - 128) * scale, and the scales, (out, blocks).
    """
    blocks = F.pad(weight, (0, -weight.shape[1] % block)).unflatten(1, (-1, block))
    low, high = blocks.aminmax(dim=2)
    scale = torch.maximum(high, -low).clamp_(min=1e-30) / (ZERO[8] - 1)
    rounded = (blocks / scale[:, :, None]).round_().add_(ZERO[8])
    return rounded.to(torch.uint8), scale


def pack(weight: Tensor, bits: int, block: int = BLOCK) -> Packed:
    """Round weights (rows, columns), fp32. 4 bits have zero points, and are for whole blocks."""
    if bits == 4 and weight.shape[1] % BLOCK == 0:
        low, high = weight.unflatten(1, (-1, BLOCK)).aminmax(dim=2)
        return _four(weight.numpy(), ((high - low) / 15).numpy(), -low.numpy())
    rounded, scale = rounded_blocks(weight, block)
    return Packed(8, block, weight.shape[1], rounded.numpy(), scale.numpy())


def pack_gguf(kind: Kind, raw: NDArray[np.uint8], bits: int | None = None) -> Iterator[Packed]:
    """Repack a matrix of a GGUF file, some rows at a time.

    Args:
        kind: of its blocks.
        raw: shape (rows, bytes of a row).
        bits: to round to; None: as the file has it, or 8 where `MatMulNBits` has nothing like it.
    """
    for begin in range(0, len(raw), ROWS_AT_ONCE):
        yield _packed(kind, np.ascontiguousarray(raw[begin : begin + ROWS_AT_ONCE]), bits)


def _packed(kind: Kind, raw: NDArray[np.uint8], bits: int | None) -> Packed:
    weight = gguf.quants.dequantize(raw, kind)
    if kind is Kind.Q4_K and bits in (None, 4):
        flat = raw.reshape(-1, gguf.GGML_QUANT_SIZES[kind][1])
        scale, least = gguf.quants.Q4_K.get_scale_min(flat[:, 4:16])
        d, dmin = _halfs(flat[:, :2]), _halfs(flat[:, 2:4])
        shape = len(raw), -1
        return _four(weight, (d * scale).reshape(shape), (dmin * least).reshape(shape))
    return pack(torch.from_numpy(weight), bits or 8, WIDE if weight.shape[1] % WIDE == 0 else BLOCK)


def _halfs(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _steps(
    weight: NDArray[np.float32], scale: NDArray[np.float32], add: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(weight + add) / scale in whole steps, (rows, blocks, block); 0 where the scale is."""
    blocks = weight.reshape(*scale.shape, -1) + add[:, :, None]
    safe = np.where(scale == 0, 1, scale)[:, :, None]
    steps: NDArray[np.float32] = np.rint(blocks / safe)
    return np.where(scale[:, :, None] == 0, 0, steps)


def _four(
    weight: NDArray[np.float32], scale: NDArray[np.float32], least: NDArray[np.float32]
) -> Packed:
    """Weights that are scale * steps - least, with steps from 0 to 15."""
    scale = np.ascontiguousarray(scale, np.float32)
    steps = _steps(weight, scale, least).clip(0, 15).astype(np.uint8)
    zero = np.rint(np.divide(least, scale, out=np.zeros_like(scale), where=scale != 0))
    zero = zero.clip(0, 15)
    rest = pack(torch.from_numpy(scale * zero - least), 8)
    return Packed(
        4, BLOCK, weight.shape[1], _nibbles(steps), scale, _nibbles(zero.astype(np.uint8)), rest
    )


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two neighbours in a byte, the first in its low half; an odd last one alone."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], -1)
    low, high = values[..., 0::2], values[..., 1::2]
    return (low | high << 4).astype(np.uint8)


def _halves(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The other way round."""
    pairs: NDArray[np.uint8] = np.stack([values & 15, values >> 4], -1)
    return pairs.reshape(*values.shape[:-1], 2 * values.shape[-1])
