"""A tagger learns to say of new features what it said of the old ones."""

from pathlib import Path

import numpy as np
import torch

from assistant.ear.tagger import UNKNOWN_SOUND, WindowTagger
from lab.training.follow import Job, Pair, follow, placed, pool, shares

NAMES = ["dog barking", "rain", "animal", UNKNOWN_SOUND]
WIDTH = 5


def tagger() -> WindowTagger:
    torch.manual_seed(1)
    made = WindowTagger(NAMES, 0, WIDTH, {"dog barking": "animal"}, window=2)
    return made.eval().requires_grad_(False)


def pairs(old: WindowTagger, change: torch.Tensor, use: str, name: str, count: int) -> list[Pair]:
    random = torch.Generator().manual_seed(len(use))
    found = []
    for seed in range(count):
        spans = torch.randn(3, 8, WIDTH, generator=random)
        pooled = torch.stack([pool(span) for span in spans])
        found.append(Pair(Job(use, name, None, seed), pooled @ change, old.logits(pooled)))
    return found


def test_it_says_the_same_of_features_that_have_changed() -> None:
    old, new = tagger(), tagger()
    change = torch.eye(2 * WIDTH) * 3 + 0.2  # some mixture of all numbers
    follow(new, pairs(old, change, "speech", "", 400) + pairs(old, change * 0, "still", "", 1))
    told = pairs(old, change, "speech2", "", 50)
    said = torch.cat([new.logits(p.pooled) for p in told])
    wanted = torch.cat([p.logits for p in told])
    for place in (0, 1):
        together = torch.stack([said[:, place], wanted[:, place]])
        assert float(torch.corrcoef(together)[0, 1]) > 0.98


def test_nothing_begins_where_nothing_was_heard() -> None:
    old, new = tagger(), tagger()
    change = torch.eye(2 * WIDTH)
    still = pairs(old, change, "still", "", 50)
    follow(new, pairs(old, change, "train", "rain", 100) + still)
    assert float(torch.cat([new.logits(p.pooled) for p in still]).max()) < 0


def test_recordings_are_placed_within_full_scale_and_stay_in_order() -> None:
    tone = np.ones(16_000, np.float32)
    found = placed(tone, np.random.default_rng(2))
    assert float(np.abs(found).max()) <= 1
    loud = np.flatnonzero(np.abs(found) > 0.05)
    assert 15_900 <= len(loud) <= 16_000
    assert loud[-1] - loud[0] <= 16_000


def test_what_is_named_is_counted() -> None:
    old = tagger()
    old.head.weight.zero_()
    old.head.bias.copy_(torch.tensor([1.0, -1.0, -9.0, -9.0]))
    told = [
        Pair(Job("choose", name, Path("x"), 0), torch.zeros(2, 2 * WIDTH), torch.zeros(2, 4))
        for name in ("dog barking", "rain", "")
    ]
    assert shares(old, told) == "known: 2 of 2 named, 1 rightly; unknown: 1 of 1 named, 0 rightly"
