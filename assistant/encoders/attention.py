"""Block-causal attention, with which a bidirectional encoder can encode sound while it arrives.

A position attends to all positions of its own block and, through cached keys and values, to all
earlier blocks, but to no later ones. So one pass over a whole recording under `block_mask` and a
pass per block with a growing `KeyValues` are the same computation.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class KeyValues:
    """Keys and values of all earlier positions of one encoder stream, per layer."""

    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Keys and values of each layer, (1, heads, positions, head width) each."""

    length: int = 0
    """Number of cached positions."""

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

    def drop(self, count: int) -> None:
        """Forget the last `count` positions."""
        if count:
            self.layers = [
                (keys[:, :, :-count], values[:, :, :-count]) for keys, values in self.layers
            ]
            self.length -= count

    def fork(self) -> "KeyValues":
        """An independent copy; tensors are never changed in place, so they are shared."""
        return KeyValues(list(self.layers), self.length, self.before)


def block_mask(new: int, past: int, block: int, device: torch.device) -> Tensor | None:
    """Mask of the keys that each of `new` positions may attend to, after `past` cached ones.

    Args:
        new: positions being computed; the first one starts a block.
        past: positions cached, whole blocks.
        block: positions per block.
        device: where the mask is needed.

    Returns:
        Shape (new, past + new), True where attention is allowed; None if it is everywhere.
    """
    if new <= block:
        return None
    blocks = torch.arange(new, device=device) // block
    seen = blocks[:, None] >= blocks[None, :]
    return torch.cat([seen.new_ones(new, past), seen], 1)
