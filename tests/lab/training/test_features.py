"""Features are kept as they were extracted, and not mixed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from lab import manifest
from lab.features import FeatureStore, extract
from tests.lab.training.toy import WORDS


def test_a_store_gives_back_what_was_extracted(runs: Path) -> None:
    store = FeatureStore(runs / "features" / "all")
    assert len(store) == 12
    assert [row.answer for row in store.rows[:3]] == WORDS
    assert store.features(0).shape == (64, 64)  # 1 s: 4 windows of 16; Whisper 32 and BEATs 32
    assert store.features(11).shape[0] == store.length(11) == 96


def test_extraction_resumes(runs: Path, tiny_config: ModelConfig, tmp_path: Path) -> None:
    whole = runs / "features" / "all"
    np.save(tmp_path / "lengths.npy", np.load(whole / "lengths.npy")[:5])
    (tmp_path / "features.f16").write_bytes((whole / "features.f16").read_bytes()[:-1000])
    list(extract(tiny_config, runs / "manifest.jsonl", tmp_path, 1))
    ours, theirs = FeatureStore(tmp_path), FeatureStore(whole)
    assert all(torch.equal(ours.features(i), theirs.features(i)) for i in range(12))


def test_features_of_other_settings_are_not_mixed(
    runs: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    manifest.write(tmp_path / "manifest.jsonl", [])
    list(extract(tiny_config, tmp_path / "manifest.jsonl", tmp_path / "store", 1))
    encoding = tiny_config.encoding.model_copy(update={"block_windows": 4})
    other = tiny_config.model_copy(update={"encoding": encoding})
    with pytest.raises(ConfigError, match="made with other settings"):
        list(extract(other, tmp_path / "manifest.jsonl", tmp_path / "store", 1))
