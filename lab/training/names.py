"""The tagger of `small`: what each block holds and in which of its windows, taught by excerpts that
say when what sounds.

A recording's blocks are taught one by one, whole or a part of their windows, as a live block is
when it is asked about. A class counts in a stretch where it is heard for a while; where it is heard
for a moment, or where the judges disagree (`excerpts`), nothing is taught about it. A family counts
where a class of its own does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.ear.tagger import UNKNOWN_SOUND, WindowTagger
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from lab.classes import SoundClasses, sound_classes
from lab.corpora.excerpts import DOUBT
from lab.features import FeatureStore
from lab.manifest import Row

HIDDEN = 256
DROPOUT = 0.3

LEAST_S, MOMENT_S = 0.12, 0.03
"""A class counts in a stretch where it is heard so long, and not at all up to the other."""

WINDOW_WEIGHT = 0.5
"""Of the single windows' loss beside the blocks'."""

PART_SHARE = 0.5
"""Of the batches that hear a part of their blocks."""

RARE = -5.0
"""Logit of every class at the start: most of them are never heard in a block."""

LEAST_SPREAD = 0.01
"""Added to what numbers are divided by."""

SURE, UNSURE = 0.952, 0.002
"""What a class that counts and one that does not are taught to be."""


class NameStage:
    """`Stage` of the sound tagger of windows; features are pooled windows (`features.extract`)."""

    def __init__(self, since: int, width: int, window: int, block: int) -> None:
        """Args:
        since: numbers of a feature that the tagger leaves out.
        width: numbers after those.
        window: features per window.
        block: windows per block.
        """
        self._known = sound_classes()
        classes = self._known.classes
        names = [*classes, *self._known.families, UNKNOWN_SOUND]
        families = {name: c.family for name, c in classes.items() if c.family}
        self.tagger = WindowTagger(names, since, width, HIDDEN, families, window)
        nn.init.constant_(self.tagger.head.bias, RARE)
        self._kept: dict[Row, tuple[Tensor, Tensor]] = {}
        self._places = {name: i for i, name in enumerate(names)}
        self._block, self._window_s = block, window * FEATURE_SAMPLES / SAMPLE_RATE
        self.module: nn.Module = self.tagger

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Binary cross-entropy per class, summed over classes, of blocks and of windows.

        Args:
            features: shape (windows, 2 width) of each recording.
            rows: what is heard in each.
        """
        parts = []
        for recording, row in zip(features, rows, strict=True):
            heard, taught = self._targets(row, len(recording))
            parts += [
                (recording[places], heard[places], taught)
                for places in blocks(len(recording), self._block)
            ]
        windows, seconds, taught = (torch.stack(each) for each in zip(*parts, strict=True))
        self._standardise(windows)
        if float(torch.rand(())) < PART_SHARE:
            length = int(torch.randint(1, self._block, ()))
            start = int(torch.randint(self._block - length + 1, ()))
            windows, seconds = (t[:, start : start + length] for t in (windows, seconds))
        inner = F.dropout(self.tagger.inner(windows), DROPOUT, self.tagger.training)
        block = _loss(self.tagger.logits(inner), seconds.sum(1), taught)
        each = _loss(self.tagger.logits(inner[:, :, None]), seconds, taught[:, None])
        return block + WINDOW_WEIGHT * each

    @torch.no_grad()
    def _standardise(self, windows: Tensor) -> None:
        """Let each number of a window begin with mean 0 and spread 1; a few are far larger than the
        rest, and would be all that is learned from. Done once, by the first batch."""
        norm = self.tagger.norm
        if bool((norm.weight == 1).all()):
            plain = F.layer_norm(windows.float().flatten(0, -2), norm.normalized_shape)
            spread = plain.std(0) + LEAST_SPREAD
            norm.weight.copy_(1 / spread)
            norm.bias.copy_(-plain.mean(0) / spread)

    def _targets(self, row: Row, windows: int) -> tuple[Tensor, Tensor]:
        """`_seconds` and `_taught`, kept."""
        if row not in self._kept:
            self._kept[row] = self._seconds(row, windows), self._taught(row)
        return self._kept[row]

    def _seconds(self, row: Row, windows: int) -> Tensor:
        """For how long each class is heard in each window, (windows, classes)."""
        found = torch.zeros(windows, len(self.tagger.names))
        begin = torch.arange(windows) * self._window_s
        for name, since, until in spans(row):
            heard = (begin + self._window_s).clamp(max=until) - begin.clamp(min=since)
            own = found[:, self._places[name]].add_(heard.clamp(min=0))
            if name in self.tagger.families:
                family = found[:, self._places[self.tagger.families[name]]]
                family.copy_(torch.maximum(family, own))
        return found

    def _taught(self, row: Row) -> Tensor:
        """1 for the classes that are taught, 0 for those in doubt, (classes,)."""
        taught = torch.ones(len(self.tagger.names))
        for name in doubts(row):
            taught[[self._places[n] for n in _relatives(name, self._known)]] = 0.0
        for name in {name for name, _, _ in spans(row)}:
            taught[self._places[name]] = 1.0
            if name in self.tagger.families:
                taught[self._places[self.tagger.families[name]]] = 1.0
        return taught

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Per store: share of recordings whose class is told, and of those with another told."""
        found: dict[str, float] = {}
        for name, store in stores.items():
            chosen = range(0, len(store), max(1, len(store) // counts[name]))
            told, wrong = 0, 0
            for i in chosen:
                surest = torch.stack(
                    [
                        self.tagger.logits(self.tagger.inner(block)).float().sigmoid()
                        for block in store.features(i).split(self._block)
                    ]
                ).amax(0)
                classes = surest[: len(self._known.classes)]
                best = self.tagger.names[int(classes.argmax())]
                sure = float(classes.max()) >= 0.5
                told += sure and best == store.rows[i].key
                wrong += sure and best != store.rows[i].key
            found[f"{name} told"] = told / len(chosen)
            found[f"{name} wrong"] = wrong / len(chosen)
        return found


def blocks(windows: int, block: int) -> list[Tensor]:
    """Places of the windows of each block of a recording, (block,) each: one after the other, the
    last one where the recording ends; a shorter recording over and over."""
    if windows < block:
        return [torch.arange(block) % windows]
    starts = sorted({*range(0, windows - block + 1, block), windows - block})
    return [torch.arange(start, start + block) for start in starts]


def spans(row: Row) -> list[tuple[str, float, float]]:
    """What is heard in a row of excerpts: name, and seconds from and to."""
    found = []
    for part in filter(None, row.key.split(";")):
        if not part.startswith(DOUBT):
            name, since, until = part.rsplit(" ", 2)
            found.append((name, float(since), float(until)))
    return found


def doubts(row: Row) -> list[str]:
    """Classes and families that may be heard in a row of excerpts, too."""
    return [part[len(DOUBT) :] for part in row.key.split(";") if part.startswith(DOUBT)]


def _relatives(name: str, known: SoundClasses) -> list[str]:
    """A class and its family, or a family and its classes; nothing of a name that is not known."""
    if name in known.families:
        return [name, *(n for n, c in known.classes.items() if c.family == name)]
    if name in known.classes:
        family = known.classes[name].family
        return [name, *([family] if family else [])]
    return []


def _loss(logits: Tensor, seconds: Tensor, taught: Tensor) -> Tensor:
    counts = seconds >= LEAST_S
    moment = (seconds > MOMENT_S) & ~counts
    wanted = torch.where(counts, SURE, UNSURE)
    loss = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (loss * taught * ~moment).sum(-1).mean()
