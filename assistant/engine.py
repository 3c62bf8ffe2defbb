"""What runs the LLM's layers: transformers for any model, or a lean forward for Llama on a CPU.

A small model on a CPU spends most of a token's time between its matrix products: modules, hooks,
cache objects. `LeanEngine` is the same computation with the weights laid out for it: query, key and
value in one product, gate and up in another, norms folded into what follows them, keys and values
in one preallocated tensor.
"""

import copy
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedModel

GROWTH = 256
"""Positions by which a cache grows."""


class Engine(Protocol):
    """Shared weights that extend a state by embeddings."""

    def start(self) -> Any:
        """A state that holds nothing."""

    def extend(self, state: Any, embeds: Tensor) -> Tensor:
        """Append embeddings (n, width), n >= 1; the logits (vocabulary,) after the last, fp32."""

    def length(self, state: Any) -> int:
        """Positions held."""

    def truncate(self, state: Any, length: int) -> None:
        """Forget all positions from `length` on."""

    def fork(self, state: Any) -> Any:
        """An independent copy of a state."""


class TransformersEngine:
    """Any causal LM that transformers loads."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def start(self) -> DynamicCache:
        """See `Engine`."""
        return DynamicCache(config=self._model.config)

    def extend(self, state: DynamicCache, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        out = self._model(
            inputs_embeds=embeds[None], past_key_values=state, use_cache=True, logits_to_keep=1
        )
        logits: Tensor = out.logits[0, -1].float()
        return logits

    def length(self, state: DynamicCache) -> int:
        """See `Engine`."""
        return int(state.get_seq_length())

    def truncate(self, state: DynamicCache, length: int) -> None:
        """See `Engine`."""
        drop = self.length(state) - length
        if drop:
            state.crop(-drop)

    def fork(self, state: DynamicCache) -> DynamicCache:
        """See `Engine`."""
        return copy.deepcopy(state)


@dataclass(slots=True)
class LeanState:
    """Keys and values of one conversation."""

    keys: Tensor
    """Shape (layers, key heads, capacity, head width)."""

    values: Tensor
    length: int


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of one layer, norms folded in, each (out, in)."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor


class LeanEngine:
    """Llama (Touvron et al. 2023; grouped queries, rotary positions) for one stream at a time."""

    def __init__(self, model: LlamaForCausalLM, dtype: torch.dtype) -> None:
        """Args:
        model: without adapters beside its weights.
        dtype: of the matrix products; sums of squares and softmax are fp32.

        Raises:
            ValueError: `lean_enough` says no.
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
            _fold(state, f"model.layers.{i}.", dtype) for i in range(config.num_hidden_layers)
        ]
        head = state.get("lm_head.weight", state["model.embed_tokens.weight"])
        self._lm_head = (head * state["model.norm.weight"]).to(dtype)
        self._cos, self._sin = _rotations(model, dtype)

    def start(self) -> LeanState:
        """See `Engine`."""
        shape = len(self._layers), self._key_heads, GROWTH, self._head
        return LeanState(
            torch.zeros(shape, dtype=self._dtype), torch.zeros(shape, dtype=self._dtype), 0
        )

    def length(self, state: LeanState) -> int:
        """See `Engine`."""
        return state.length

    def truncate(self, state: LeanState, length: int) -> None:
        """See `Engine`."""
        state.length = length

    def fork(self, state: LeanState) -> LeanState:
        """See `Engine`."""
        return LeanState(state.keys.clone(), state.values.clone(), state.length)

    def extend(self, state: LeanState, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        x = embeds.to(self._dtype)
        new, width = x.shape
        start, end = state.length, state.length + new
        self._reserve(state, end)
        groups = self._heads // self._key_heads
        rotated = self._heads + self._key_heads
        cos, sin = self._cos[start:end, None], self._sin[start:end, None]
        mask = self._mask(new, start, groups) if new > 1 else None
        for i, layer in enumerate(self._layers):
            mixed = F.linear(self._norm(x), layer.qkv).view(new, -1, self._head)
            turning = mixed[:, :rotated]
            turned = torch.addcmul(turning * cos, turning.roll(self._head // 2, -1), sin)
            keys, values = state.keys[i], state.values[i]
            keys[:, start:end] = turned[:, self._heads :].transpose(0, 1)
            values[:, start:end] = mixed[:, rotated:].transpose(0, 1)
            # The queries that share keys stand one after the other as if they were positions.
            queries = turned[:, : self._heads].view(new, self._key_heads, groups, self._head)
            queries = queries.permute(1, 2, 0, 3).reshape(self._key_heads, -1, self._head)
            found = F.scaled_dot_product_attention(
                queries[None], keys[None, :, :end], values[None, :, :end], attn_mask=mask
            )[0]
            found = found.view(self._key_heads, groups, new, self._head).permute(2, 0, 1, 3)
            x = x + F.linear(found.reshape(new, width), layer.out)
            gate, up = F.linear(self._norm(x), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        state.length = end
        return F.linear(self._norm(x[-1:]), self._lm_head)[0].float()

    def _norm(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=self._epsilon)

    def _mask(self, new: int, start: int, groups: int) -> Tensor:
        """Which keys each query may see, (groups * new, start + new)."""
        place = torch.arange(start + new)
        return (place <= torch.arange(start, start + new)[:, None]).repeat(groups, 1)

    def _reserve(self, state: LeanState, needed: int) -> None:
        capacity = state.keys.shape[2]
        if needed > capacity:
            more = -(-(needed - capacity) // GROWTH) * GROWTH
            state.keys = F.pad(state.keys, (0, 0, 0, more))
            state.values = F.pad(state.values, (0, 0, 0, more))


def lean_enough(model: PreTrainedModel) -> bool:
    """Whether `LeanEngine` can run `model`: a plain Llama on a CPU."""
    config = model.config
    return (
        isinstance(model, LlamaForCausalLM)
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        and config.hidden_act == "silu"
        and model.device.type == "cpu"
    )


def _fold(state: dict[str, Tensor], prefix: str, dtype: torch.dtype) -> _Layer:
    def weight(name: str) -> Tensor:
        return state[f"{prefix}{name}.weight"]

    qkv = torch.cat([weight(f"self_attn.{part}_proj") for part in "qkv"])
    gate_up = torch.cat([weight("mlp.gate_proj"), weight("mlp.up_proj")])
    return _Layer(
        (qkv * weight("input_layernorm")).to(dtype),
        weight("self_attn.o_proj").to(dtype),
        (gate_up * weight("post_attention_layernorm")).to(dtype),
        weight("mlp.down_proj").to(dtype),
    )


def _rotations(model: LlamaForCausalLM, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines per position, (context, head width).

    Rotary positions (Su et al. 2021) as transformers pairs them: i with i + half. The first half of
    the sines is negated, so that turning is x cos + roll(x, half) sin.
    """
    places = torch.arange(model.config.max_position_embeddings)[None]
    cos, sin = model.model.rotary_emb(torch.zeros(1, dtype=torch.float32), places)
    half = sin.shape[-1] // 2
    signed = torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)
    return cos[0].to(dtype), signed.to(dtype)
