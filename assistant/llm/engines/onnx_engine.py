"""Runs Llama and Qwen2 in ONNX Runtime with weights in 4 or 8 bits, for CPUs, where reading the
weights takes most of a token's time.

Products are `MatMulNBits`: weights are in blocks with a scale each, and inputs are rounded to 8
bits block by block, so that the result for a row does not depend on other rows.
`GroupQueryAttention` writes keys and values into buffers; truncating a cache only lowers its
length.
"""

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from assistant.llm.engines.engine import GROWTH, Engine, rotations
from assistant.llm.engines.onnx_graph import Graph, Running, head_width
from assistant.llm.engines.onnx_state import Buffers, OnnxState, empty
from assistant.llm.weights.read import PlainConfig, Weights
from assistant.memory import trim

TOGETHER = 200_000_000
"""Most weights in the layers of one graph. ONNX Runtime copies the weights of a graph into an order
of its own, and has them in memory twice meanwhile."""


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
        self._head = head_width(config)
        self._vocabulary = _vocabulary(weights, threads)
        trim()
        self._turning = [
            onnxruntime.OrtValue.ortvalue_from_numpy(table.contiguous().numpy())
            for table in rotations(config)
        ]
        together = max(1, TOGETHER // _weights_of_layer(config))
        self._pieces = []
        for begin in range(0, self._layers, together):
            end = min(begin + together, self._layers)
            self._pieces.append(_Piece(weights, begin, end, threads))
            trim()

    def start(self) -> OnnxState:
        """See `Engine`."""
        return empty(2 * self._layers, self._heads, self._head)

    def length(self, state: OnnxState) -> int:
        """See `Engine`."""
        return state.length

    def truncate(self, state: OnnxState, length: int) -> None:
        """See `Engine`."""
        state.length = length

    def fork(self, state: OnnxState) -> OnnxState:
        """See `Engine`."""
        return state.fork()

    def append(self, state: OnnxState, embeds: Tensor) -> Tensor:
        """See `Engine`."""
        end = state.length + len(embeds)
        state.reserve(end)
        given = np.ascontiguousarray(embeds.float().numpy())[None]
        passed = [onnxruntime.OrtValue.ortvalue_from_numpy(given)]
        for piece in self._pieces:
            passed = piece.run(passed, self._turning, state.buffers.held, end)
        state.length = end
        return torch.from_numpy(passed[0].numpy()[0, 0])

    def logits(self, last: Tensor) -> Tensor:
        """See `Engine`."""
        (found,) = self._vocabulary.session.run(None, {"last_row": last.numpy()[None, None]})
        return torch.from_numpy(found[0, 0])

    def dumped(self, state: OnnxState) -> dict[str, Tensor]:
        """The tensors of a state, for `restored`."""
        return {
            f"{place}": torch.from_numpy(held.numpy()[0, :, : state.length].copy())
            for place, held in enumerate(state.buffers.held)
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
        return OnnxState(Buffers(held, capacity), length)


class _Piece:
    """Some consecutive layers."""

    def __init__(self, weights: Weights, begin: int, end: int, threads: int) -> None:
        config = weights.config
        self._places = slice(2 * begin, 2 * end)
        cache = _cache_names(begin, end)
        self._names = [(f"past.{name}", f"present.{name}") for name in cache]
        graph = Graph(weights)
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
        held = [1, config.num_key_value_heads, "capacity", head_width(config)]
        inputs = [(name, wide) for name in self._given]
        outputs = [(name, wide_made) for name in self._made]
        inputs += [(past, held) for past, _ in self._names]
        outputs += [(present, held) for _, present in self._names]
        self._running = graph.session(inputs, outputs, threads, counts=True)

    def run(
        self,
        passed: list[onnxruntime.OrtValue],
        turning: list[onnxruntime.OrtValue],
        held: list[onnxruntime.OrtValue],
        end: int,
    ) -> list[onnxruntime.OrtValue]:
        """Run these layers.

        Args:
            passed: outputs of the layers before.
            turning: cosines and sines of the rotary positions.
            held: keys and values of all layers, which are written.
            end: one past the last position.

        Returns:
            The inputs of the next layers.
        """
        counts = {"last": np.array([end - 1], np.int32), "total": np.array(end, np.int32)}
        binding = self._running.session.io_binding()
        for name, count in counts.items():  # bound by address: they must live until it has run
            binding.bind_cpu_input(name, count)
        given = zip([*self._given, "cos", "sin"], [*passed, *turning], strict=True)
        for name, value in given:
            binding.bind_ortvalue_input(name, value)
        for name in self._made:
            binding.bind_output(name)
        for (past, present), place in zip(self._names, held[self._places], strict=True):
            binding.bind_ortvalue_input(past, place)
            binding.bind_ortvalue_output(present, place)
        self._running.session.run_with_iobinding(binding)
        found: list[onnxruntime.OrtValue] = binding.get_outputs()[: len(self._made)]
        return found


def _weights_of_layer(config: PlainConfig) -> int:
    heads = 2 * (config.num_attention_heads + config.num_key_value_heads)
    return int(config.hidden_size * (heads * head_width(config) + 3 * config.intermediate_size))


def _cache_names(begin: int, end: int) -> list[str]:
    return [f"{what}.{i}" for i in range(begin, end) for what in ("key", "value")]


def _vocabulary(weights: Weights, threads: int) -> Running:
    config, graph = weights.config, Graph(weights)
    graph.product("logits", weights.product("head"), "last_row")
    inputs, outputs = [("last_row", [1, 1, "width"])], [("logits", [1, 1, config.vocab_size])]
    return graph.session(inputs, outputs, threads)
