"""A model put together."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from assistant.config import ModelConfig
from assistant.llm import llm
from assistant.llm.adapters import lora_parameters
from assistant.llm.detokenizer import Pieces
from assistant.model import load
from assistant.parts.build import build_llm


@pytest.mark.parametrize("trained", [False, True])
def test_the_tokenizer_is_read_once(
    tiny_config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    if trained:
        model = load(tiny_config)
        state = {f"aligner.{k}": v for k, v in model.ear.aligner.state_dict().items()}
        adapters = lora_parameters(build_llm(tiny_config, train=True).model)
        state |= {f"llm.{k}": torch.ones_like(v) for k, v in adapters.items()}
        torch.save({"parameters": state}, tmp_path / "state.pt")
        tiny_config = tiny_config.model_copy(update={"checkpoint": str(tmp_path / "state.pt")})
    read: list[object] = []

    def pieces(tokenizer: PreTrainedTokenizerBase) -> Pieces:
        read.append(tokenizer)
        return Pieces(tokenizer)

    monkeypatch.setattr(llm, "Pieces", pieces)
    made = load(tiny_config).llm
    assert len(read) == 1
    assert made.width == 48
    assert made.embed([5]).shape == (1, 48)
    assert type(made.model).__name__ == "LlamaForCausalLM"  # merged where it was trained
