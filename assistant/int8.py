"""Matrix products of 8-bit integers on x86 CPUs (FBGEMM), for weights that are read far more often
than computed with: they are four times smaller than fp32's.

Weights are rounded to 8 bits, a scale for each output. Inputs are rounded row by row to two digits
of 7 bits, 14 in all, which costs little: a product of few rows takes as long as its weights take to
be read. Sums are exact, so a row's result does not depend on the rows beside it.
"""

import warnings

import torch
from torch import Tensor

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
        digit = (weight / scale).round_()
        rows, scales = [digit], [scale]
        if digits == 2:
            rest = weight - digit * scale
            scale = scale / (2 * WEIGHT)
            rows.append((rest / scale).round_())
            scales.append(scale)
        self._packed = _pack(torch.cat(rows).to(torch.int8), torch.cat(scales)[:, 0])

    def __call__(self, x: Tensor) -> Tensor:
        """x (n, in) -> (n, out), both fp32."""
        n = len(x)
        unit = torch.add(_TINY, x.abs().amax(1, keepdim=True), alpha=1 / DIGIT)
        scaled = x / unit
        first = scaled.round()
        digits = torch.cat([first, (scaled - first).mul_(2 * DIGIT)])
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            digits, 1.0, DIGIT + 1, self._packed
        )
        out = torch.add(*y.split(n), alpha=1 / (2 * DIGIT)).mul_(unit)
        return out if self._digits == 1 else torch.add(*out.chunk(2, 1))


def _pack(weight: Tensor, scales: Tensor) -> torch.ScriptObject:
    """The layout that FBGEMM reads, of int8 (out, in) and a scale for each row."""
    before = torch.backends.quantized.engine
    with warnings.catch_warnings():  # tensors of 8-bit numbers are to leave PyTorch; this is pinned
        warnings.filterwarnings("ignore", ".*quantized tensor creation functions", UserWarning)
        try:
            torch.backends.quantized.engine = "fbgemm"
            zeros = torch.zeros(len(weight), dtype=torch.long)
            quantised = torch._make_per_channel_quantized_tensor(weight, scales.double(), zeros, 0)
            packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, None)
        finally:
            torch.backends.quantized.engine = before
    return packed
