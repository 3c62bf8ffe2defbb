"""Matrix products in bf16 and everything else in fp32, as autocast does, but without its casts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HalfLinear(nn.Module):
    """A frozen linear layer that multiplies in bf16."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.out_features = linear.out_features
        self.weight = nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        self.bias: nn.Parameter | None = None
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach().bfloat16(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x (..., in); returns (..., out) in the number format of x."""
        return F.linear(x.bfloat16(), self.weight, self.bias).to(x.dtype)


def halve_linears(module: nn.Module) -> None:
    """Replace every linear layer inside `module` by a `HalfLinear`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, HalfLinear(child))
        else:
            halve_linears(child)


def fast_half() -> bool:
    """Whether the processor has instructions for products in bf16."""
    return bool(torch.cpu._is_avx512_bf16_supported())
