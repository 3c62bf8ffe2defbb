"""Sound events: which classes of sound a block holds, and when each begins."""

import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.errors import ComponentError
from assistant.files.weights import read_state, require

BEGINS, ENDS = 0.5, 0.25
"""A class begins at this probability, and has ended below the other: what wavers is told once."""

UNKNOWN_SOUND = "unknown sound"
"""What a sound is called that is none of the classes."""


class SoundTagger(nn.Module):
    """A linear layer over the mean and the maximum of a block's encoder features."""

    def __init__(self, names: list[str], width: int) -> None:
        """Args:
        names: of the classes.
        width: of the encoders' features, joined.
        """
        super().__init__()
        self.names, self.reach = names, width
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

    def extent(self, features: Tensor) -> dict[str, tuple[int, int]]:
        """Of every class the features from the first to the one after the last: all of them, since
        the layer tells no more than that."""
        return dict.fromkeys(self.names, (0, len(features)))


def pool_windows(features: Tensor, window: int) -> Tensor:
    """Features (n, width) -> mean and maximum of each whole window, (n // window, 2 width)."""
    whole = features[: len(features) // window * window]
    windows = whole.view(-1, window, features.shape[1])
    return torch.cat([windows.mean(1), windows.amax(1)], 1)


class WindowTagger(nn.Module):
    """A hidden layer over each window's features, and a linear layer over the block's windows.

    It also knows families of classes, which it names where no class of theirs is sure, and what it
    does not know.
    """

    def __init__(
        self, names: list[str], since: int, width: int, hidden: int,
        families: dict[str, str], window: int,
    ) -> None:  # fmt: skip
        """Args:
        names: of the classes, the families and what is unknown.
        since: numbers of a feature that are left out: what the speech encoder's last layer says,
            which knows least of sounds.
        width: numbers after those.
        hidden: size of the hidden layer.
        families: of each class that has one, its name.
        window: features per window.
        """
        super().__init__()
        self.names, self.families, self.window = names, families, window
        self.since, self.reach = since, since + width
        self.norm = nn.LayerNorm(2 * width)
        self.hidden = nn.Linear(2 * width, hidden)
        self.head = nn.Linear(2 * hidden, len(names))

    def windows(self, features: Tensor) -> Tensor:
        """Features (n, width of all) -> pooled windows (n // window, 2 width)."""
        return pool_windows(features[:, self.since :].float(), self.window)

    def inner(self, windows: Tensor) -> Tensor:
        """Pooled windows (..., 2 width) -> (..., hidden)."""
        return F.gelu(self.hidden(self.norm(windows)))

    def logits(self, inner: Tensor) -> Tensor:
        """`inner` of the windows of a stretch (..., n, hidden) -> logits (..., classes)."""
        out: Tensor = self.head(torch.cat([inner.mean(-2), inner.amax(-2)], -1))
        return out

    def forward(self, features: Tensor) -> Tensor:
        """Features of a block (n, width), n >= window -> logits (classes,)."""
        return self.logits(self.inner(self.windows(features)))

    @torch.inference_mode()
    def probabilities(self, features: Tensor) -> dict[str, float]:
        """Of every class in a block; of a family only where none of its classes begins."""
        found = dict(zip(self.names, self(features).sigmoid().tolist(), strict=True))
        sure = [name for name, p in found.items() if p >= BEGINS and name != UNKNOWN_SOUND]
        for family in {self.families[name] for name in sure if name in self.families}:
            found[family] = 0.0
        if sure:
            found[UNKNOWN_SOUND] = 0.0
        return found

    @torch.inference_mode()
    def extent(self, features: Tensor) -> dict[str, tuple[int, int]]:
        """Of every class the windows of a block from the first to the last that has half the
        probability of its surest one: the first feature and the one after the last."""
        inner = self.inner(self.windows(features))
        by_window = self.logits(inner[:, None]).sigmoid()
        there = by_window >= by_window.amax(0) / 2
        places = {}
        for name, column in zip(self.names, there.T, strict=True):
            at = column.nonzero()[:, 0].tolist()
            places[name] = at[0] * self.window, (at[-1] + 1) * self.window
        return places


Tagger = SoundTagger | WindowTagger


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


def save_tagger(tagger: Tagger, path: Path) -> None:
    """Write a tagger as safetensors in fp16, its classes in the file's metadata."""
    state = {key: tensor.detach().half() for key, tensor in tagger.state_dict().items()}
    about = {"names": json.dumps(tagger.names)}
    if isinstance(tagger, WindowTagger):
        about |= {"families": json.dumps(tagger.families), "since": str(tagger.since),
                  "window": str(tagger.window)}  # fmt: skip
    safetensors.torch.save_file(state, path, about)


def load_tagger(path: Path) -> Tagger:
    """Read a file of `save_tagger`: frozen, in fp32.

    Raises:
        ComponentError: it names no classes.
        CheckpointError: not a file of tensors, or keys are missing or misshapen.
    """
    state = read_state(path)
    with safetensors.safe_open(path, "pt") as opened:
        about = opened.metadata() or {}
    names = json.loads(about.get("names", "[]"))
    if not names or "norm.weight" not in state:
        raise ComponentError(f"{path}: not a sound tagger (no names of classes)")
    width = state["norm.weight"].numel() // 2
    tagger: Tagger
    if "window" in about and "hidden.bias" in state:
        tagger = WindowTagger(
            names, int(about["since"]), width, state["hidden.bias"].numel(),
            json.loads(about["families"]), int(about["window"]),
        )  # fmt: skip
    else:
        tagger = SoundTagger(names, width)
    require(tagger, {key: tensor.float() for key, tensor in state.items()}, str(path))
    return tagger.eval().requires_grad_(False)
