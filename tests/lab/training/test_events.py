"""The tagger learns from recordings that hold a sound somewhere."""

import torch

from lab.manifest import Row
from lab.training.events import EventStage

WIDTH, BLOCK = 6, 8


def recording(channel: int | None, blocks: int, seed: int) -> torch.Tensor:
    """Noise; in its last block one channel is loud."""
    features = torch.randn(blocks * BLOCK, WIDTH, generator=torch.Generator().manual_seed(seed))
    if channel is not None:
        features[-BLOCK:, channel] += 6
    return features


def test_it_learns_what_is_in_one_block_of_many() -> None:
    texts = ["(rain)", "(dog barking) hello", "hello", ""]
    rows = [Row("", "", text=text) for text in texts * 4]
    heard = [recording((0, 1, None, None)[i % 4], 1 + i % 3, i) for i in range(16)]
    stage = EventStage(texts, WIDTH, BLOCK)
    assert stage.tagger.names == ["dog barking", "rain"]
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=0.05)
    for _ in range(150):
        loss = stage.loss(heard, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1
    block = stage.tagger.probabilities(recording(0, 1, 99))
    assert block["rain"] > 0.5 > block["dog barking"]
    assert max(stage.tagger.probabilities(recording(None, 1, 98)).values()) < 0.5
