"""TorchScript for functions with many operations on few numbers, where Python would take most of
the time. Its successor, torch.compile, needs a C++ compiler on the user's machine."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def scripted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function` as TorchScript: no Python runs between its operations."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        compiled: Any = torch.jit.script(function)
    run: Callable[..., Tensor] = compiled
    return run
