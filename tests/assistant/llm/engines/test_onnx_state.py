"""Copies of a KV cache share its buffers, and none of them notices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.llm.engines.engine import GROWTH
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.engines.onnx_state import OnnxState, empty
from assistant.llm.weights.read import ReadWeights, StateTensors

WIDTH = 32


def written(state: OnnxState, values: list[int]) -> None:
    """Append positions that hold these numbers, as an engine does."""
    end = state.length + len(values)
    state.reserve(end)
    for held in state.buffers.held:
        held.numpy()[0, :, state.length : end] = np.array(values, np.float32)[:, None]
    state.length = end


def read(state: OnnxState) -> list[list[int]]:
    """The numbers of all positions, in each buffer."""
    return [held.numpy()[0, 0, : state.length, 0].astype(int).tolist()
            for held in state.buffers.held]  # fmt: skip


def test_a_copy_that_goes_on_alone_copies_nothing() -> None:
    prefix = empty(2, 1, 8)
    written(prefix, [*range(10)])
    buffers = prefix.buffers
    for _ in range(3):
        reply = prefix.fork()
        written(reply, [70, 71])
        assert reply.buffers is buffers
        assert read(reply) == [[*range(10), 70, 71]] * 2
    assert read(prefix) == [[*range(10)]] * 2


def test_copies_that_go_on_together_are_apart() -> None:
    prefix = empty(2, 1, 8)
    written(prefix, [*range(10)])
    first, second = prefix.fork(), prefix.fork()
    written(first, [70, 71])
    written(second, [80])
    assert first.buffers is prefix.buffers
    assert second.buffers is not prefix.buffers
    written(prefix, [90, 91, 92])
    assert read(first) == [[*range(10), 70, 71]] * 2
    assert read(second) == [[*range(10), 80]] * 2
    assert read(prefix) == [[*range(10), 90, 91, 92]] * 2


def test_a_copy_grows_for_all_who_share_its_buffers() -> None:
    prefix = empty(2, 1, 8)
    written(prefix, [1] * GROWTH)
    reply = prefix.fork()
    written(reply, [2])
    assert reply.buffers is prefix.buffers
    assert prefix.buffers.capacity == 2 * GROWTH
    assert [held.numpy().shape[2] for held in prefix.buffers.held] == [2 * GROWTH] * 2
    assert read(prefix) == [[1] * GROWTH] * 2


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["append", "fork", "truncate", "drop"]),
        st.integers(0, 9),
        st.sampled_from([1, 3, 40, GROWTH - 20, GROWTH]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(DEEDS)
def test_whatever_copies_do_each_holds_its_own(deeds: list[tuple[str, int, int]]) -> None:
    states, truths = [empty(1, 1, 8)], [list[int]()]
    for number, (deed, which, size) in enumerate(deeds):
        place = which % len(states)
        if deed == "append":
            values = [1000 * number + n for n in range(size)]
            written(states[place], values)
            truths[place] += values
        elif deed == "fork":
            states.append(states[place].fork())
            truths.append([*truths[place]])
        elif deed == "truncate":
            states[place].length = min(states[place].length, size)
            del truths[place][size:]
        elif len(states) > 1:
            del states[place], truths[place]
        for state, truth in zip(states, truths, strict=True):
            assert read(state) == [truth]


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=90, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    return OnnxEngine(ReadWeights(StateTensors(model), config), threads=1)


@torch.inference_mode()
def test_the_engine_says_the_same_in_shared_buffers_as_in_its_own(engine: OnnxEngine) -> None:
    random = torch.Generator().manual_seed(0)
    before, first, second = (torch.randn(n, WIDTH, generator=random) for n in (250, 20, 9))
    wanted = []
    for after in (first, second):
        alone = engine.start()
        engine.append(alone, before)
        wanted.append(engine.extend(alone, after))
    prefix = engine.start()
    engine.append(prefix, before)
    one, other = engine.fork(prefix), engine.fork(prefix)
    assert torch.equal(engine.extend(one, first), wanted[0])
    assert torch.equal(engine.extend(other, second), wanted[1])
    del one, other
    again = engine.fork(prefix)
    assert torch.equal(engine.extend(again, second), wanted[1])
    assert again.buffers is prefix.buffers
