"""What of an LLM cannot be loaded is an error that names the key."""

import importlib.util
from collections.abc import Callable

import pytest

from assistant.config import LlmConfig
from assistant.errors import ConfigError
from assistant.llm.loading import load_base


def pretend(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    real: Callable[..., object] = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> object:
        if name in ("bitsandbytes", "accelerate"):
            return object() if installed else None
        return real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


@pytest.mark.parametrize(
    ("bits", "installed", "device", "message"),
    [
        ("4bit", False, "cpu", "needs bitsandbytes"),
        ("4bit", False, "cuda", "needs bitsandbytes"),
        ("8bit", False, "cuda", "needs bitsandbytes"),
        ("4bit", True, "cpu", "needs a GPU, not cpu"),
    ],
)
def test_quantisation_that_cannot_work_is_an_error_that_names_the_key(
    monkeypatch: pytest.MonkeyPatch, bits: str, installed: bool, device: str, message: str
) -> None:
    pretend(monkeypatch, installed)
    config = LlmConfig.model_validate({"weights": ["none"], "quantisation": bits})
    with pytest.raises(ConfigError, match=rf"^llm\.quantisation: {bits} {message}"):
        load_base("none", config, device)


def test_placement_without_accelerate_is_an_error_that_names_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, installed=False)
    with pytest.raises(ConfigError, match=r"^llm\.placement: auto needs accelerate"):
        load_base("none", LlmConfig(weights=["none"], placement="auto"), "cuda")
