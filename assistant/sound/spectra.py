"""The two spectral front ends, Whisper's and BEATs'.

All sound is mono float32 at 16 kHz; the lengths are those of `rates`.
"""

from functools import cache

import torch
import torch.nn.functional as F
import whisper.audio
from torch import Tensor

from assistant.rates import ANALYSIS, CLIP_SAMPLES, HOP, SAMPLE_RATE

FBANK_FFT = 512

FBANK_BINS = 128

FBANK_FLOOR = 1.1920929e-07
"""Smallest mel energy before the logarithm: fp32's epsilon, as in Kaldi."""

FBANK_MEAN, FBANK_STD = 15.41663, 6.55582
"""AudioSet statistics with which BEATs normalises: (fbank - mean) / (2 std)."""

SILENCE = -0.75
"""Whisper's log-mel of silence beside speech: `normalise_mel` of what is 80 dB or more under a
maximum of 1, which is about that of speech."""


@cache
def _hann() -> Tensor:
    return torch.hann_window(ANALYSIS)


def log10_mel(samples: Tensor, n_mels: int) -> Tensor:
    """Whisper's mel power spectrum in log10, before normalisation.

    Frame j covers samples [160 j, 160 j + 400), without padding.

    Args:
        samples: shape (n,), n >= 400.
        n_mels: 80 or 128.

    Returns:
        Shape (n_mels, 1 + (n - 400) // 160).
    """
    stft = torch.stft(
        samples, ANALYSIS, HOP, window=_hann().to(samples.device), center=False, return_complex=True
    )
    mel: Tensor = whisper.audio.mel_filters(samples.device, n_mels) @ (stft.abs() ** 2)
    return mel.clamp(min=1e-10).log10()


def normalise_mel(log_mel: Tensor, maximum: Tensor | float) -> Tensor:
    """Whisper's normalisation: clip at 8 (80 dB) below `maximum`, then (x + 4) / 4."""
    return (torch.maximum(log_mel, torch.as_tensor(maximum) - 8.0) + 4.0) / 4.0


def clip_mel(samples: Tensor, n_mels: int) -> Tensor:
    """The offline front end of one clip, cut or zero-padded to 30 s.

    Args:
        samples: shape (n,), n >= 1.
        n_mels: 80 or 128.

    Returns:
        Shape (n_mels, 3000), normalised by the maximum of the whole 30 s.
    """
    clip = F.pad(samples[:CLIP_SAMPLES], (0, max(0, CLIP_SAMPLES - len(samples))))
    padded = F.pad(clip[None], (ANALYSIS // 2, ANALYSIS // 2), mode="reflect")[0]
    log_mel = log10_mel(padded, n_mels)[:, :-1]
    return normalise_mel(log_mel, log_mel.max())


def fbank(samples: Tensor) -> Tensor:
    """Kaldi's log-mel filter bank, normalised, as BEATs was trained on it.

    Frame f covers samples [160 f, 160 f + 400) alone (`snip_edges`), so a slice that starts at a
    multiple of 160 gives the same frames as the whole. Computed in fp64, like the reference.

    kaldi-native-fbank itself refuses 128 bins at 16 kHz: some of the lowest triangles hold no FFT
    bin, and BEATs was trained with those. With 80 bins the two agree, and a test says so.

    Args:
        samples: shape (n,), 16 kHz, in [-1, 1].

    Returns:
        Shape (max(0, 1 + (n - 400) // 160), 128), fp32.
    """
    return (kaldi_fbank(samples, FBANK_BINS) - FBANK_MEAN) / (2 * FBANK_STD)


def kaldi_fbank(samples: Tensor, n_bins: int) -> Tensor:
    """Kaldi's `compute-fbank-feats`: Povey window, no dither, no energy, 20 Hz to 8 kHz.

    Args:
        samples: shape (n,), 16 kHz, in [-1, 1]; scaled to 16-bit range inside.
        n_bins: triangular mel filters.

    Returns:
        Shape (max(0, 1 + (n - 400) // 160), n_bins), fp32.
    """
    if len(samples) < ANALYSIS:
        return torch.zeros(0, n_bins, device=samples.device)
    frames = (samples.double() * 32768.0).unfold(0, ANALYSIS, HOP)  # (frames, 400)
    frames = frames - frames.mean(1, keepdim=True)
    before = F.pad(frames[:, :-1], (1, 0))
    before[:, 0] = frames[:, 0]
    frames = (frames - 0.97 * before) * _povey().to(samples.device)
    power = torch.fft.rfft(frames, FBANK_FFT).abs() ** 2  # (frames, 257)
    mel: Tensor = power @ _kaldi_filters(n_bins).to(samples.device)
    return mel.clamp(min=FBANK_FLOOR).log().float()


@cache
def _povey() -> Tensor:
    return torch.hann_window(ANALYSIS, periodic=False, dtype=torch.float64) ** 0.85


@cache
def _kaldi_filters(n_bins: int) -> Tensor:
    """Triangles linear in mel = 1127 ln(1 + f / 700); (257, n_bins); the Nyquist bin is unused."""

    def to_mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log(1.0 + hertz / 700.0)

    ends = to_mel(torch.tensor([20.0, SAMPLE_RATE / 2], dtype=torch.float64))
    corners = torch.linspace(float(ends[0]), float(ends[1]), n_bins + 2, dtype=torch.float64)
    hertz = torch.arange(FBANK_FFT // 2, dtype=torch.float64) * SAMPLE_RATE / FBANK_FFT
    mel = to_mel(hertz)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return F.pad(torch.minimum(rising, falling).clamp(min=0.0), (0, 0, 0, 1))
