"""Runs Llama and Qwen2 in ONNX Runtime with weights in 4 or 8 bits, for CPUs, where reading the
weights takes most of a token's time.

Products are `MatMulNBits`: weights are in blocks with a scale each, and inputs are rounded to 8
bits block by block, so that the result for a row does not depend on other rows.
`GroupQueryAttention` writes keys and values into buffers; truncating a cache only lowers its
length.

Operators: ONNX Runtime's documentation, ContribOperators.md.
"""

import ctypes
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from assistant.llm.engines.engine import GROWTH, Engine, rotations
from assistant.llm.weights.packed import BLOCK, Packed
from assistant.llm.weights.read import PlainConfig, Weights

EIGHT_BIT_INPUTS = 4
"""The `accuracy_level` that stands for products of 8-bit integers."""

TOGETHER = 200_000_000
"""Most weights in the layers of one graph. ONNX Runtime copies the weights of a graph into an order
of its own, and has them in memory twice meanwhile."""


@dataclass(slots=True)
class OnnxState:
    """The KV cache of one conversation, in ONNX Runtime."""

    held: list[onnxruntime.OrtValue]
    """Keys and values of each layer in turn, shape (1, key heads, capacity, head width)."""

    capacity: int
    length: int


class OnnxEngine(Engine):
    """Runs Llama (Touvron et al. 2023) and Qwen2 (Yang et al. 2024), with grouped queries and
    rotary positions, one stream at a time."""

    def __init__(self, weights: Weights, threads: int) -> None:
        """Args:
        weights: of a model without separate adapters.
        threads: number of threads that share a matrix product.
        """
        config = weights.config
        self._layers, self._heads = config.num_hidden_layers, config.num_key_value_heads
        self._head = _head_width(config)
        head = _Graph(weights)
        head.product("logits", weights.product("head"), "last_row")
        inputs, outputs = [("last_row", [1, 1, "width"])], [("logits", [1, 1, config.vocab_size])]
        self._vocabulary = head.session(inputs, outputs, threads)
        _trim()
        turning = [table.contiguous().numpy() for table in rotations(config)]
        self._pieces = []
        together = max(1, TOGETHER // _weights_of_layer(config))
        for begin in range(0, self._layers, together):
            end = min(begin + together, self._layers)
            self._pieces.append(_Piece(weights, begin, end, turning, threads))
            _trim()

    def start(self) -> OnnxState:
        """See `Engine`."""
        return OnnxState([self._room(GROWTH) for _ in range(2 * self._layers)], GROWTH, 0)

    def length(self, state: OnnxState) -> int:
        """See `Engine`."""
        return state.length

    def truncate(self, state: OnnxState, length: int) -> None:
        """See `Engine`."""
        state.length = length

    def fork(self, state: OnnxState) -> OnnxState:
        """See `Engine`."""
        return OnnxState(self._copies(state, state.capacity), state.capacity, state.length)

    def append(self, state: OnnxState, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        end = state.length + len(embeds)
        if end > state.capacity:
            capacity = -(-end // GROWTH) * GROWTH
            state.held, state.capacity = self._copies(state, capacity), capacity
        given = np.ascontiguousarray(embeds.float().numpy())[None]
        passed = [onnxruntime.OrtValue.ortvalue_from_numpy(given)]
        for piece in self._pieces:
            passed = piece.run(passed, state.held, end)
        state.length = end
        return torch.from_numpy(passed[0].numpy()[0, 0])

    def logits(self, last: Tensor) -> Tensor:
        """See `Engine`."""
        (found,) = self._vocabulary.run(None, {"last_row": last.numpy()[None, None]})
        return torch.from_numpy(found[0, 0])

    def dumped(self, state: OnnxState) -> dict[str, Tensor]:
        """The tensors of a state, for `restored`."""
        return {
            f"{place}": torch.from_numpy(held.numpy()[0, :, : state.length].copy())
            for place, held in enumerate(state.held)
        }

    def restored(self, dumped: dict[str, Tensor]) -> OnnxState:
        """The state whose tensors `dumped` returned.

        Raises:
            KeyError, ValueError: the tensors are of another model.
        """
        length = dumped["0"].shape[1]
        capacity = -(-length // GROWTH) * GROWTH
        held = []
        for place in range(2 * self._layers):
            array = np.zeros((1, self._heads, capacity, self._head), np.float32)
            array[0, :, :length] = dumped[f"{place}"].numpy()
            held.append(onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return OnnxState(held, capacity, length)

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


class _Piece:
    """A graph of some consecutive layers."""

    def __init__(
        self,
        weights: Weights,
        begin: int,
        end: int,
        turning: list[NDArray[np.float32]],
        threads: int,
    ) -> None:
        """`turning`: cosines and sines of the rotary positions, shared by all pieces."""
        config = weights.config
        self._places = slice(2 * begin, 2 * end)
        cache = _cache_names(begin, end)
        self._names = [(f"past.{name}", f"present.{name}") for name in cache]
        graph = _Graph(weights)
        for name, table in zip(("cos", "sin"), turning, strict=True):
            graph.beside(name, table, TensorProto.FLOAT)
        before, added = "before", "added" if begin else ""
        self._given = ["before", "added"] if begin else ["before"]
        for i in range(begin, end):
            before, added = graph.layer(i, before, added)
        self._made = [before, added]
        wide = [1, "new", config.hidden_size]
        if end == config.num_hidden_layers:
            normed, _ = graph.norm("last", before, added)
            graph.constant("end", torch.tensor([-1]))
            graph.node("Gather", [normed, "end"], ["last_row"], axis=1)
            self._made, wide_made = ["last_row"], [1, 1, config.hidden_size]
        else:
            wide_made = wide
        held = [1, config.num_key_value_heads, "capacity", _head_width(config)]
        inputs = [(name, wide) for name in self._given]
        outputs = [(name, wide_made) for name in self._made]
        inputs += [(past, held) for past, _ in self._names]
        outputs += [(present, held) for _, present in self._names]
        self._session = graph.session(inputs, outputs, threads, counts=True)

    def run(
        self, passed: list[onnxruntime.OrtValue], held: list[onnxruntime.OrtValue], end: int
    ) -> list[onnxruntime.OrtValue]:
        """Run these layers on the outputs of the layers before, for positions up to `end`; returns
        the inputs of the next ones."""
        counts = {"last": np.array([end - 1], np.int32), "total": np.array(end, np.int32)}
        binding = self._session.io_binding()
        for name, count in counts.items():  # bound by address: they must live until it has run
            binding.bind_cpu_input(name, count)
        for name, value in zip(self._given, passed, strict=True):
            binding.bind_ortvalue_input(name, value)
        for name in self._made:
            binding.bind_output(name)
        for (past, present), place in zip(self._names, held[self._places], strict=True):
            binding.bind_ortvalue_input(past, place)
            binding.bind_ortvalue_output(present, place)
        self._session.run_with_iobinding(binding)
        found: list[onnxruntime.OrtValue] = binding.get_outputs()[: len(self._made)]
        return found


def _head_width(config: PlainConfig) -> int:
    own: int | None = getattr(config, "head_dim", None)
    return own or int(config.hidden_size // config.num_attention_heads)


def _weights_of_layer(config: PlainConfig) -> int:
    heads = 2 * (config.num_attention_heads + config.num_key_value_heads)
    return int(config.hidden_size * (heads * _head_width(config) + 3 * config.intermediate_size))


def _cache_names(begin: int, end: int) -> list[str]:
    return [f"{what}.{i}" for i in range(begin, end) for what in ("key", "value")]


def _trim() -> None:
    """Return freed memory to the system. glibc would keep the memory that was used for reordering
    weights, two thirds of their size."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


class _Graph:
    """An ONNX graph that is being built. Large weights stay outside its protobuf message."""

    def __init__(self, weights: Weights) -> None:
        self._source, self._config = weights, weights.config
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._large: dict[str, onnxruntime.OrtValue] = {}
        self._summed: dict[str, str] = {}  # block sums by what was summed

    def session(
        self,
        inputs: list[tuple[str, list[Any]]],
        outputs: list[tuple[str, list[Any]]],
        threads: int,
        *,
        counts: bool = False,
    ) -> onnxruntime.InferenceSession:
        """A session that is ready to run; `counts`: its inputs include the lengths of the cache."""
        real, whole = TensorProto.FLOAT, TensorProto.INT32
        given = [(name, real, shape) for name, shape in inputs]
        if counts:
            given += [("last", whole, [1]), ("total", whole, [])]
        graph = helper.make_graph(
            self._nodes,
            "llm",
            [helper.make_tensor_value_info(*one) for one in given],
            [helper.make_tensor_value_info(name, real, shape) for name, shape in outputs],
            self._weights,
        )
        versions = helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)
        made = helper.make_model(graph, opset_imports=versions, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = False  # each graph would keep what its longest prompt took
        # Threads that wait by spinning would take the cores from PyTorch's, which run the ear.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers(list(self._large), list(self._large.values()))
        return onnxruntime.InferenceSession(
            made.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def layer(self, i: int, before: str, added: str) -> tuple[str, str]:
        """Add a layer; returns the names of the residual sum so far and of the output to be added
        to it."""
        config, name = self._config, f"{i}"
        normed, before = self.norm(f"{name}.a", before, added)
        bias = self._source.vector(f"{name}.qkv")
        mixed = self.product(f"{name}.qkv", self._source.product(f"{name}.qkv"), normed, bias)
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
        out = self.product(f"{name}.out", self._source.product(f"{name}.out"), f"{name}.found")
        normed, before = self.norm(f"{name}.m", before, out)
        gate, up = f"{name}.gate", f"{name}.up"
        both = self.product(f"{name}.both", self._source.product(f"{name}.both"), normed)
        self.node("Split", [both], [gate, up], axis=-1, num_outputs=2)
        self._own_node("QuickGelu", [gate], [f"{name}.silu"], alpha=1.0)  # x sigmoid(x)
        inner = f"{name}.inner"
        self.node("Mul", [f"{name}.silu", up], [inner])
        return before, self.product(f"{name}.down", self._source.product(f"{name}.down"), inner)

    def norm(self, name: str, before: str, added: str) -> tuple[str, str]:
        """Add a norm of the sum of both inputs; returns the names of the normalised sum and of the
        sum."""
        self.constant(f"{name}.weight", self._source.vector(name))
        epsilon = self._config.rms_norm_eps
        normed, total = f"{name}.normed", f"{name}.sum"
        if not added:
            given = [before, f"{name}.weight"]
            self.node("SimplifiedLayerNormalization", given, [normed], epsilon=epsilon, axis=-1)
            return normed, before
        self._own_node("SkipSimplifiedLayerNormalization", [before, added, f"{name}.weight"],
                       [normed, "", "", total], epsilon=epsilon)  # fmt: skip
        return normed, total

    def product(self, name: str, parts: list[Packed], x: str, bias: Tensor | None = None) -> str:
        """Add a product; returns the name of x W^T + bias, for W in parts (out, in) below each
        other."""
        if len(parts) == 1:
            return self._product(name, parts[0], x, bias)
        made, begin = [], 0
        for i, part in enumerate(parts):
            end = begin + part.rows
            own = None if bias is None or not len(bias) else bias[begin:end]
            made.append(self._product(f"{name}.{i}", part, x, own))
            begin = end
        self.node("Concat", made, [name], axis=-1)
        return name

    def _product(self, name: str, packed: Packed, x: str, bias: Tensor | None) -> str:
        if packed.rest is None:
            self._multiply(name, packed, x, bias)
            return name
        sums = self._sums(x, packed)
        self._multiply(f"{name}.steps", packed, x, bias)
        self._multiply(f"{name}.rest", packed.rest, sums, None)
        self.node("Add", [f"{name}.steps", f"{name}.rest"], [name])
        return name

    def _multiply(self, name: str, packed: Packed, x: str, bias: Tensor | None) -> None:
        rounded, scale, zero, added = f"{name}.rounded", f"{name}.scale", "", ""
        self.beside(rounded, packed.rounded, TensorProto.UINT8)
        self.beside(scale, packed.scale, TensorProto.FLOAT)
        if packed.zero is not None:
            zero = f"{name}.zero"
            self.beside(zero, packed.zero, TensorProto.UINT8)
        if bias is not None and len(bias):
            added = f"{name}.bias"
            self.constant(added, bias)
        self._own_node("MatMulNBits", [x, rounded, scale, zero, "", added], [name],
                       K=packed.columns, N=packed.rows, bits=packed.bits, block_size=packed.block,
                       accuracy_level=EIGHT_BIT_INPUTS)  # fmt: skip

    def _sums(self, x: str, packed: Packed) -> str:
        """Add sums of x over each block of weights; returns their name."""
        if x not in self._summed:
            shape, axis = f"{x}.blocks.shape", f"{x}.blocks.axis"
            self.constant(shape, torch.tensor([1, -1, packed.columns // BLOCK, BLOCK]))
            self.constant(axis, torch.tensor([3]))
            self.node("Reshape", [x, shape], [f"{x}.blocks"])
            self.node("ReduceSum", [f"{x}.blocks", axis], [f"{x}.sums"], keepdims=0)
            self._summed[x] = f"{x}.sums"
        return self._summed[x]

    def constant(self, name: str, value: Tensor) -> None:
        """Add a small constant, inside the graph."""
        self._weights.append(numpy_helper.from_array(value.contiguous().numpy(), name))

    def beside(self, name: str, value: NDArray[Any], kind: TensorProto.DataType) -> None:
        """Add a large constant, outside the graph's message."""
        elsewhere = onnx.StringStringEntryProto(key="location", value="memory")
        self._weights.append(
            TensorProto(name=name, dims=value.shape, data_type=kind, external_data=[elsewhere],
                        data_location=TensorProto.EXTERNAL)
        )  # fmt: skip
        self._large[name] = onnxruntime.OrtValue.ortvalue_from_numpy(value)

    def node(self, kind: str, inputs: list[str], outputs: list[str], **settings: Any) -> None:
        """Add one of ONNX's operators."""
        self._nodes.append(helper.make_node(kind, inputs, outputs, **settings))

    def _own_node(self, kind: str, inputs: list[str], outputs: list[str], **more: Any) -> None:
        """Add one of ONNX Runtime's own operators."""
        self.node(kind, inputs, outputs, domain="com.microsoft", **more)
