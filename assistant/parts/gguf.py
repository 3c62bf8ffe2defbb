"""Turns a quantised GGUF file into an ordinary Hugging Face folder."""

from pathlib import Path

import torch
import transformers


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise `gguf` with transformers and save weights (fp16) and tokenizer into `folder`.

    The loaded object remembers that it was quantised and refuses to be saved, so its weights move
    into a fresh model of the same configuration.
    """
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    quantised = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = transformers.AutoConfig.from_pretrained(**source)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.load_state_dict(quantised.state_dict())
    model.half().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
