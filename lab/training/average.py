"""The mean of several runs that began from the same weights.

What each forgot the others remember, and the mean of their weights is often as good as each where
it is best (Wortsman et al. 2022, "Model soups").
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from assistant.errors import ConfigError
from assistant.files.weights import read_state

LORA_A, LORA_B = ".lora_A.", ".lora_B."
"""Within the names of an adapter's two matrices."""


def average(states: Iterable[tuple[Path, float]], to: Path) -> list[str]:
    """Write `to`, a `state.pt` of the parameters that all have, and of adapters that some have.

    A run without an adapter is one whose B is zero: B counts as such, A is the mean of the others'.

    Args:
        states: files of training runs and their shares, any positive numbers.
        to: file to be written.

    Returns:
        Names of the other parameters, which are left out.

    Raises:
        ConfigError: a share is not positive.
        CheckpointError: a file cannot be read.
    """
    given = list(states)
    for path, share in given:
        if not share > 0:
            raise ConfigError(f"{path}: its share is {share}, and must be positive")
    runs = [(read_state(path)["parameters"], share) for path, share in given]
    names = {name for parameters, _ in runs for name in parameters}
    mean: dict[str, Tensor] = {}
    for name in sorted(names):  # the same file every time
        having = [(p[name].float(), share) for p, share in runs if name in p]
        whole = sum(share for _, share in (runs if LORA_B in name else having))
        if len(having) == len(runs) or LORA_A in name or LORA_B in name:
            mean[name] = torch.stack([t * (share / whole) for t, share in having]).sum(0)
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"parameters": mean}, to)
    return sorted(names - mean.keys())
