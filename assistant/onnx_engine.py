"""Llama in ONNX Runtime with 8-bit weights: for CPUs, where a token waits for weights to be read.

The graph is built from the loaded model, LoRA merged. Products are `MatMulNBits`: weights in blocks
of 32 with a scale each, inputs rounded to 8 bits block by block as they come, so that a row's
result does not depend on the rows beside it. Keys and values lie in buffers that
`GroupQueryAttention` writes into; to forget is to count fewer of them.

Operators: ONNX Runtime's documentation, ContribOperators.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from transformers import LlamaForCausalLM

from assistant.engine import GROWTH, rotations

BLOCK = 32
"""Weights that share a scale."""

WEIGHT = 127
"""Greatest size of a rounded weight."""

ZERO = 128
"""What stands for a weight of 0; the operator's own choice where none is given."""

EIGHT_BIT_INPUTS = 4
"""`accuracy_level` of products of 8-bit integers."""


@dataclass(slots=True)
class OnnxState:
    """Keys and values of one conversation."""

    held: list[onnxruntime.OrtValue]
    """Keys and values of each layer in turn, shape (1, key heads, capacity, head width)."""

    capacity: int
    length: int


class OnnxEngine:
    """Llama (Touvron et al. 2023; grouped queries, rotary positions) for one stream at a time."""

    def __init__(self, model: LlamaForCausalLM, threads: int) -> None:
        """Args:
        model: without adapters beside its weights.
        threads: that share a product.
        """
        config = model.config
        self._layers, self._heads = config.num_hidden_layers, config.num_key_value_heads
        self._head = config.head_dim
        self._names = [(f"past.{n}", f"present.{n}") for n in _cache_names(self._layers)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait by spinning would take the cores from PyTorch's, which run the ear.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = _Graph(model)
        options.add_external_initializers(list(graph.large), list(graph.large.values()))
        self._session = onnxruntime.InferenceSession(
            graph.serialised(), options, providers=["CPUExecutionProvider"]
        )

    def start(self) -> OnnxState:
        """See `Engine`."""
        return OnnxState([self._room(GROWTH) for _ in range(2 * self._layers)], GROWTH, 0)

    def length(self, state: OnnxState) -> int:
        """See `Engine`."""
        return state.length

    def truncate(self, state: OnnxState, length: int) -> None:
        """See `Engine`."""
        state.length = length

    def extend(self, state: OnnxState, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        end = state.length + len(embeds)
        if end > state.capacity:
            capacity = -(-end // GROWTH) * GROWTH
            state.held, state.capacity = self._copies(state, capacity), capacity
        given = {  # bound by address: they must live until the run is over
            "embeds": np.ascontiguousarray(embeds.float().numpy())[None],
            "last": np.array([end - 1], np.int32),
            "total": np.array(end, np.int32),
        }
        binding = self._session.io_binding()
        for name, value in given.items():
            binding.bind_cpu_input(name, value)
        for (past, present), held in zip(self._names, state.held, strict=True):
            binding.bind_ortvalue_input(past, held)
            binding.bind_ortvalue_output(present, held)
        binding.bind_output("logits")
        self._session.run_with_iobinding(binding)
        state.length = end
        return torch.from_numpy(binding.get_outputs()[-1].numpy()[0, 0])

    def _room(self, capacity: int) -> onnxruntime.OrtValue:
        shape = 1, self._heads, capacity, self._head
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

    def _copies(self, state: OnnxState, capacity: int) -> list[onnxruntime.OrtValue]:
        copies = []
        for held in state.held:
            larger = np.zeros((1, self._heads, capacity, self._head), np.float32)
            larger[:, :, : state.length] = held.numpy()[:, :, : state.length]
            copies.append(onnxruntime.OrtValue.ortvalue_from_numpy(larger))
        return copies


def _cache_names(layers: int) -> list[str]:
    return [f"{what}.{i}" for i in range(layers) for what in ("key", "value")]


class _Graph:
    """The model as an ONNX graph; its large weights are beside it, not copied into messages."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self._config = model.config
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self.large: dict[str, onnxruntime.OrtValue] = {}
        """Weights by name."""

        weights = {key: tensor.float() for key, tensor in model.state_dict().items()}
        cos, sin = rotations(model)
        self._constant("cos", cos)
        self._constant("sin", sin)
        layers = self._config.num_hidden_layers
        before, added = "embeds", ""
        for i in range(layers):
            prefix = f"model.layers.{i}."
            state = {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)}
            before, added = self._layer(i, state, before, added)
        normed, _ = self._norm("last", weights["model.norm.weight"], before, added)
        self._constant("end", torch.tensor([-1]))
        self._node("Gather", [normed, "end"], ["last_row"], axis=1)
        head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
        self._product("logits", head, "last_row")

    def serialised(self) -> bytes:
        """As ONNX Runtime reads it."""
        cache = _cache_names(self._config.num_hidden_layers)
        real, whole = TensorProto.FLOAT, TensorProto.INT32
        config = self._config
        held = [1, config.num_key_value_heads, "capacity", config.head_dim]
        inputs = [
            ("embeds", real, [1, "new", config.hidden_size]),
            ("last", whole, [1]),
            ("total", whole, []),
            *((f"past.{name}", real, held) for name in cache),
        ]
        outputs = [(f"present.{name}", real, held) for name in cache]
        outputs.append(("logits", real, [1, 1, config.vocab_size]))
        graph = helper.make_graph(
            self._nodes,
            "llama",
            [helper.make_tensor_value_info(*given) for given in inputs],
            [helper.make_tensor_value_info(*made) for made in outputs],
            self._weights,
        )
        versions = helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)
        made: bytes = helper.make_model(
            graph, opset_imports=versions, ir_version=10
        ).SerializeToString()
        return made

    def _layer(self, i: int, state: dict[str, Tensor], before: str, added: str) -> tuple[str, str]:
        """Names of the layer's sum so far, and of what is to be added to it."""
        config, name = self._config, f"{i}"
        normed, before = self._norm(f"{name}.a", state["input_layernorm.weight"], before, added)
        qkv = torch.cat([state[f"self_attn.{part}_proj.weight"] for part in "qkv"])
        mixed = self._product(f"{name}.qkv", qkv, normed)
        past, present = (
            [f"{when}.{what}.{i}" for what in ("key", "value")] for when in ("past", "present")
        )
        self._own_node(
            "GroupQueryAttention",
            [mixed, "", "", *past, "last", "total", "cos", "sin"],
            [f"{name}.found", *present],
            num_heads=config.num_attention_heads,
            kv_num_heads=config.num_key_value_heads,
            do_rotary=1,
        )
        out = self._product(f"{name}.out", state["self_attn.o_proj.weight"], f"{name}.found")
        norm = state["post_attention_layernorm.weight"]
        normed, before = self._norm(f"{name}.m", norm, before, out)
        both = torch.cat([state["mlp.gate_proj.weight"], state["mlp.up_proj.weight"]])
        gate, up = f"{name}.gate", f"{name}.up"
        self._node("Split", [self._product(f"{name}.both", both, normed)], [gate, up],
                   axis=-1, num_outputs=2)  # fmt: skip
        self._own_node("QuickGelu", [gate], [f"{name}.silu"], alpha=1.0)  # x sigmoid(x)
        self._node("Mul", [f"{name}.silu", up], [f"{name}.inner"])
        return before, self._product(f"{name}.down", state["mlp.down_proj.weight"], f"{name}.inner")

    def _norm(self, name: str, weight: Tensor, before: str, added: str) -> tuple[str, str]:
        """Names of the normalised sum of both, and of the sum."""
        self._constant(f"{name}.weight", weight)
        epsilon = self._config.rms_norm_eps
        normed, total = f"{name}.normed", f"{name}.sum"
        if not added:
            given = [before, f"{name}.weight"]
            self._node("SimplifiedLayerNormalization", given, [normed], epsilon=epsilon, axis=-1)
            return normed, before
        self._own_node("SkipSimplifiedLayerNormalization", [before, added, f"{name}.weight"],
                       [normed, "", "", total], epsilon=epsilon)  # fmt: skip
        return normed, total

    def _product(self, name: str, weight: Tensor, x: str) -> str:
        """Name of x W^T, for W (out, in)."""
        rounded, scale = rounded_blocks(weight)
        self._large(f"{name}.weight", rounded, TensorProto.UINT8)
        self._large(f"{name}.scale", scale, TensorProto.FLOAT)
        self._own_node("MatMulNBits", [x, f"{name}.weight", f"{name}.scale"], [name],
                       K=weight.shape[1], N=weight.shape[0], bits=8, block_size=BLOCK,
                       accuracy_level=EIGHT_BIT_INPUTS)  # fmt: skip
        return name

    def _constant(self, name: str, value: Tensor) -> None:
        self._weights.append(numpy_helper.from_array(value.contiguous().numpy(), name))

    def _large(self, name: str, value: Tensor, kind: TensorProto.DataType) -> None:
        elsewhere = onnx.StringStringEntryProto(key="location", value="memory")
        self._weights.append(
            TensorProto(name=name, dims=value.shape, data_type=kind, external_data=[elsewhere],
                        data_location=TensorProto.EXTERNAL)
        )  # fmt: skip
        self.large[name] = onnxruntime.OrtValue.ortvalue_from_numpy(value.numpy())

    def _node(self, kind: str, inputs: list[str], outputs: list[str], **settings: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, outputs, **settings))

    def _own_node(self, kind: str, inputs: list[str], outputs: list[str], **more: Any) -> None:
        """One of ONNX Runtime's own operators."""
        self._node(kind, inputs, outputs, domain="com.microsoft", **more)


def rounded_blocks(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (out, in), fp32, as `MatMulNBits` takes them.

    Returns:
        (out, blocks, 32), of which w is (rounded - 128) * scale, and the scales, (out, blocks).
    """
    blocks = F.pad(weight, (0, -weight.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))
    low, high = blocks.aminmax(dim=2)
    scale = torch.maximum(high, -low).clamp_(min=1e-30) / WEIGHT
    rounded = (blocks / scale[:, :, None]).round_().add_(ZERO)
    return rounded.to(torch.uint8), scale
