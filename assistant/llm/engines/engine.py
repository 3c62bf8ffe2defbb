"""Engines that run the LLM's layers: transformers for any model, and a lean one for Llamas on a
CPU.

On a CPU, a small model in transformers spends most of a token's time between its matrix products,
in modules, hooks and cache objects. `LeanEngine` does the same computation in fp32 or bf16, with
weights laid out for it: query, key and value in one product, gate and up in another, keys and
values in one preallocated tensor. In 8 bits a Llama runs in ONNX Runtime
(`assistant.llm.engines.onnx_engine`).
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from assistant.numerics.scripted import scripted

if TYPE_CHECKING:  # importing them takes seconds, and a packed LLM needs none of it
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedModel

GROWTH = 256
"""Number of positions by which a cache grows at a time."""


class Engine(ABC):
    """Runs an LLM's layers: shared weights, which extend the state (KV cache) of a conversation."""

    tells_last = True
    """`append` returns what the last layer holds, (width,)."""

    @abstractmethod
    def start(self) -> Any:
        """An empty state."""

    @abstractmethod
    def append(self, state: Any, embeds: Tensor) -> Tensor:
        """Append embeddings (n, width), n >= 1, and return what `logits` needs for the last
        position."""

    @abstractmethod
    def logits(self, last: Tensor) -> Tensor:
        """Logits (vocabulary,), fp32, from a result of `append`. A large vocabulary takes a quarter
        of a token's time, so prefill leaves this out."""

    def extend(self, state: Any, embeds: Tensor) -> Tensor:
        """Append embeddings (n, width), n >= 1; returns the logits (vocabulary,) after the last,
        fp32."""
        return self.logits(self.append(state, embeds))

    @abstractmethod
    def length(self, state: Any) -> int:
        """Number of positions that a state holds."""

    @abstractmethod
    def truncate(self, state: Any, length: int) -> None:
        """Drop all positions from `length` on."""

    @abstractmethod
    def fork(self, state: Any) -> Any:
        """An independent copy of a state."""


class TransformersEngine(Engine):
    """Runs any causal LM with transformers."""

    tells_last = False
    """`append` returns logits."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model

    def start(self) -> "DynamicCache":
        """See `Engine`."""
        return transformers.DynamicCache(config=self._model.config)

    def append(self, state: "DynamicCache", embeds: Tensor) -> Tensor:
        """See `Engine`."""
        out = self._model(
            inputs_embeds=embeds[None], past_key_values=state, use_cache=True, logits_to_keep=1
        )
        logits: Tensor = out.logits[0, -1].float()
        return logits

    def logits(self, last: Tensor) -> Tensor:
        """See `Engine`; transformers computes them in `append`, for the last position."""
        return last

    def length(self, state: "DynamicCache") -> int:
        """See `Engine`."""
        return int(state.get_seq_length())

    def truncate(self, state: "DynamicCache", length: int) -> None:
        """See `Engine`."""
        drop = self.length(state) - length
        if drop:
            state.crop(-drop)

    def fork(self, state: "DynamicCache") -> "DynamicCache":
        """See `Engine`."""
        return copy.deepcopy(state)


@dataclass(slots=True)
class LeanState:
    """The KV cache of one conversation, in the lean engine."""

    held: Tensor
    """Shape (layers, 2 * key heads, capacity, head width): keys, then values."""

    length: int


Product = Callable[[Tensor], Tensor]
"""(n, in) -> (n, out)."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: the weights of its norms, and its matrix products."""

    before_attention: Tensor
    qkv: Product
    out: Product
    before_mlp: Tensor
    gate_up: Product
    down: Product


