"""Reads an LLM's weights from three kinds of sources, in the layout that the ONNX Runtime engine
needs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import safetensors
import torch
import transformers
from torch import Tensor

from assistant.errors import ComponentError
from assistant.files.gguf_file import GgufFile
from assistant.files.weights import UNREADABLE
from assistant.llm.weights.packed import Packed, join, pack, pack_gguf

if TYPE_CHECKING:  # importing them takes seconds, and a packed LLM needs none of it
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config

PlainConfig: TypeAlias = "LlamaConfig | Qwen2Config"
"""Configurations of the architectures that ONNX Runtime runs. They differ in that Qwen2 has biases
of queries, keys and values."""

MATRICES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "both": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The products of a layer; each is of matrices below one another, by transformers' names."""

NORMS = {"a": "input_layernorm", "m": "post_attention_layernorm"}
"""The norms of a layer: before attention, and before the MLP."""

GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


class Tensors(Protocol):
    """A source of weights by transformers' names."""

    def __contains__(self, name: str) -> bool: ...

    def vector(self, name: str) -> Tensor:
        """The weights of a norm, or a bias, in fp32."""

    def matrix(self, name: str) -> Iterator[Packed]:
        """A packed matrix, some rows at a time."""


class Weights(Protocol):
    """The weights of a model by the names of `MATRICES` and `NORMS`, such as `3.qkv` in layer 3;
    besides them `last`, `head` and `embed`."""

    config: PlainConfig

    def vector(self, name: str) -> Tensor:
        """The weights of a norm, or the bias of a product, in fp32; empty if it has no bias."""

    def product(self, name: str) -> list[Packed]:
        """The packed matrices of a product, one below the other."""


class StateTensors:
    """`Tensors` of a model in memory, rounded to `bits`."""

    def __init__(self, model: "LlamaForCausalLM", bits: int = 8) -> None:
        self._state: dict[str, Tensor] = model.state_dict()
        self._bits = bits

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def vector(self, name: str) -> Tensor:
        """See `Tensors`."""
        return self._state[name].float()

    def matrix(self, name: str) -> Iterator[Packed]:
        """See `Tensors`."""
        yield pack(self._state[name].float(), self._bits)


class FolderTensors:
    """`Tensors` of a Hugging Face folder, rounded to `bits` while they are read."""

    def __init__(self, folder: Path, bits: int = 8) -> None:
        """Raises:
        ComponentError: the folder has no safetensors.
        """
        self._bits = bits
        self._files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                opened: Any = safetensors.safe_open(path, "pt")
            except UNREADABLE as error:
                raise ComponentError(f"llm: {path}: {error}") from error
            self._files |= dict.fromkeys(opened.keys(), opened)
        if not self._files:
            raise ComponentError(f"llm: {folder}: no safetensors")

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def vector(self, name: str) -> Tensor:
        """See `Tensors`.

        Raises:
            ComponentError: there is no such tensor.
        """
        if name not in self._files:
            raise ComponentError(f"llm: no tensor {name}")
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor.float()

    def matrix(self, name: str) -> Iterator[Packed]:
        """See `Tensors`."""
        yield pack(self.vector(name), self._bits)


class GgufTensors:
    """`Tensors` of a GGUF file of a Qwen2, in the file's bits or rounded to `bits`."""

    def __init__(self, file: GgufFile, bits: int | None = None) -> None:
        self._file, self._bits = file, bits

    def __contains__(self, name: str) -> bool:
        return _gguf_name(name) in self._file

    def vector(self, name: str) -> Tensor:
        """See `Tensors`."""
        return torch.from_numpy(self._file.floats(_gguf_name(name)).copy())

    def matrix(self, name: str) -> Iterator[Packed]:
        """See `Tensors`."""
        return pack_gguf(*self._file.raw(_gguf_name(name)), self._bits)


def _gguf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{GGUF_NAMES[part]}.{kind}"
    return f"{GGUF_NAMES[stem]}.{kind}"


class ReadWeights:
    """`Weights` that are read from `Tensors` when they are asked for."""

    def __init__(self, tensors: Tensors, config: PlainConfig) -> None:
        self._tensors, self.config = tensors, config

    def vector(self, name: str) -> Tensor:
        """See `Weights`."""
        layer, _, part = name.partition(".")
        if name == "last":
            return self._tensors.vector("model.norm.weight")
        if part in NORMS:
            return self._tensors.vector(f"model.layers.{layer}.{NORMS[part]}.weight")
        names = [f"model.layers.{layer}.{matrix}.bias" for matrix in MATRICES[part]]
        if names[0] not in self._tensors:
            return torch.zeros(0)
        return torch.cat([self._tensors.vector(bias) for bias in names])

    def product(self, name: str) -> list[Packed]:
        """See `Weights`."""
        return join(chunk for matrix in self._matrices(name) for chunk in matrix)

    def _matrices(self, name: str) -> Iterator[Iterator[Packed]]:
        layer, _, part = name.partition(".")
        if name == "embed" or (name == "head" and "lm_head.weight" not in self._tensors):
            yield self._tensors.matrix("model.embed_tokens.weight")
        elif name == "head":
            yield self._tensors.matrix("lm_head.weight")
        else:
            for matrix in MATRICES[part]:
                yield self._tensors.matrix(f"model.layers.{layer}.{matrix}.weight")


def names_of(config: PlainConfig) -> tuple[list[str], list[str]]:
    """The names of all vectors and of all products of a model."""
    layers = range(config.num_hidden_layers)
    vectors = [f"{i}.{part}" for i in layers for part in (*NORMS, "qkv")]
    products = [f"{i}.{part}" for i in layers for part in MATRICES]
    return [*vectors, "last"], [*products, "head", "embed"]


def gguf_config(file: GgufFile) -> "Qwen2Config":
    """The configuration in the header of a Qwen2's GGUF file."""
    bos, eos = (file.tokenizer_id(name) for name in ("bos", "eos"))
    _, table = file.raw("token_embd.weight")
    return transformers.Qwen2Config(
        vocab_size=len(table),
        hidden_size=file.setting("embedding_length"),
        intermediate_size=file.setting("feed_forward_length"),
        num_hidden_layers=file.setting("block_count"),
        num_attention_heads=file.setting("attention.head_count"),
        num_key_value_heads=file.setting("attention.head_count_kv"),
        max_position_embeddings=file.setting("context_length"),
        rms_norm_eps=file.setting("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": file.setting("rope.freq_base")},
        tie_word_embeddings="output.weight" not in file,
        bos_token_id=bos,
        eos_token_id=eos,
    )


def folder_config(folder: Path) -> "PlainConfig | None":
    """The configuration of a Hugging Face folder; None if its architecture is another one."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if kind not in ("llama", "qwen2") or not any(folder.glob("*.safetensors")):
        return None
    config: PlainConfig = transformers.AutoConfig.from_pretrained(folder)
    return config if is_plain(config) else None


def is_plain(config: PlainConfig) -> bool:
    """Whether the engine can run the layers: they have no parts that it does not know."""
    rope = config.rope_parameters or {}
    head = config.hidden_size // config.num_attention_heads
    return (
        config.hidden_act == "silu"
        and rope.get("rope_type", "default") == "default"
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        and not getattr(config, "use_sliding_window", False)
        and (getattr(config, "head_dim", None) or head) % 8 == 0
    )
