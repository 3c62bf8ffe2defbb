"""Sounds that are alone are named by every audio token; words are read in order."""

import torch

from assistant.config import ModelConfig
from assistant.parts.build import build_aligner, build_ear, build_llm
from lab.manifest import Row
from lab.training.config import CTC_SCALE
from lab.training.ctc import CtcHead, CtcStage, lone_sound

HEARD = {"(rain)": (0, 0), "(dog barking)": (1, 1), "on": (2, 3), "no": (3, 2), "": ()}
"""What is strong in the two windows of a recording of each text."""


def recording(text: str, width: int, seed: int) -> torch.Tensor:
    """Noise in which some features are strong."""
    noise = torch.randn(2 * 16, width, generator=torch.Generator().manual_seed(seed))
    for window, kind in enumerate(HEARD[text]):
        noise[16 * window : 16 * (window + 1), kind::4] += 2
    return noise


def test_single_sounds_and_nothing_else_are_sounds_alone() -> None:
    assert lone_sound("(dog barking)") == "dog barking"
    assert [lone_sound(t) for t in ("", "on", "(rain) on", "(rain) (thunder)")] == [None] * 4


def test_it_learns_names_beside_words(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    texts = list(HEARD)
    ear, llm = build_ear(tiny_config), build_llm(tiny_config)
    aligner = build_aligner(tiny_config, ear, llm.width).requires_grad_(True)
    tokenizer = llm.tokenizer.backend_tokenizer
    embeddings = llm.embed(list(range(len(tokenizer.get_vocab())))).float().clone()
    stage = CtcStage(aligner, CtcHead(embeddings, tokenizer, texts, CTC_SCALE))
    rows = [Row("", "", text=text) for text in texts]
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=0.003)
    for step in range(100):
        heard = [recording(text, ear.feature_width, step) for text in texts]
        loss = stage.loss(heard, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        new = [recording(text, ear.feature_width, 1000) for text in texts]
        assert [stage.name(f) for f in new[:2]] == ["rain", "dog barking"]
        assert stage.transcribe(new[2:]) == ["on", "no", ""]
