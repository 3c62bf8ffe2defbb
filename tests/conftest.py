import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from assistant.config import ModelConfig
from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load

settings.register_profile("ours", deadline=None)  # how long a step takes is the machine's business
settings.load_profile("ours")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Results must not depend on how many cores share a sum."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _exact_floats() -> Iterator[None]:
    """Training lets the processor round the smallest numbers to zero; other tests must not."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    return load_preset(shipped_config(), "tiny")[1]


@pytest.fixture(scope="session")
def tiny(tiny_config: ModelConfig) -> Salmonn:
    return load(tiny_config)


@pytest.fixture(scope="session")
def nano() -> Salmonn:
    with warnings.catch_warnings():
        return load(load_preset(shipped_config(), "nano")[1])


@pytest.fixture(scope="session")
def parity() -> Path:
    """Tensors of the reference implementation; they lie beside a developer's checkout."""
    folder = SHARED / "parity"
    if not folder.is_dir():
        pytest.skip("no ../shared/parity beside this checkout")
    return folder
