"""Models to be filled, the published sizes and a toy."""

from pathlib import Path

import peft
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.config import AlignerConfig, LoraConfig, QFormerConfig
from assistant.ear.aligner import Aligner
from assistant.llm.adapters import add_lora

Shapes = dict[str, tuple[int, ...]]


def published_shapes(
    llm_width: int,
    llm_layers: int,
    width: int = 768,
    mlp: int = 3072,
    speech: int = 1280,
    audio: int = 768,
    rank: int = 8,
) -> Shapes:
    """Names and shapes of a published file, written out from its description."""
    shapes: Shapes = {"speech_query_tokens": (1, 1, width)}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (rows, columns), (rows,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (size,), (size,)

    norm("ln_speech", speech)
    norm("ln_audio", audio)
    norm("speech_Qformer.bert.embeddings.LayerNorm", width)
    for i in (0, 1):
        layer = f"speech_Qformer.bert.encoder.layer.{i}"
        for kind, memory in (("attention", width), ("crossattention", speech + audio)):
            linear(f"{layer}.{kind}.self.query", width, width)
            linear(f"{layer}.{kind}.self.key", width, memory)
            linear(f"{layer}.{kind}.self.value", width, memory)
            linear(f"{layer}.{kind}.output.dense", width, width)
            norm(f"{layer}.{kind}.output.LayerNorm", width)
        linear(f"{layer}.intermediate_query.dense", mlp, width)
        linear(f"{layer}.output_query.dense", width, mlp)
        norm(f"{layer}.output_query.LayerNorm", width)
    linear("speech_llama_proj", llm_width, width)
    for i in range(llm_layers):
        for part in ("q_proj", "v_proj"):
            name = f"llama_model.base_model.model.model.layers.{i}.self_attn.{part}"
            shapes[f"{name}.lora_A.default.weight"] = (rank, llm_width)
            shapes[f"{name}.lora_B.default.weight"] = (llm_width, rank)
    return shapes


def llama(width: int, layers: int, heads: int, mlp: int, vocabulary: int) -> peft.PeftModel:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )
    return add_lora(LlamaForCausalLM(config), LoraConfig())


TOY = published_shapes(16, 2, width=8, mlp=12, speech=6, audio=4)


def toy_model() -> tuple[Aligner, peft.PeftModel]:
    qformer = QFormerConfig(layers=2, width=8, heads=2, mlp_width=12)
    aligner = Aligner(AlignerConfig(qformer=qformer), 6, 4, 16)
    return aligner, llama(16, 2, 2, 32, 10)


def random_values(shapes: Shapes) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(5)
    return {key: torch.randn(shape, generator=random) for key, shape in shapes.items()}


def published_file(folder: Path, model: dict[str, Tensor], **beside: object) -> Path:
    path = folder / "salmonn.pth"
    torch.save({"model": model, **beside}, path)
    return path


LORA = "base_model.model.model.layers"

CARD: dict[str, object] = {
    "preset": "toy",
    "training_data": ["clips"],
    "figures": {"wer": 0.5},
    "licence": "MIT",
}
