"""KV caches in ONNX Runtime, of which several may share their buffers.

A prompt of thousands of positions takes hundreds of megabytes, and each conversation goes on behind
it. Positions that were written are never changed, so a copy shares the buffers for as long as it is
the only one that appends to them.
"""

from dataclasses import dataclass, field
from weakref import WeakSet

import numpy as np
import onnxruntime

from assistant.llm.engines.engine import GROWTH


@dataclass(eq=False, slots=True)
class Buffers:
    """Keys and values of each layer in turn, (1, key heads, capacity, head width) each."""

    held: list[onnxruntime.OrtValue]
    capacity: int
    users: "WeakSet[OnnxState]" = field(default_factory=WeakSet)
    """The states whose positions are in here."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class OnnxState:
    """The KV cache of one conversation: the first `length` positions of some buffers."""

    buffers: Buffers
    length: int

    def __post_init__(self) -> None:
        self.buffers.users.add(self)

    def fork(self) -> "OnnxState":
        """An independent copy. Nothing is copied before both append."""
        return OnnxState(self.buffers, self.length)

    def reserve(self, end: int) -> None:
        """Make room up to position `end`, which this state may write to from `length` on."""
        buffers = self.buffers
        capacity = -(-end // GROWTH) * GROWTH
        others = [user for user in buffers.users if user is not self]
        if any(user.length > self.length for user in others):  # it would overwrite theirs
            buffers.users.discard(self)
            held = [_copied(value, self.length, capacity) for value in buffers.held]
            self.buffers = Buffers(held, capacity)
            self.buffers.users.add(self)
        elif capacity > buffers.capacity:
            for place, value in enumerate(buffers.held):  # one after the other: each is freed
                buffers.held[place] = _copied(value, self.length, capacity)
            buffers.capacity = capacity


def empty(places: int, heads: int, width: int) -> OnnxState:
    """A state without positions.

    Args:
        places: keys and values of all layers, counted.
        heads: of keys.
        width: of a head.
    """
    shape = 1, heads, GROWTH, width
    held = [onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
            for _ in range(places)]  # fmt: skip
    return OnnxState(Buffers(held, GROWTH), 0)


def _copied(value: onnxruntime.OrtValue, length: int, capacity: int) -> onnxruntime.OrtValue:
    """The first `length` positions in a buffer of another capacity."""
    before = value.numpy()
    larger = np.zeros((1, before.shape[1], capacity, before.shape[3]), np.float32)
    larger[:, :, :length] = before[:, :, :length]
    return onnxruntime.OrtValue.ortvalue_from_numpy(larger)
