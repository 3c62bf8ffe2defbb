from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.config import ModelConfig
from lab import manifest
from lab.features import extract
from lab.manifest import Row
from tests.lab.training.toy import WORDS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_config: ModelConfig) -> Path:
    """Twelve short recordings, three words told by their pitch, and their features."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        word = i % 3
        time = np.arange(16_000 + 1000 * i) / 16_000
        samples = 0.3 * np.sin(2 * np.pi * (300 + 700 * word) * time)
        samples += 0.01 * rng.standard_normal(len(time))
        soundfile.write(folder / f"{i}.wav", samples, 16_000)
        rows.append(Row(audio=f"{i}.wav", answer=WORDS[word], text=WORDS[word]))
    manifest.write(folder / "manifest.jsonl", rows)
    done = list(extract(tiny_config, folder / "manifest.jsonl", folder / "features" / "all", 1))
    assert done == list(range(1, 13))
    return folder
