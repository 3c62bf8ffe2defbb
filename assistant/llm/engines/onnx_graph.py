"""Graphs of ONNX Runtime whose large weights lie beside them.

Operators: ONNX Runtime's documentation, ContribOperators.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from assistant.llm.weights.packed import BLOCK, Packed
from assistant.llm.weights.read import PlainConfig, Weights
from assistant.memory import forget

EIGHT_BIT_INPUTS = 4
"""The `accuracy_level` that stands for products of 8-bit integers."""

FOLDER = "session.model_external_initializers_file_folder_path"
"""A session's setting: the folder that files with weights have to be in."""


@dataclass(frozen=True, slots=True)
class Running:
    """A session, and weights in a file that it has not copied, and that have to outlive it."""

    session: onnxruntime.InferenceSession
    weights: list[onnxruntime.OrtValue]


class Graph:
    """An ONNX graph that is being built. Large weights stay outside its protobuf message."""

    def __init__(self, weights: Weights) -> None:
        self._source, self._config = weights, weights.config
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._large: dict[str, NDArray[Any]] = {}
        self._summed: dict[str, str] = {}  # block sums by what was summed

    def session(
        self,
        inputs: list[tuple[str, list[Any]]],
        outputs: list[tuple[str, list[Any]]],
        threads: int,
        *,
        counts: bool = False,
    ) -> Running:
        """A session that is ready to run; `counts`: its inputs include the lengths of the cache and
        the rotary positions."""
        real, whole = TensorProto.FLOAT, TensorProto.INT32
        given = [(name, real, shape) for name, shape in inputs]
        if counts:
            given += [("last", whole, [1]), ("total", whole, [])]
            given += [(turn, real, ["context", "half"]) for turn in ("cos", "sin")]
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
        shared = self._give(options)
        running = onnxruntime.InferenceSession(
            made.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for array in self._large.values():
            forget(array)
        return Running(running, shared)

    def _give(self, options: onnxruntime.SessionOptions) -> list[onnxruntime.OrtValue]:
        """Give a session the large weights; those that it does not copy."""
        values = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(array)
            for name, array in self._large.items()
        }
        files = {name: path for name, a in self._large.items() if (path := _file(a)) is not None}
        for name in files:
            options.add_initializer(name, values[name])
        for folder in {path.parent for path in files.values()}:  # one, or none
            options.add_session_config_entry(FOLDER, str(folder))
        copied = [name for name in values if name not in files]
        options.add_external_initializers(copied, [values[name] for name in copied])
        return [values[name] for name in files]

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
        path = _file(value)
        where = "memory" if path is None else path.name
        elsewhere = onnx.StringStringEntryProto(key="location", value=where)
        self._weights.append(
            TensorProto(name=name, dims=value.shape, data_type=kind, external_data=[elsewhere],
                        data_location=TensorProto.EXTERNAL)
        )  # fmt: skip
        self._large[name] = value

    def node(self, kind: str, inputs: list[str], outputs: list[str], **settings: Any) -> None:
        """Add one of ONNX's operators."""
        self._nodes.append(helper.make_node(kind, inputs, outputs, **settings))

    def _own_node(self, kind: str, inputs: list[str], outputs: list[str], **more: Any) -> None:
        """Add one of ONNX Runtime's own operators."""
        self.node(kind, inputs, outputs, domain="com.microsoft", **more)


def _file(array: NDArray[Any]) -> Path | None:
    """The file that an array is mapped from; None: it is in memory."""
    name = array.filename if isinstance(array, np.memmap) else None
    return None if name is None else Path(name)


def head_width(config: PlainConfig) -> int:
    """Width of an attention head."""
    own: int | None = getattr(config, "head_dim", None)
    return own or int(config.hidden_size // config.num_attention_heads)
