"""The mean of several runs that began from the same weights.

What each forgot the others remember, and the mean of their weights is often as good as each where
it is best (Wortsman et al. 2022, "Model soups").
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from assistant.errors import ConfigError
from assistant.weights import read_state


def average(states: Iterable[tuple[Path, float]], to: Path) -> list[str]:
    """Write `to`, a `state.pt` of the parameters that all have.

    Args:
        states: files of training runs and their shares, any positive numbers.
        to: file to be written.

    Returns:
        Names of the parameters that some have and others do not, which are left out.

    Raises:
        ConfigError: a share is not positive.
        CheckpointError: a file cannot be read.
    """
    given = list(states)
    for path, share in given:
        if not share > 0:
            raise ConfigError(f"{path}: its share is {share}, and must be positive")
    whole = sum(share for _, share in given)
    mean: dict[str, Tensor] = {}
    names: set[str] = set()
    for number, (path, share) in enumerate(given):
        parameters: dict[str, Tensor] = read_state(path)["parameters"]
        names |= parameters.keys()
        if number == 0:
            mean = {
                name: torch.zeros_like(t, dtype=torch.float32) for name, t in parameters.items()
            }
        mean = {name: t for name, t in mean.items() if name in parameters}
        for name, total in mean.items():
            total.add_(parameters[name].float() * share / whole)
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"parameters": mean}, to)
    return sorted(names - mean.keys())
