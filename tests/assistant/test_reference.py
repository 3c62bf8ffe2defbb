"""Every stage of the tiny preset against stored tensors, so that no stage changes unnoticed.

The stages themselves were compared with the published reference code (test_parity.py); this file
guards them on machines that do not have its tensors. After an intended change:

    python -m tests.assistant.test_reference
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from assistant.config import GenerationConfig
from assistant.ear.aligner import Aligner
from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load
from assistant.sound import spectra as audio

Arrays = dict[str, NDArray[Any]]
STORED = Path(__file__).with_name("reference") / "tiny.npz"
TOLERANCES = {
    "log_mel": 5e-5, "fbank": 1e-4, "whisper": 1e-4, "beats_patches": 1e-4, "beats": 1e-4,
    "windows": 1e-4, "qformer": 1e-4, "audio_tokens": 1e-4, "logits": 1e-3,
    "greedy_ids": 0, "beam_ids": 0,
}  # fmt: skip


def sound() -> torch.Tensor:
    """2.3 s: two tones, then a chirp that clips."""
    time = np.arange(36_800) / 16_000
    samples = 0.2 * np.sin(2 * np.pi * 220 * time) + 0.1 * np.sin(2 * np.pi * 1500 * time**2)
    samples[20_000:] = np.clip(3 * samples[20_000:], -0.5, 0.5)
    return torch.from_numpy(samples.astype(np.float32))


@torch.inference_mode()
def stages(model: Salmonn) -> Arrays:
    ear, samples = model.ear, sound()
    mel, fbank = audio.clip_mel(samples, 80), audio.fbank(samples)
    assert ear.audio_encoder is not None
    patches = ear.audio_encoder.stem(fbank)
    features = ear.features(samples)
    windows = ear.aligner.windows(features)
    tokens = ear.hear(samples)
    before, after = model.prompt.ids(model.llm, "What is heard?")
    embeds = torch.cat([model.llm.embed(before), tokens, model.llm.embed(after)])
    cache = model.llm.cache()
    cache.extend(embeds)
    assert isinstance(ear.aligner, Aligner)
    found = {
        "log_mel": mel[:, :240:6],
        "fbank": fbank[::6],
        "whisper": ear.speech_encoder(mel)[:120:4],
        "beats_patches": patches[::4],
        "beats": ear.audio_encoder(fbank)[::4],
        "windows": windows[:, ::5],
        "qformer": ear.aligner.qformer(ear.aligner.queries, windows),
        "audio_tokens": tokens,
        "logits": model.llm.model(inputs_embeds=embeds[None]).logits[0, ::8],
    }
    arrays = {name: tensor.numpy() for name, tensor in found.items()}
    generation = GenerationConfig(max_new_tokens=12, beams=4)
    arrays["greedy_ids"] = np.array(list(cache.tokens(generation)))
    arrays["beam_ids"] = np.array(model.llm.beam_search(embeds, generation))
    return arrays


@pytest.fixture(scope="module")
def ours(tiny: Salmonn) -> Arrays:
    return stages(tiny)


@pytest.mark.parametrize("stage", TOLERANCES)
def test_stage(stage: str, ours: Arrays) -> None:
    stored = np.load(STORED)[stage]
    assert ours[stage].shape == stored.shape
    np.testing.assert_allclose(ours[stage], stored, atol=TOLERANCES[stage], rtol=0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = stages(load(load_preset(shipped_config(), "tiny")[1]))
    np.savez_compressed(STORED, **made)  # type: ignore[arg-type]  # as if one were `allow_pickle`
