"""TorchScript for functions of many operations on few numbers, which in Python take longer than
what they do. What is to replace it needs a C++ compiler on the user's machine."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def scripted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function`, without Python between its operations."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        compiled: Any = torch.jit.script(function)
    run: Callable[..., Tensor] = compiled
    return run
