"""Sound events: which classes of sound a block holds, and when each begins."""

import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from assistant.errors import ComponentError
from assistant.files.weights import read_state, require

BEGINS, ENDS = 0.5, 0.25
"""A class begins at this probability, and has ended below the other: what wavers is told once."""


class SoundTagger(nn.Module):
    """A linear layer over the mean and the maximum of a block's encoder features."""

    def __init__(self, names: list[str], width: int) -> None:
        """Args:
        names: of the classes.
        width: of the encoders' features, joined.
        """
        super().__init__()
        self.names = names
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, len(names))

    def forward(self, features: Tensor) -> Tensor:
        """Features of a block (n, width), n >= 1 -> logits (classes,)."""
        pooled = torch.cat([features.mean(0), features.amax(0)])
        logits: Tensor = self.head(self.norm(pooled))
        return logits

    @torch.inference_mode()
    def probabilities(self, features: Tensor) -> dict[str, float]:
        """Of every class in a block."""
        return dict(zip(self.names, self(features.float()).sigmoid().tolist(), strict=True))


class Onsets:
    """Tells of each class when it begins: one stream's state."""

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()
        """Classes that go on."""

    def fork(self) -> "Onsets":
        """An independent copy."""
        twin = Onsets()
        twin.on = self.on
        return twin

    def push(self, probabilities: dict[str, float]) -> list[tuple[str, float]]:
        """Classes that begin with this block, the likeliest first; none in a silent block: {}."""
        begun = [
            (name, p) for name, p in probabilities.items() if p >= BEGINS and name not in self.on
        ]
        on = {n for n in self.on if probabilities.get(n, 0.0) >= ENDS}
        self.on = frozenset(on | {name for name, _ in begun})
        return sorted(begun, key=lambda pair: -pair[1])


def save_tagger(tagger: SoundTagger, path: Path) -> None:
    """Write a tagger as safetensors in fp16, its classes in the file's metadata."""
    state = {key: tensor.detach().half() for key, tensor in tagger.state_dict().items()}
    safetensors.torch.save_file(state, path, {"names": json.dumps(tagger.names)})


def load_tagger(path: Path) -> SoundTagger:
    """Read a file of `save_tagger`: frozen, in fp32.

    Raises:
        ComponentError: it names no classes.
        CheckpointError: not a file of tensors, or keys are missing or misshapen.
    """
    state = read_state(path)
    with safetensors.safe_open(path, "pt") as opened:
        names = json.loads((opened.metadata() or {}).get("names", "[]"))
    if not names or "norm.weight" not in state:
        raise ComponentError(f"{path}: not a sound tagger (no names of classes)")
    tagger = SoundTagger(names, state["norm.weight"].numel() // 2)
    require(tagger, {key: tensor.float() for key, tensor in state.items()}, str(path))
    return tagger.eval().requires_grad_(False)
