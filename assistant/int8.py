"""Matrix products of 8-bit integers on x86 CPUs (FBGEMM), for weights that are read far more often
than computed with: they are four times smaller than fp32's.

Weights are rounded to 8 bits, a scale for each output. Inputs are rounded row by row to two digits
of 7 bits, 14 in all, which costs little: a product of few rows takes as long as its weights take to
be read. Sums are exact, so a row's result does not depend on the rows beside it.
"""

import warnings

import torch
from torch import Tensor

from assistant.scripted import scripted

DIGIT = 63
"""Greatest size of an input's digit. FBGEMM adds two products in 16 bits, so 7 bits it is."""

WEIGHT = 127
"""Greatest size of a weight's digit."""

_TINY = torch.tensor(1e-30)  # a row of zeros has a scale, too


def fast_int8() -> bool:
    """Whether this machine's processor does it: x86 with AVX2."""
    return "fbgemm" in torch.backends.quantized.supported_engines


class Int8Linear:
    """x -> x W^T."""

    def __init__(self, weight: Tensor, digits: int = 1) -> None:
        """Args:
        weight: shape (out, in), fp32.
        digits: of the weights: 1, 8 bits; 2, 15 bits in twice the memory.
        """
        self._digits = digits
        scale = weight.abs().amax(1, keepdim=True).clamp_(min=1e-30) / WEIGHT
        first = (weight / scale).round_()
        if digits == 1:
            self._packed = _pack(first, scale)
            return
        finer = scale / (2 * WEIGHT)
        second = torch.addcmul(weight, first, scale, value=-1).div_(finer).round_()
        self._packed = _pack(torch.cat([first, second]), torch.cat([scale, finer]))

    def __call__(self, x: Tensor) -> Tensor:
        """x (n, in) -> (n, out), both fp32."""
        return _multiply(x, self._packed, _TINY, DIGIT, self._digits)


@scripted
def _multiply(
    x: Tensor,
    packed: torch.classes.quantized.LinearPackedParamsBase,  # type: ignore[name-defined]
    tiny: Tensor,
    digit: int,
    weight_digits: int,
) -> Tensor:
    n = x.size(0)
    unit = torch.add(tiny, x.abs().amax([1], True), alpha=1 / digit)
    scaled = x / unit
    first = scaled.round()
    digits = torch.cat([first, (scaled - first).mul_(2 * digit)])
    y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        digits, 1.0, digit + 1, packed
    )
    out = torch.add(y[:n], y[n:], alpha=1 / (2 * digit)).mul_(unit)
    if weight_digits == 1:
        return out
    halves = out.chunk(2, 1)
    return torch.add(halves[0], halves[1])


def _pack(weight: Tensor, scale: Tensor) -> torch.ScriptObject:
    """The layout that FBGEMM reads, of whole numbers (out, in) and the rows' scales (out, 1)."""
    before = torch.backends.quantized.engine
    with warnings.catch_warnings():  # tensors of 8-bit numbers are to leave PyTorch; this is pinned
        warnings.filterwarnings("ignore", ".*quantized tensor creation functions", UserWarning)
        try:
            torch.backends.quantized.engine = "fbgemm"
            zeros = torch.zeros(len(weight), dtype=torch.long)
            quantised = torch._make_per_channel_quantized_tensor(
                weight.to(torch.int8), scale[:, 0].double(), zeros, 0
            )
            packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, None)
        finally:
            torch.backends.quantized.engine = before
    return packed
