"""Sound events: a linear layer learns which blocks hold which sound.

Recordings are labelled, blocks are not: of its blocks the surest one speaks for a recording
(multiple-instance learning).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.ear.tagger import SoundTagger
from lab.features import FeatureStore
from lab.manifest import Row
from lab.training.tag import SPEECH, classes_in


class EventStage:
    """`Stage` of the sound tagger; features are the encoders'."""

    def __init__(self, texts: list[str], width: int, block: int) -> None:
        """Args:
        texts: of all rows; they name the classes.
        width: of the features.
        block: features per block.
        """
        names = sorted(set().union(*map(classes_in, texts)) - {SPEECH})
        self.tagger = SoundTagger(names, width)
        self._block = block
        self.module: nn.Module = self.tagger

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Binary cross-entropy per class, summed over classes."""
        logits = torch.stack([self._heard(f) for f in features])
        wanted = torch.tensor(
            [[float(name in classes_in(row.text)) for name in self.tagger.names] for row in rows]
        )
        loss = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        return loss.sum(1).mean()

    def _heard(self, features: Tensor) -> Tensor:
        """Logits of a recording: of each class those of its surest block."""
        blocks = [b for b in features.split(self._block) if 2 * len(b) > self._block]
        return torch.stack([self.tagger(b) for b in blocks or [features]]).amax(0)

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Per store: share of recordings whose sound is told, and that of those with another."""
        found: dict[str, float] = {}
        for name, store in stores.items():
            chosen = range(0, len(store), max(1, len(store) // counts[name]))
            told, wrong, with_sound = 0, 0, 0
            for i in chosen:
                sure = (self._heard(store.features(i)).sigmoid() >= 0.5).tolist()
                named = {n for n, is_sure in zip(self.tagger.names, sure, strict=True) if is_sure}
                there = classes_in(store.rows[i].text) - {SPEECH}
                with_sound += bool(there)
                told += bool(named & there)
                wrong += bool(named - there)
            found[f"{name} told"] = told / max(1, with_sound)
            found[f"{name} wrong"] = wrong / len(chosen)
        return found
