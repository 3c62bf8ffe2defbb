"""The lean engine against transformers: the same computation, the same tokens."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from assistant.config import LlmConfig
from assistant.errors import ConfigError
from assistant.llm.engines.engine import (
    GROWTH,
    Engine,
    LeanEngine,
    TransformersEngine,
    lean_enough,
    rotations,
)
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.loading import choose_engine
from assistant.llm.weights.read import ReadWeights, StateTensors
from assistant.model import Salmonn
from assistant.parts.tiny import toy_llm

SHORT = ("lean, bf16", "onnx, 8 bits")
ENGINES = ("transformers", "lean, fp32", *SHORT)


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return toy_llm(3)[0]


@pytest.fixture(scope="module")
def engines() -> dict[str, Engine]:
    """All of them with one model, whose heads are as wide as ONNX Runtime wants them."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=16,
        initializer_range=0.1,
    )
    model = LlamaForCausalLM(config).eval()
    return {
        "transformers": TransformersEngine(model),
        "lean, fp32": LeanEngine(model, torch.float32),
        "lean, bf16": LeanEngine(model, torch.bfloat16),
        "onnx, 8 bits": OnnxEngine(ReadWeights(StateTensors(model), config), threads=1),
    }


def embeds(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 48, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_logits_are_those_of_transformers(llama: LlamaForCausalLM) -> None:
    lean, eager = LeanEngine(llama, torch.float32), TransformersEngine(llama)
    ours, theirs = lean.start(), eager.start()
    for i, n in enumerate([7, 1, 1, 3, GROWTH + 5, 1]):  # prompt, tokens, a block, past capacity
        x = embeds(n, i)
        torch.testing.assert_close(lean.extend(ours, x), eager.extend(theirs, x), atol=2e-5, rtol=0)
        assert lean.length(ours) == eager.length(theirs)


@pytest.mark.parametrize("kind", ["default", "linear"])
@torch.inference_mode()
def test_rotations_are_those_of_transformers(kind: str) -> None:
    rope = {"rope_type": kind, "rope_theta": 5e5} | ({"factor": 4.0} if kind == "linear" else {})
    config = LlamaConfig(hidden_size=64, num_attention_heads=4, rope_parameters=rope)
    places = torch.arange(config.max_position_embeddings)[None]
    wanted = LlamaRotaryEmbedding(config)(torch.zeros(1), places)
    for ours, theirs in zip(rotations(config), wanted, strict=True):
        assert torch.equal(torch.cat([ours, ours], 1), theirs[0])


@pytest.mark.parametrize("name", ENGINES)
@torch.inference_mode()
def test_cut_differently_the_logits_are_the_same(engines: dict[str, Engine], name: str) -> None:
    engine = engines[name]
    whole, pieces = engine.start(), engine.start()
    wanted = engine.extend(whole, embeds(9))
    for part in embeds(9).split([2, 1, 6]):
        found = engine.extend(pieces, part)
    assert torch.cosine_similarity(found, wanted, dim=0) > (0.999 if name in SHORT else 0.999999)


@pytest.mark.parametrize("name", ENGINES)
@torch.inference_mode()
def test_forgetting_leaves_no_trace_and_forks_are_independent(
    engines: dict[str, Engine], name: str
) -> None:
    engine = engines[name]
    fresh = engine.start()
    engine.extend(fresh, embeds(4))
    wanted = engine.extend(fresh, embeds(2, 1))

    state = engine.start()
    engine.extend(state, embeds(4))
    twin = engine.fork(state)
    engine.extend(state, embeds(5, 9))
    engine.truncate(state, 4)
    assert torch.equal(engine.extend(state, embeds(2, 1)), wanted)
    assert engine.length(twin) == 4
    assert torch.equal(engine.extend(twin, embeds(2, 1)), wanted)


@pytest.mark.parametrize("name", SHORT)
@torch.inference_mode()
def test_short_numbers_stay_close(engines: dict[str, Engine], name: str) -> None:
    fast, exact = engines[name], engines["transformers"]
    ours, theirs = fast.start(), exact.start()
    for i, n in enumerate([20, 1, 3, GROWTH + 5, 1]):  # past capacity, too
        a, b = fast.extend(ours, embeds(n, i)), exact.extend(theirs, embeds(n, i))
        assert fast.length(ours) == exact.length(theirs)
        assert torch.cosine_similarity(a, b, dim=0) > 0.999


PROMPTS = (
    "What is the capital of France?",
    "Turn on the light in the kitchen.",
    "Explain why the sky is blue.",
)


@pytest.mark.nano
@torch.inference_mode()
def test_eight_bits_of_nano_choose_the_same_tokens(nano: Salmonn) -> None:
    llm = nano.llm
    assert isinstance(llm.model, LlamaForCausalLM)
    weights = ReadWeights(StateTensors(llm.model), llm.model.config)
    exact, short = LeanEngine(llm.model, torch.float32), OnnxEngine(weights, 2)
    cosines, same = [], []
    for prompt in PROMPTS:
        ours, theirs = short.start(), exact.start()
        before, after = nano.prompt.ids(llm, prompt)
        ids = before + after
        for _ in range(8):
            found = short.extend(ours, llm.embed(ids))
            wanted = exact.extend(theirs, llm.embed(ids))
            cosines.append(torch.cosine_similarity(found, wanted, dim=0))
            ids = [int(wanted.argmax())]
            same.append(int(found.argmax()) == ids[0])
    assert torch.stack(cosines).mean() > 0.997
    assert min(cosines) > 0.98
    assert sum(same) >= 0.95 * len(same)


def config(**settings: str) -> LlmConfig:
    return LlmConfig.model_validate({"weights": ["none"], "dtype": "float32", **settings})


def test_eight_bits_on_a_cpu_are_onnx_runtimes(
    engines: dict[str, Engine], llama: LlamaForCausalLM
) -> None:
    eager = engines["transformers"]
    assert isinstance(eager, TransformersEngine)
    wide = eager._model
    for which in ("auto", "8bit"):
        assert isinstance(choose_engine(wide, config(quantisation=which)), OnnxEngine)
    assert isinstance(choose_engine(wide, config()), LeanEngine)
    assert isinstance(choose_engine(llama, config(quantisation="auto")), LeanEngine)


def test_eight_bits_where_they_do_not_run(llama: LlamaForCausalLM) -> None:
    with pytest.raises(ConfigError, match=r"^llm\.quantisation: 8bit on a CPU is for plain Llamas"):
        choose_engine(llama, config(quantisation="8bit", engine="transformers"))
    auto = config(quantisation="auto", engine="transformers")
    assert isinstance(choose_engine(llama, auto), TransformersEngine)
    with pytest.raises(ConfigError, match=r"^llm\.quantisation: .* needs heads of a multiple of 8"):
        choose_engine(llama, config(quantisation="8bit"))


def test_another_llm_is_not_run_lean() -> None:
    other = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2))
    assert not lean_enough(other)
    with pytest.raises(ValueError, match="not a plain Llama"):
        LeanEngine(other, torch.float32)