class LeanEngine(Engine):
    """Runs Llamas (Touvron et al. 2023; grouped queries, rotary positions), one stream at a
    time."""

    def __init__(self, model: "LlamaForCausalLM", dtype: torch.dtype) -> None:
        """Args:
        model: a Llama without separate adapters.
        dtype: number format of the matrix products, float32 or bfloat16. Sums of squares and
            softmax are always fp32.

        Raises:
            ValueError: `lean_enough(model)` is false.
        """
        if not lean_enough(model):
            raise ValueError("this LLM is not a plain Llama")
        config = model.config
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._head = config.head_dim
        self._epsilon = config.rms_norm_eps
        self._dtype = dtype
        state = {k: v.float() for k, v in model.state_dict().items()}
        self._layers = [
            _layer(state, f"model.layers.{i}.", self._head, dtype)
            for i in range(config.num_hidden_layers)
        ]
        head = state.get("lm_head.weight", state["model.embed_tokens.weight"])
        self._last_norm = state["model.norm.weight"].to(self._dtype)
        self._lm_head = partial(F.linear, weight=head.to(dtype))
        self._rotations = torch.complex(*rotations(config))

    def start(self) -> LeanState:
        """See `Engine`."""
        shape = len(self._layers), 2 * self._key_heads, GROWTH, self._head
        return LeanState(torch.zeros(shape, dtype=self._dtype), 0)

    def length(self, state: LeanState) -> int:
        """See `Engine`."""
        return state.length

    def truncate(self, state: LeanState, length: int) -> None:
        """See `Engine`."""
        state.length = length

    def fork(self, state: LeanState) -> LeanState:
        """See `Engine`."""
        return LeanState(state.held.clone(), state.length)

    def append(self, state: LeanState, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        x = embeds.to(self._dtype)
        new = len(x)
        start, end = state.length, state.length + new
        self._reserve(state, end)
        groups = self._heads // self._key_heads
        turn = self._rotations[start:end, None]
        mask = self._mask(new, start, groups) if new > 1 else None
        places = state.held[:, :, start:end].transpose(1, 2).unbind()
        keys, values = (half.unbind() for half in state.held[:, None, :, :end].chunk(2, 2))
        for i, layer in enumerate(self._layers):
            mixed = layer.qkv(self._norm(x, layer.before_attention)).view(new, -1, self._head)
            found = _attend(
                mixed, turn, places[i], keys[i], values[i], mask, self._heads, self._key_heads
            )
            x = x + layer.out(found)
            gate, up = layer.gate_up(self._norm(x, layer.before_mlp)).chunk(2, -1)
            x = x + layer.down(F.silu(gate) * up)
        state.length = end
        return x[-1]

    def logits(self, last: Tensor) -> Tensor:
        """See `Engine`."""
        return self._lm_head(self._norm(last[None], self._last_norm))[0].float()

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self._epsilon)

    def _mask(self, new: int, start: int, groups: int) -> Tensor:
        """Mask of the keys that each query may attend to, (groups * new, start + new)."""
        place = torch.arange(start + new)
        return (place <= torch.arange(start, start + new)[:, None]).repeat(groups, 1)

    def _reserve(self, state: LeanState, needed: int) -> None:
        capacity = state.held.shape[2]
        if needed > capacity:
            more = -(-(needed - capacity) // GROWTH) * GROWTH
            state.held = F.pad(state.held, (0, 0, 0, more))


@scripted
def _attend(
    mixed: Tensor,
    turn: Tensor,
    place: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    heads: int,
    key_heads: int,
) -> Tensor:
    """One layer's attention.

    Args:
        mixed: queries, keys and values, (new, heads + 2 * key_heads, head width); overwritten.
        turn: rotations of the new positions, complex, (new, 1, head width / 2).
        place: receives the new keys and values, (new, 2 * key_heads, head width).
        keys: all keys, including those in `place`, (1, key_heads, positions, head width).
        values: all values, in the same shape.
        mask: the keys that each query may attend to, (groups * new, positions); None: all.
        heads: number of query heads.
        key_heads: number of key and value heads.

    Returns:
        Shape (new, heads * head width).
    """
    new, head = mixed.size(0), mixed.size(2)
    turning = mixed[:, : heads + key_heads]
    pairs = torch.view_as_complex(turning.float().unflatten(-1, [-1, 2])) * turn
    turning.copy_(torch.view_as_real(pairs).flatten(-2))
    place.copy_(mixed[:, heads:])
    # The queries that share keys stand one after the other as if they were positions.
    queries = mixed[:, :heads].view([new, key_heads, -1, head])
    queries = queries.permute(1, 2, 0, 3).reshape(1, key_heads, -1, head)
    found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return found.view([key_heads, -1, new, head]).permute(2, 0, 1, 3).reshape(new, -1)


def lean_enough(model: "PreTrainedModel") -> bool:
    """Whether `LeanEngine` can run `model`: a plain Llama on a CPU."""
    config = model.config
    return (
        isinstance(model, transformers.LlamaForCausalLM)
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        and config.hidden_act == "silu"
        and model.device.type == "cpu"
    )


def _layer(state: dict[str, Tensor], prefix: str, head: int, dtype: torch.dtype) -> _Layer:
    def weight(name: str) -> Tensor:
        return state[f"{prefix}{name}.weight"]

    def product(*weights: Tensor) -> Product:
        return partial(F.linear, weight=torch.cat(weights).to(dtype))

    query, key, value = (weight(f"self_attn.{part}_proj") for part in "qkv")
    return _Layer(
        weight("input_layernorm").to(dtype),
        product(_paired(query, head), _paired(key, head), value),
        product(weight("self_attn.o_proj")),
        weight("post_attention_layernorm").to(dtype),
        product(weight("mlp.gate_proj"), weight("mlp.up_proj")),
        product(weight("mlp.down_proj")),
    )


def _paired(weight: Tensor, head: int) -> Tensor:
    """Reorder the rows of each head so that pairs which rotate together are neighbours.

    transformers pairs i with i + half. Queries and keys are reordered alike, so their products stay
    the same.
    """
    return weight.view(-1, 2, head // 2, weight.shape[1]).transpose(1, 2).flatten(0, 2)


def rotations(config: "LlamaConfig") -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions (Su et al. 2021), (context, head width / 2)."""
    places = torch.arange(config.max_position_embeddings, dtype=torch.float32)
    rope: dict[str, Any] = config.rope_parameters or {}
    if rope.get("rope_type", "default") == "default":
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        speeds = 1.0 / (rope["rope_theta"] ** (torch.arange(0, width, 2).float() / width))
        turned = places[:, None] * speeds
        return turned.cos(), turned.sin()
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float32), places[None])
    half = sin.shape[-1] // 2
    return cos[0, :, :half], sin[0, :, :half]
