"""Block-causal attention: what lets a bidirectional encoder listen while sound arrives.

Inside a block every position sees every other; earlier blocks are seen through their cached keys
and values; later ones never. So one pass over a whole recording under `block_mask` and a pass per
block with a growing `KeyValues` are the same computation.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class KeyValues:
    """Keys and values of the positions one encoder stream has attended so far, per layer."""

    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Each (1, heads, positions, head width)."""

    length: int = 0
    """How many of them."""

    before: int = 0
    """Of these, how many stand before the stream: its own positions count from 0 after them."""

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append to `layer` and return all its keys and values."""
        if layer == len(self.layers):
            self.layers.append((keys, values))
        else:
            past_keys, past_values = self.layers[layer]
            joined = torch.cat([past_keys, keys], 2), torch.cat([past_values, values], 2)
            self.layers[layer] = joined
        return self.layers[layer]

    def fork(self) -> "KeyValues":
        """An independent copy; tensors are never changed in place, so they are shared."""
        return KeyValues(list(self.layers), self.length, self.before)


def block_mask(new: int, past: int, block: int, device: torch.device) -> Tensor | None:
    """Which keys each of `new` positions may see, after `past` cached ones.

    Args:
        new: positions being computed; the first one starts a block.
        past: positions cached, whole blocks.
        block: positions per block.
        device: where the mask is needed.

    Returns:
        Shape (new, past + new), True where attention is allowed; None when all is.
    """
    if new <= block:
        return None
    blocks = torch.arange(new, device=device) // block
    seen = blocks[:, None] >= blocks[None, :]
    return torch.cat([seen.new_ones(new, past), seen], 1)
