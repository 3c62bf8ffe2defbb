"""Every stage against tensors of the published reference code, on its tiny random weights.

They lie in ../shared/parity; without it these tests skip, and test_reference.py guards the same
stages everywhere. Tolerances are those the tensors came with.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from assistant.config import (
    AlignerConfig,
    GenerationConfig,
    LlmConfig,
    LoraConfig,
    ModelConfig,
    PartConfig,
    QFormerConfig,
    SpeechEncoderConfig,
)
from assistant.ear.aligner import Aligner
from assistant.encoders.beats import Beats
from assistant.model import Salmonn, load
from assistant.sound import recording
from assistant.sound import spectra as audio

INSTRUCTION = "Recognize the speech and give me the transcription."
Arrays = dict[str, NDArray[np.generic]]


def config(parity: Path, lora_scale: float | None = None) -> ModelConfig:
    return ModelConfig(
        speech_encoder=SpeechEncoderConfig(weights=[str(parity / "whisper")]),
        audio_encoder=PartConfig(weights=[str(parity / "beats" / "beats_tiny.pt")]),
        aligner=AlignerConfig(qformer=QFormerConfig(layers=2, width=48, heads=4, mlp_width=96)),
        llm=LlmConfig(
            weights=[str(parity / "llama")], dtype="float32", lora=LoraConfig(scale=lora_scale)
        ),
        generation=GenerationConfig(max_new_tokens=24, beams=1),
        checkpoint=str(parity / "ckpt" / "salmonn_tiny.pth"),
        device="cpu",
    )


@pytest.fixture(scope="module")
def model(parity: Path) -> Salmonn:
    return load(config(parity))


@pytest.fixture(scope="module")
def beats(model: Salmonn) -> Beats:
    assert model.ear.audio_encoder is not None
    return model.ear.audio_encoder


@pytest.fixture(scope="module")
def reference(parity: Path) -> Arrays:
    return dict(np.load(parity / "ref_single_3s2.npz"))


@pytest.fixture(scope="module")
def samples(parity: Path) -> torch.Tensor:
    return torch.from_numpy(recording.load(parity / "wav" / "a_3s2.wav"))


def close(ours: torch.Tensor, theirs: NDArray[np.generic], tolerance: float) -> None:
    difference = np.abs(ours.detach().numpy() - theirs).max()
    assert ours.shape == theirs.shape
    assert difference <= tolerance, f"off by {difference:.2e}"


def test_raw_samples(samples: torch.Tensor, reference: Arrays) -> None:
    close(samples.double(), reference["raw_wav"].reshape(-1), 0.0)


def test_log_mel(samples: torch.Tensor, reference: Arrays) -> None:
    close(audio.clip_mel(samples, 80), reference["spectrogram"][0], 5e-5)


def test_whisper(model: Salmonn, reference: Arrays) -> None:
    mel = torch.from_numpy(reference["spectrogram"][0])
    close(model.ear.speech_encoder(mel), reference["whisper_out"][0], 5e-6)


def test_fbank(samples: torch.Tensor, reference: Arrays) -> None:
    close(audio.fbank(samples), reference["beats_fbank"][0], 1e-4)


def test_beats_patches(beats: Beats, reference: Arrays) -> None:
    fbank = torch.from_numpy(reference["beats_fbank"][0]).float()
    close(beats.stem(fbank), reference["beats_patch_tokens_in"][0], 5e-6)


def test_beats(beats: Beats, reference: Arrays) -> None:
    fbank = torch.from_numpy(reference["beats_fbank"][0]).float()
    close(beats(fbank), reference["beats_out"][0], 5e-6)


def test_layer_norms(model: Salmonn, reference: Arrays) -> None:
    aligner = model.ear.aligner
    assert isinstance(aligner, Aligner)
    assert aligner.ln_audio is not None
    speech = torch.from_numpy(reference["whisper_out"][0])
    sound = torch.from_numpy(reference["beats_out"][0])
    close(aligner.ln_speech(speech), reference["ln_speech_out"][0], 5e-6)
    close(aligner.ln_audio(sound), reference["ln_audio_out"][0], 5e-6)


def test_windows(model: Salmonn, reference: Arrays) -> None:
    speech = torch.from_numpy(reference["whisper_out"][0])
    sound = torch.from_numpy(reference["beats_out"][0])
    fused = model.ear.aligner.fuse(speech, sound)
    close(model.ear.aligner.windows(fused), reference["qformer_windows_in"], 5e-6)


def test_qformer_and_projection(model: Salmonn, reference: Arrays) -> None:
    aligner = model.ear.aligner
    assert isinstance(aligner, Aligner)
    windows = torch.from_numpy(reference["qformer_windows_in"])
    close(aligner.qformer(aligner.queries, windows), reference["qformer_out"], 5e-6)
    close(aligner(windows), reference["proj_out_windows"], 5e-6)


def test_audio_tokens_from_samples(
    model: Salmonn, samples: torch.Tensor, reference: Arrays
) -> None:
    close(model.ear.hear(samples), reference["speech_tokens"][0], 1e-4)


def test_prompt_ids(model: Salmonn, reference: Arrays) -> None:
    before, after = model.prompt.ids(model.llm, INSTRUCTION)
    assert before == [model.llm.tokenizer.bos_token_id, *reference["ids_before"].tolist()]
    assert after == reference["ids_after"].tolist()


def test_llm_input(model: Salmonn, samples: torch.Tensor, reference: Arrays) -> None:
    before, after = model.prompt.ids(model.llm, INSTRUCTION)
    tokens = model.ear.hear(samples)
    embeds = torch.cat([model.llm.embed(before), tokens, model.llm.embed(after)])
    close(embeds, reference["gen_inputs_embeds"][0], 1e-4)


@pytest.mark.parametrize(
    ("scale", "file"), [(None, "ref_single_3s2.npz"), (2.0, "ref_lora_scale2.npz")]
)
def test_prefill_logits(parity: Path, reference: Arrays, scale: float | None, file: str) -> None:
    scaled = load(config(parity, scale))
    embeds = torch.from_numpy(reference["gen_inputs_embeds"])
    with torch.inference_mode():
        logits = scaled.llm.model(inputs_embeds=embeds).logits[0]
    theirs = np.load(parity / file)["prefill_logits"].reshape(-1, 513)
    close(logits, theirs[:, :512], 1e-3)  # the last column is a random [PAD] row


def test_greedy_ids_from_samples(model: Salmonn, samples: torch.Tensor, reference: Arrays) -> None:
    before, after = model.prompt.ids(model.llm, INSTRUCTION)
    cache = model.llm.cache()
    for part in (model.llm.embed(before), model.ear.hear(samples), model.llm.embed(after)):
        cache.extend(part)
    ids = list(cache.tokens(model.config.generation))
    assert ids == reference["greedy_ids"][0, 1:].tolist()


def test_beam_ids(model: Salmonn, reference: Arrays) -> None:
    embeds = torch.from_numpy(reference["gen_inputs_embeds"][0])
    found = model.llm.beam_search(embeds, GenerationConfig(max_new_tokens=24, beams=4))
    assert found == reference["beam4_ids"][0, 1:].tolist()
