"""Sound events: the classes of sound in a block, and when each of them begins."""

import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from assistant.errors import ComponentError
from assistant.files.weights import read_state, require

BEGINS, ENDS = 0.5, 0.25
"""Hysteresis: a class begins at the first probability and ends below the second, so that a sound
with a wavering probability is named once."""

PERHAPS = 0.25
"""A class that is likelier than all others and that far likely, but not sure enough to begin, is
guessed. Of recordings that choose, 86 % of what is named or guessed at this bar is right."""

FURTHEST = 5.0
"""Standardised features are clipped at this distance from 0, for recordings unlike all others."""

NEAR = 0.7
"""Distance in logits. A class is named beside the best one if it is not further behind it, and a
window belongs to a sound if it is not further behind the sound's surest window."""

SPAN_WINDOWS, HOP_WINDOWS = 8, 4
"""Windows that a `WindowTagger` judges together, as in training, and from one such span to the
next: a sound that begins late in a block is heard best in a span that crosses into the next one."""

UNKNOWN_SOUND = "unknown sound"
"""Name of the class for sounds that are none of the other classes."""


class SoundTagger(nn.Module):
    """nano's tagger: a linear layer over the mean and maximum of a block's encoder features."""

    def __init__(self, names: list[str], width: int) -> None:
        """Args:
        names: of the classes.
        width: of the encoders' features, joined.
        """
        super().__init__()
        self.names, self.reach, self.before = names, width, 0
        self.vague: frozenset[str] = frozenset()
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, len(names))

    def forward(self, features: Tensor) -> Tensor:
        """Features of a block (n, width), n >= 1 -> logits (classes,)."""
        pooled = torch.cat([features.mean(0), features.amax(0)])
        logits: Tensor = self.head(self.norm(pooled))
        return logits

    @torch.inference_mode()
    def probabilities(self, features: Tensor) -> dict[str, float]:
        """Probability of every class in a block."""
        return dict(zip(self.names, self(features.float()).sigmoid().tolist(), strict=True))

    def guess(self, features: Tensor) -> dict[str, float]:
        """Nothing; see `WindowTagger.guess`."""
        return {}

    def spans(self, before: int, features: int) -> list[tuple[int, int]]:
        """The block itself; see `WindowTagger.spans`."""
        return [(0, features)]

    def extent(self, features: Tensor) -> dict[str, tuple[int, int]]:
        """For every class, the index of its first feature in the block and of the one after its
        last. These are all features, since this tagger cannot locate a sound in a block."""
        return dict.fromkeys(self.names, (0, len(features)))


