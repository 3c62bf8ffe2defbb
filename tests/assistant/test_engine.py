"""The lean engine against transformers: the same computation, the same tokens."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from assistant.engine import GROWTH, LeanEngine, TransformersEngine, lean_enough
from assistant.tiny import toy_llm


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


@torch.inference_mode()
def test_cut_differently_the_logits_are_the_same(llama: LlamaForCausalLM) -> None:
    lean = LeanEngine(llama, torch.float32)
    whole, pieces = lean.start(), lean.start()
    wanted = lean.extend(whole, embeds(9))
    for part in embeds(9).split([2, 1, 6]):
        found = lean.extend(pieces, part)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", ["lean", "transformers"])
@torch.inference_mode()
def test_forgetting_leaves_no_trace_and_forks_are_independent(
    llama: LlamaForCausalLM, kind: str
) -> None:
    engine = LeanEngine(llama, torch.float32) if kind == "lean" else TransformersEngine(llama)
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


@torch.inference_mode()
def test_bfloat16_stays_close(llama: LlamaForCausalLM) -> None:
    fast, exact = (LeanEngine(llama, d) for d in (torch.bfloat16, torch.float32))
    a, b = (e.extend(e.start(), embeds(20)) for e in (fast, exact))
    assert torch.cosine_similarity(a, b, dim=0) > 0.999


def test_another_llm_is_not_run_lean() -> None:
    other = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2))
    assert not lean_enough(other)
    with pytest.raises(ValueError, match="not a plain Llama"):
        LeanEngine(other, torch.float32)  # type: ignore[arg-type]
