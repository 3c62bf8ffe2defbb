"""The tagger hears as the stream will, learns, and leaves an encoder that loads."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from assistant.config import ModelConfig
from assistant.encoders.beats import load_beats
from assistant.errors import ConfigError
from assistant.parts.tiny import toy_beats
from lab import manifest
from lab.features import FeatureStore, extract
from lab.manifest import Row
from lab.training.config import StageConfig
from lab.training.run import run_stage
from lab.training.tag import SPEECH, classes_in, encode_batch

BLOCK = 32


def test_a_batch_is_encoded_as_single_streams_are() -> None:
    beats = toy_beats(1)
    frames = torch.randn(3, 16 * 11, 128)
    with torch.inference_mode():
        batch = encode_batch(beats, frames, BLOCK)
        for one, together in zip(frames, batch, strict=True):
            alone = beats.attend(beats.stem(one), beats.start(), BLOCK)
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_positions_stay_out_of_bf16() -> None:
    """oneDNN multiplies small groups wrongly there where the CPU has AMX."""
    beats, formats = toy_beats(1), []
    beats.pos_conv.register_forward_hook(lambda *found: formats.append(found[-1].dtype))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        encode_batch(beats, torch.randn(2, 16 * 8, 128), BLOCK)
    assert formats == [torch.float32] * 2


def test_classes_are_read_from_the_text() -> None:
    assert classes_in("(rain) (dog barking) what was that") == {"rain", "dog barking", SPEECH}
    assert classes_in("(rain)") == {"rain"}
    assert classes_in("") == set()


def stage(**changes: object) -> StageConfig:
    small = {
        "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 64,
        "encoder_attention_heads": 4, "embed_dim": 16, "conv_pos": 16,
        "relative_position_embedding": True, "gru_rel_pos": True, "deep_norm": True,
    }  # fmt: skip
    values = {
        "stage": "tag", "beats": small, "train": {"all": 1.0},
        "watch": {"all": 9}, "epochs": 60, "batch": 9, "learning_rate": 0.003, "warmup_steps": 5,
        "threads": 1, "bfloat16": False,
    }  # fmt: skip
    return StageConfig.model_validate({**values, **changes})


def test_a_tagger_learns_and_its_encoder_is_kept(tmp_path: Path, tiny_config: ModelConfig) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(9):
        time = np.arange(24_000) / 16_000
        samples = 0.3 * np.sin(2 * np.pi * (200, 1000, 4000)[i % 3] * time)
        samples += 0.01 * rng.standard_normal(len(time))
        soundfile.write(tmp_path / f"{i}.wav", samples, 16_000)
        rows.append(Row(f"{i}.wav", "", text=("(low)", "(middle)", "(high)")[i % 3]))
    manifest.write(tmp_path / "manifest.jsonl", rows)
    store = tmp_path / "fbank" / "all"
    list(extract(tiny_config, tmp_path / "manifest.jsonl", store, 1, kind="fbank"))
    assert FeatureStore(store).features(0).shape == (160, 128)  # 1.5 s in whole patches

    folder = tmp_path / "tagger"
    run_stage(tiny_config, stage(), folder, {"all": store})
    last = (folder / "figures.csv").read_text().splitlines()[-1]
    assert float(last.split(",")[-1]) > 0.8
    beats = load_beats(folder / "beats.safetensors")
    assert beats.width == 32
    with torch.inference_mode():
        assert beats(FeatureStore(store).features(0)).shape == (80, 32)


def test_the_size_is_needed(tmp_path: Path, tiny_config: ModelConfig) -> None:
    with pytest.raises(ConfigError, match="beats"):
        run_stage(tiny_config, stage(beats=None, train={}, watch={}), tmp_path, {})
