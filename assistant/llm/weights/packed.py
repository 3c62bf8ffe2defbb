"""Matrices in blocks of 4 or 8 bits, as ONNX Runtime's `MatMulNBits` takes them.

Q4_K matrices of a GGUF file are repacked without a second rounding. They have a real-valued minimum
per block of 32 weights, for which the operator has no fast path. So the nearest whole zero point is
stored with the weights, and the remainder in a second matrix of a thirty-second of the size, which
is multiplied by the sums of the inputs of each block. Matrices with more than 4 bits in the file
are rounded to 8.
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
"""Number of weights that share a scale."""

WIDE = 128
"""Number of weights that share a scale in 8-bit matrices repacked from a file. In blocks of 32, one
in nine bytes to be read would belong to a scale."""

ZERO = {8: 128, 4: 8}
"""The operator's zero point, by the number of bits, for matrices without zero points of their
own."""

ROWS_AT_ONCE = 4096
"""Rows that are repacked at a time, in some 50 MB."""

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed matrix (rows, columns) with values scale * (rounded - zero) + rest in each block."""

    bits: int
    """Bits of a weight, 4 or 8."""

    block: int
    """Number of weights that share a scale."""

    columns: int
    rounded: NDArray[np.uint8]
    """Rounded weights, shape (rows, blocks, block * bits / 8). With 4 bits, a byte holds two
    weights, the first in its low half."""

    scale: NDArray[np.float32]
    """Scales, shape (rows, blocks)."""

    zero: NDArray[np.uint8] | None = None
    """Zero points, packed like the weights, shape (rows, blocks / 2); None: `ZERO`. For 4 bits
    only."""

    rest: "Packed | None" = None
    """A matrix (rows, blocks) whose values are added to every weight of a block."""

    @property
    def rows(self) -> int:
        """Number of rows, that is of outputs."""
        return len(self.scale)

    @property
    def layout(self) -> tuple[int, int, bool]:
        """Bits, block size, and whether `rest` is None; matrices of the same layout can be
        joined."""
        return self.bits, self.block, self.rest is None

    def arrays(self) -> dict[str, Array]:
        """All arrays of the matrix by name."""
        found: dict[str, Array] = {"rounded": self.rounded, "scale": self.scale}
        if self.zero is not None:
            found["zero"] = self.zero
        if self.rest is not None:
            found |= {f"rest.{name}": array for name, array in self.rest.arrays().items()}
        return found

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> "Packed":
        """The matrix of some of the rows."""
        return replace(
            self,
            rounded=self.rounded[rows],
            scale=self.scale[rows],
            zero=None if self.zero is None else self.zero[rows],
            rest=None if self.rest is None else self.rest[rows],
        )

    def floats(self) -> Tensor:
        """The unpacked matrix, in fp32."""
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
    """Join neighbouring matrices that have the same layout, one below the other."""
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
    """Round weights (out, in), fp32, to 8 bits.

    Returns:
        The rounded weights (out, blocks, block) and the scales (out, blocks); a weight is
        (rounded - 128) * scale.
    """
    blocks = F.pad(weight, (0, -weight.shape[1] % block)).unflatten(1, (-1, block))
    low, high = blocks.aminmax(dim=2)
    scale = torch.maximum(high, -low).clamp_(min=1e-30) / (ZERO[8] - 1)
    rounded = (blocks / scale[:, :, None]).round_().add_(ZERO[8])
    return rounded.to(torch.uint8), scale


def pack(weight: Tensor, bits: int, block: int = BLOCK) -> Packed:
    """Round weights (rows, columns), fp32. With 4 bits there are zero points, and only whole blocks
    are possible."""
    if bits == 4 and weight.shape[1] % BLOCK == 0:
        low, high = weight.unflatten(1, (-1, BLOCK)).aminmax(dim=2)
        return _four(weight.numpy(), ((high - low) / 15).numpy(), -low.numpy())
    rounded, scale = rounded_blocks(weight, block)
    return Packed(8, block, weight.shape[1], rounded.numpy(), scale.numpy())


def pack_gguf(kind: Kind, raw: NDArray[np.uint8], bits: int | None = None) -> Iterator[Packed]:
    """Repack a matrix of a GGUF file, some rows at a time.

    Args:
        kind: number format of the file's blocks.
        raw: shape (rows, bytes of a row).
        bits: number of bits to round to; None: the file's for Q4_K, 8 for all others.
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
    """(weight + add) / scale, rounded, (rows, blocks, block); 0 where the scale is 0."""
    blocks = weight.reshape(*scale.shape, -1) + add[:, :, None]
    safe = np.where(scale == 0, 1, scale)[:, :, None]
    steps: NDArray[np.float32] = np.rint(blocks / safe)
    return np.where(scale[:, :, None] == 0, 0, steps)


def _four(
    weight: NDArray[np.float32], scale: NDArray[np.float32], least: NDArray[np.float32]
) -> Packed:
    """Pack weights whose values are scale * steps - least, with steps from 0 to 15."""
    scale = np.ascontiguousarray(scale, np.float32)
    steps = _steps(weight, scale, least).clip(0, 15).astype(np.uint8)
    zero = np.rint(np.divide(least, scale, out=np.zeros_like(scale), where=scale != 0))
    zero = zero.clip(0, 15)
    rest = pack(torch.from_numpy(scale * zero - least), 8)
    return Packed(
        4, BLOCK, weight.shape[1], _nibbles(steps), scale, _nibbles(zero.astype(np.uint8)), rest
    )


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack two neighbours into a byte, the first into its low half; an odd last one is alone."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], -1)
    low, high = values[..., 0::2], values[..., 1::2]
    return (low | high << 4).astype(np.uint8)


def _halves(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Unpack bytes into two neighbours each: the inverse of `_nibbles`."""
    pairs: NDArray[np.uint8] = np.stack([values & 15, values >> 4], -1)
    return pairs.reshape(*values.shape[:-1], 2 * values.shape[-1])
