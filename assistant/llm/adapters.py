"""LoRA adapters (Hu et al. 2021) on an LLM, with peft, or merged into its weights."""

import warnings
from typing import TYPE_CHECKING

import torch

from assistant.config import LoraConfig

if TYPE_CHECKING:  # importing them takes seconds, and a packed LLM needs none of it
    import peft
    from transformers import PreTrainedModel


def add_lora(model: "PreTrainedModel", config: LoraConfig) -> "peft.PeftModel":
    """Add fresh adapters to `model`; since B = 0, they change nothing yet."""
    import peft

    adapters = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # peft's annotation says int; the scale is computed as a float
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():  # peft asks transformers for an attribute that was renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        return peft.get_peft_model(model, adapters)


def lora_parameters(model: "peft.PeftModel") -> dict[str, torch.nn.Parameter]:
    """The adapters' tensors by peft's names (`base_model.model. ... .lora_A.default.weight`)."""
    return {k: p for k, p in model.named_parameters() if ".lora_" in k}


def merge_lora(model: "peft.PeftModel") -> "PreTrainedModel":
    """Merge the adapters into the weights: W + scale B A."""
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def set_lora_scale(model: "peft.PeftModel", scale: float) -> None:
    """Replace alpha / rank in every adapter."""
    import peft

    for module in model.modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            module.scaling = dict.fromkeys(module.scaling, scale)
