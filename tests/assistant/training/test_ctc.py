"""Sounds that are alone are named by every audio token; words are read in order."""

import torch

from assistant.build import build_aligner, build_ear, build_llm
from assistant.config import ModelConfig
from assistant.training.ctc import CtcHead, CtcStage, lone_sound
from assistant.training.manifest import Row

TEXTS = ["(rain)", "(dog barking)", "on", ""]


def recording(kind: int, width: int, windows: int, seed: int) -> torch.Tensor:
    """Noise in which some features are strong."""
    noise = torch.randn(windows * 16, width, generator=torch.Generator().manual_seed(seed))
    noise[:, kind::4] += 2
    return noise


def test_single_sounds_and_nothing_else_are_sounds_alone() -> None:
    assert lone_sound("(dog barking)") == "dog barking"
    assert [lone_sound(t) for t in ("", "on", "(rain) on", "(rain) (thunder)")] == [None] * 4


def test_it_learns_names_beside_words(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    ear, llm = build_ear(tiny_config), build_llm(tiny_config)
    aligner = build_aligner(tiny_config, ear, llm.width).requires_grad_(True)
    tokenizer = llm.tokenizer.backend_tokenizer
    embeddings = llm.embed(list(range(len(tokenizer.get_vocab())))).float().clone()
    stage = CtcStage(aligner, CtcHead(embeddings, tokenizer, TEXTS))
    rows = [Row("", "", text=text) for text in TEXTS * 2]
    heard = [recording(i % 4, ear.feature_width, 2 + i // 4, i) for i in range(8)]
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=0.003)
    for _ in range(100):
        loss = stage.loss(heard, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        new = [recording(i, ear.feature_width, 3, 90 + i) for i in range(4)]
        assert [stage.name(f) for f in new[:2]] == ["rain", "dog barking"]
        assert stage.transcribe(new[2:]) == ["on", ""]
