"""The lean engine against transformers: the same computation, the same tokens."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from assistant.config import LlmConfig
from assistant.engine import GROWTH, LeanEngine, TransformersEngine, lean_enough
from assistant.errors import ConfigError
from assistant.int8 import fast_int8
from assistant.llm import choose_engine
from assistant.model import Salmonn
from assistant.tiny import toy_llm

with_int8 = pytest.mark.skipif(not fast_int8(), reason="this processor has no 8-bit products")
DTYPES = [torch.float32, torch.bfloat16, pytest.param(torch.int8, marks=with_int8)]


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return toy_llm(3)[0]


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


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-5), pytest.param(torch.int8, 2e-4, marks=with_int8)]
)
@torch.inference_mode()
def test_cut_differently_the_logits_are_the_same(
    llama: LlamaForCausalLM, dtype: torch.dtype, tolerance: float
) -> None:
    lean = LeanEngine(llama, dtype)
    whole, pieces = lean.start(), lean.start()
    wanted = lean.extend(whole, embeds(9))
    for part in embeds(9).split([2, 1, 6]):
        found = lean.extend(pieces, part)
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", [*DTYPES, None])
@torch.inference_mode()
def test_forgetting_leaves_no_trace_and_forks_are_independent(
    llama: LlamaForCausalLM, dtype: torch.dtype | None
) -> None:
    engine = TransformersEngine(llama) if dtype is None else LeanEngine(llama, dtype)
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


@pytest.mark.parametrize("dtype", DTYPES[1:])
@torch.inference_mode()
def test_short_numbers_stay_close(llama: LlamaForCausalLM, dtype: torch.dtype) -> None:
    fast, exact = (LeanEngine(llama, d) for d in (dtype, torch.float32))
    a, b = (e.extend(e.start(), embeds(20)) for e in (fast, exact))
    assert torch.cosine_similarity(a, b, dim=0) > 0.999


PROMPTS = (
    "What is the capital of France?",
    "Turn on the light in the kitchen.",
    "Explain why the sky is blue.",
)


@pytest.mark.nano
@with_int8
@torch.inference_mode()
def test_eight_bits_of_nano_choose_the_same_tokens(nano: Salmonn) -> None:
    llm = nano.llm
    assert isinstance(llm.model, LlamaForCausalLM)
    exact, short = LeanEngine(llm.model, torch.float32), LeanEngine(llm.model, torch.int8)
    cosines, same = [], []
    for prompt in PROMPTS:
        ours, theirs = short.start(), exact.start()
        before, after = nano.prompt.ids(llm, prompt)
        ids = before + after
        for _ in range(8):
            found, wanted = (
                engine.extend(state, llm.embed(ids))
                for engine, state in ((short, ours), (exact, theirs))
            )
            cosines.append(torch.cosine_similarity(found, wanted, dim=0))
            ids = [int(wanted.argmax())]
            same.append(int(found.argmax()) == ids[0])
    assert torch.stack(cosines).mean() > 0.999
    assert min(cosines) > 0.995
    assert sum(same) >= 0.95 * len(same)


def config(**settings: str) -> LlmConfig:
    return LlmConfig.model_validate({"weights": ["none"], "dtype": "float32", **settings})


@with_int8
@pytest.mark.parametrize("quantisation", ["auto", "8bit"])
def test_eight_bits_on_a_cpu_run_lean(llama: LlamaForCausalLM, quantisation: str) -> None:
    engine = choose_engine(llama, config(quantisation=quantisation))
    exact = choose_engine(llama, config())
    with torch.inference_mode():
        a, b = (e.extend(e.start(), embeds(5)) for e in (engine, exact))
    assert not torch.allclose(a, b, atol=1e-6)  # it did round
    assert torch.cosine_similarity(a, b, dim=0) > 0.999


def test_eight_bits_where_they_do_not_run(
    llama: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^llm\.quantisation: 8bit on a CPU is for plain Llamas"):
        choose_engine(llama, config(quantisation="8bit", engine="transformers"))
    auto = config(quantisation="auto", engine="transformers")
    assert isinstance(choose_engine(llama, auto), TransformersEngine)
    monkeypatch.setattr("assistant.llm.fast_int8", lambda: False)
    with pytest.raises(ConfigError, match=r"^llm\.quantisation: 8bit on a CPU needs x86"):
        choose_engine(llama, config(quantisation="8bit"))
    plain, fallback = (
        choose_engine(llama, config(quantisation=which)) for which in ("none", "auto")
    )
    with torch.inference_mode():
        assert torch.equal(*(e.extend(e.start(), embeds(5)) for e in (plain, fallback)))


def test_another_llm_is_not_run_lean() -> None:
    other = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2))
    assert not lean_enough(other)
    with pytest.raises(ValueError, match="not a plain Llama"):
        LeanEngine(other, torch.float32)  # type: ignore[arg-type]
