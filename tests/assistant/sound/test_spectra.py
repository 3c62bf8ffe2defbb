import kaldi_native_fbank
import numpy as np
import pytest
import torch
import whisper.audio

from assistant import rates
from assistant.sound import spectra as audio


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_constants_divide_without_remainder() -> None:
    assert (rates.HOP, rates.ANALYSIS, rates.FEATURE_SAMPLES) == (160, 400, 320)
    assert rates.PATCH_SAMPLES % rates.FEATURE_SAMPLES == 0
    assert rates.CLIP_FEATURES * rates.FEATURE_SAMPLES == rates.CLIP_SAMPLES == 480_000


@pytest.mark.parametrize("n", [1, 199, 400, 16_000, 480_000, 500_000])
@pytest.mark.parametrize("n_mels", [80, 128])
def test_clip_mel_is_openai_whispers(n: int, n_mels: int) -> None:
    samples = torch.from_numpy(noise(n))
    clip = whisper.audio.pad_or_trim(samples)
    expected = whisper.audio.log_mel_spectrogram(clip, n_mels)
    torch.testing.assert_close(audio.clip_mel(samples, n_mels), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n", [400, 559, 560, 16_001])
def test_fbank_is_kaldis_where_kaldi_can(n: int) -> None:
    samples = noise(n, seed=n)
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(16_000, (samples * 32768).tolist())
    computer.input_finished()
    expected = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    ours = audio.kaldi_fbank(torch.from_numpy(samples), 80)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-3)  # kaldi computes in fp32


def test_fbank_frames_depend_on_their_own_samples_alone() -> None:
    samples = torch.from_numpy(noise(8000))
    whole = audio.fbank(samples)
    torch.testing.assert_close(audio.fbank(samples[1600:4000]), whole[10:23], atol=0, rtol=0)


@pytest.mark.parametrize(("n", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)])
def test_fbank_length(n: int, frames: int) -> None:
    assert audio.fbank(torch.zeros(n)).shape == (frames, 128)


def test_fbank_of_silence_is_the_floor() -> None:
    floor = (np.log(1.1920929e-07) - 15.41663) / (2 * 6.55582)
    np.testing.assert_allclose(audio.fbank(torch.zeros(400)).numpy(), floor, rtol=1e-6)