def pool_windows(features: Tensor, window: int) -> Tensor:
    """Mean and maximum of each whole window of features (n, width), (n // window, 2 width)."""
    whole = features[: len(features) // window * window]
    windows = whole.view(-1, window, features.shape[1])
    return torch.cat([windows.mean(1), windows.amax(1)], 1)


class WindowTagger(nn.Module):
    """small's tagger: two layers over the standardised mean and maximum of a block's features.

    It names a family of classes when none of them is sure, has a class for unknown sounds, and
    locates sounds to a window.
    """

    def __init__(
        self,
        names: list[str],
        since: int,
        width: int,
        families: dict[str, str],
        window: int,
        hidden: int,
    ) -> None:
        """Args:
        names: of the classes and families, and `UNKNOWN_SOUND`.
        since: how many leading numbers of a feature are left out: those of Whisper's last layer,
            which knows least about sounds.
        width: how many numbers follow.
        families: from the name of a class to that of its family; not all have one.
        window: features per window.
        hidden: width of the first layer.
        """
        super().__init__()
        self.names, self.families, self.window = names, families, window
        self.since, self.reach = since, since + width
        self.vague = frozenset({*families.values(), UNKNOWN_SOUND})
        """Names that leave open which class it is."""

        self.before = (SPAN_WINDOWS - HOP_WINDOWS) * window
        """Features before a block that its spans look back on, at most."""

        self.mean = nn.Parameter(torch.zeros(2 * width))
        self.spread = nn.Parameter(torch.ones(2 * width))
        self.inner = nn.Linear(2 * width, hidden)
        self.head = nn.Linear(hidden, len(names))

    def standard(self, pooled: Tensor) -> Tensor:
        """Standardise the mean and maximum of stretches, (..., 2 width)."""
        return ((pooled - self.mean) / self.spread).clamp(-FURTHEST, FURTHEST)

    def logits(self, pooled: Tensor) -> Tensor:
        """Mean and maximum of stretches (..., 2 width) -> logits (..., classes)."""
        out: Tensor = self.head(gelu(self.inner(self.standard(pooled))))
        return out

    def forward(self, features: Tensor) -> Tensor:
        """Features of a block (n, width of all), n >= 1 -> logits (classes,)."""
        own = features[:, self.since :].float()
        return self.logits(torch.cat([own.mean(0), own.amax(0)]))

    def spans(self, before: int, features: int) -> list[tuple[int, int]]:
        """Stretches to judge one after the other when a block is there.

        Args:
            before: features that are at hand before the block's first one.
            features: of the block.

        Returns:
            The first feature and one past the last, counted from the block's first one, which is 0.
        """
        hop, span = HOP_WINDOWS * self.window, SPAN_WINDOWS * self.window
        ends = [*range(hop, features, hop), features]
        return [(max(-before, end - span), end) for end in ends]

    @torch.inference_mode()
    def probabilities(self, features: Tensor) -> dict[str, float]:
        """Probability of every class in a block. A family's is 0 if one of its classes begins, and
        that of `UNKNOWN_SOUND` if anything else begins."""
        found = dict(zip(self.names, self._rivals(self(features)).sigmoid().tolist(), strict=True))
        sure = [name for name, p in found.items() if p >= BEGINS and name != UNKNOWN_SOUND]
        for family in {self.families[name] for name in sure if name in self.families}:
            found[family] = 0.0
        if sure:
            found[UNKNOWN_SOUND] = 0.0
        return found

    @torch.inference_mode()
    def guess(self, features: Tensor) -> dict[str, float]:
        """The likeliest class in a block and its probability, where no class is sure enough to
        begin and it is still at least `PERHAPS`; otherwise nothing."""
        found = dict(zip(self.names, self(features).sigmoid().tolist(), strict=True))
        name = max((name for name in found if name not in self.vague), key=found.__getitem__)
        return {name: found[name]} if PERHAPS <= found[name] < BEGINS else {}

    def _rivals(self, logits: Tensor) -> Tensor:
        """Logits (classes,), lowered for classes far behind the best one so that they cannot begin.
        Among families only the best one can."""
        logits, families = logits.clone(), set(self.families.values())
        rivals = {
            NEAR: [i for i, n in enumerate(self.names) if n not in {*families, UNKNOWN_SOUND}],
            0.0: [i for i, n in enumerate(self.names) if n in families],
        }
        for near, places in rivals.items():
            if places:
                own = logits[places]
                least = own.amax() - near
                logits[places] = torch.where(own < least, own - least.clamp(min=0), own)
        return logits

    @torch.inference_mode()
    def extent(self, features: Tensor) -> dict[str, tuple[int, int]]:
        """For every class, the index of its first feature in the block and of the one after its
        last: the span of the windows that are almost as sure of it as the surest window."""
        own = features[:, self.since :].float()
        by_window = self.logits(pool_windows(own, self.window))
        there = by_window >= by_window.amax(0) - NEAR
        places = {}
        for name, column in zip(self.names, there.T, strict=True):
            at = column.nonzero()[:, 0].tolist()
            places[name] = at[0] * self.window, (at[-1] + 1) * self.window
        return places


Tagger = SoundTagger | WindowTagger


class Onsets:
    """State of one stream: which classes of sound are going on, so that each is named once."""

    def __init__(self, begins: float = BEGINS, ends: float = ENDS) -> None:
        """Args:
        begins: probability at which a class begins.
        ends: probability below which it ends.
        """
        self._begins, self._ends = begins, ends
        self.on: frozenset[str] = frozenset()
        """Classes that are going on."""

    def fork(self) -> "Onsets":
        """An independent copy."""
        twin = Onsets(self._begins, self._ends)
        twin.on = self.on
        return twin

    def push(self, probabilities: dict[str, float]) -> list[tuple[str, float]]:
        """Classes that begin in the next block, the likeliest first; pass {} for a silent block."""
        begun = [(n, p) for n, p in probabilities.items() if p >= self._begins and n not in self.on]
        on = {n for n in self.on if probabilities.get(n, 0.0) >= self._ends}
        self.on = frozenset(on | {name for name, _ in begun})
        return sorted(begun, key=lambda pair: -pair[1])


def save_tagger(tagger: Tagger, path: Path) -> None:
    """Write a tagger as safetensors in fp16, with its classes in the file's metadata."""
    state = {key: tensor.detach().half() for key, tensor in tagger.state_dict().items()}
    about = {"names": json.dumps(tagger.names)}
    if isinstance(tagger, WindowTagger):
        about |= {"families": json.dumps(tagger.families), "since": str(tagger.since),
                  "window": str(tagger.window)}  # fmt: skip
    safetensors.torch.save_file(state, path, about)


def load_tagger(path: Path) -> Tagger:
    """Read a file that `save_tagger` wrote; the tagger is frozen and in fp32.

    Raises:
        ComponentError: the file names no classes.
        CheckpointError: it is no file of tensors, or keys are missing or have another shape.
    """
    state = read_state(path)
    with safetensors.safe_open(path, "pt") as opened:
        about = opened.metadata() or {}
    names = json.loads(about.get("names", "[]"))
    pooled = state.get("norm.weight", state.get("mean"))
    if not names or pooled is None:
        raise ComponentError(f"{path}: not a sound tagger (no names of classes)")
    width = pooled.numel() // 2
    tagger: Tagger
    if "window" in about:
        families = json.loads(about["families"])
        since, window = int(about["since"]), int(about["window"])
        hidden = len(state.get("inner.weight", ()))
        tagger = WindowTagger(names, since, width, families, window, hidden)
    else:
        tagger = SoundTagger(names, width)
    require(tagger, {key: tensor.float() for key, tensor in state.items()}, str(path))
    return tagger.eval().requires_grad_(False)
