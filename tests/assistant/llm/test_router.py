"""Whether a tool is called for, and for which LLM that was learned."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from assistant.errors import ComponentError
from assistant.llm.engines.engine import LeanEngine
from assistant.llm.llm import Llm
from assistant.llm.router import Router, load_router, save_router
from assistant.parts.tiny import toy_llm


def llm(seed: int) -> Llm:
    model, tokenizer = toy_llm(seed)
    return Llm(model, tokenizer, [], LeanEngine(model, torch.float32))


def test_a_tool_is_called_for_from_even_odds_on() -> None:
    router = Router(torch.tensor([2.0, -1.0]), 0.5)
    assert router.probability(torch.tensor([0.0, 0.5])) == 0.5
    assert router.calls(torch.tensor([0.0, 0.5]))
    assert not router.calls(torch.tensor([0.0, 0.501]))
    assert router.probability(torch.tensor([1.0, 0.0])) == pytest.approx(
        1 / (1 + 2.718281828**-2.5)
    )


def test_it_is_read_for_the_llm_that_it_was_trained_for(tmp_path: Path) -> None:
    own, other, file = llm(1), llm(2), tmp_path / "router.safetensors"
    router = Router(torch.randn(own.width), -0.25)
    save_router(router, own, file)
    found = load_router(file, own)
    assert found is not None
    assert torch.equal(found.weight, router.weight)
    assert found.bias == -0.25
    assert load_router(file, other) is None


def test_an_engine_that_does_not_tell_its_last_layer_has_none(tmp_path: Path) -> None:
    own, file = llm(1), tmp_path / "router.safetensors"
    save_router(Router(torch.randn(own.width), 0.0), own, file)
    model, tokenizer = toy_llm(1)
    assert load_router(file, Llm(model, tokenizer, [])) is None


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "router.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(4)}, file)
    with pytest.raises(ComponentError, match=r"router.safetensors: not the weights of a tool"):
        load_router(file, llm(1))
