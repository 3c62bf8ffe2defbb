"""The window-level Q-Former (SALMONN section 3.1): encoder features -> audio tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.config import AlignerConfig
from assistant.ear.qformer import QFormer


def join(parts: list[Tensor]) -> Tensor:
    """Join features (n_i, width_i) side by side to (max n_i, sum of widths); shorter ones are
    padded with zeros."""
    longest = max(map(len, parts))
    return torch.cat([F.pad(p, (0, 0, 0, longest - len(p))) for p in parts], 1)


class Aligner(nn.Module):
    """From encoder features to audio tokens: LayerNorms, queries, Q-Former and projection. These
    and the LoRA adapters are the parts that SALMONN trains."""

    def __init__(
        self, config: AlignerConfig, speech_width: int, audio_width: int | None, llm_width: int
    ) -> None:
        """The widths are those of a Whisper feature, of a BEATs feature (None: no BEATs) and of the
        LLM's embeddings."""
        super().__init__()
        self.config = config
        self.ln_speech = nn.LayerNorm(speech_width)
        self.ln_audio = None if audio_width is None else nn.LayerNorm(audio_width)
        self.queries = nn.Parameter(torch.randn(1, config.queries, config.qformer.width) * 0.02)
        self.qformer = QFormer(config.qformer, speech_width + (audio_width or 0))
        self.projection = nn.Linear(config.qformer.width, llm_width)
        length = config.token_length
        self.length = None if length is None else nn.Parameter(torch.tensor(length))

    @property
    def per_window(self) -> int:
        """Audio tokens per window."""
        return self.config.queries

    @property
    def width(self) -> int:
        """Size of an audio token."""
        return self.projection.out_features

    def fuse(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        """Normalise both encoders' features and join them; the shorter ones are padded with zeros.

        Args:
            speech: shape (n, speech width).
            audio: shape (m, audio width), or None without BEATs.

        Returns:
            Shape (max(n, m), speech width + audio width).
        """
        parts = [self.ln_speech(speech)]
        if self.ln_audio is not None:
            assert audio is not None
            parts.append(self.ln_audio(audio))
        return join(parts)

    def windows(self, features: Tensor) -> Tensor:
        """Cut features (n, width) into windows (m, window, width); a partial last window is
        dropped."""
        return _windows(features, self.config)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (m, window, width) -> audio tokens (m, queries, LLM width)."""
        tokens: Tensor = self.projection(self.qformer(self.queries, windows))
        if self.length is not None:
            tokens = F.normalize(tokens, dim=-1) * self.length
        return tokens


class NoAligner(nn.Module):
    """The aligner for an LLM that reads words: it cuts windows, and makes no audio tokens of
    them."""

    per_window = 0

    def __init__(self, config: AlignerConfig, llm_width: int) -> None:
        super().__init__()
        self.config, self.width = config, llm_width

    def fuse(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        """Join features as `Aligner.fuse` does, without normalising them."""
        return speech if audio is None else join([speech, audio])

    def windows(self, features: Tensor) -> Tensor:
        """Cut features into windows, see `Aligner.windows`."""
        return _windows(features, self.config)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (m, window, width) -> (m, 0, LLM width)."""
        return windows.new_zeros(len(windows), 0, self.width)


def _windows(features: Tensor, config: AlignerConfig) -> Tensor:
    size, stride = config.window_features, config.stride_features
    if len(features) < size:
        return features.new_zeros(0, size, features.shape[1])
    return features.unfold(0, size, stride).transpose(1, 2)
