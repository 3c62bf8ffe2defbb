"""The window-level Q-Former (SALMONN section 3.1; BERT layers as in BLIP-2's Q-Former)."""

import torch.nn.functional as F
from torch import Tensor, nn

from assistant.config import QFormerConfig

LAYER_NORM_EPS = 1e-12
"""BERT's epsilon of its LayerNorms."""


class Attention(nn.Module):
    """Multi-head attention, output projection, residual and LayerNorm, as in BERT."""

    def __init__(self, config: QFormerConfig, memory_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout_p = config.dropout
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(memory_width, config.width)
        self.value = nn.Linear(memory_width, config.width)
        self.out = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Attend from `x` (n, queries, width) to `memory` (n, length, memory width)."""

        def heads(y: Tensor) -> Tensor:
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            heads(self.query(x)),
            heads(self.key(memory)),
            heads(self.value(memory)),
            dropout_p=self.dropout_p if self.training else 0.0,
        )
        x = self.norm(x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2))))
        return x


class Layer(nn.Module):
    """A layer: self-attention among the queries, cross-attention to the window, then an MLP."""

    def __init__(self, config: QFormerConfig, window_width: int) -> None:
        super().__init__()
        self.self_attention = Attention(config, config.width)
        self.cross_attention = Attention(config, window_width)
        self.up = nn.Linear(config.width, config.mlp_width)
        self.down = nn.Linear(config.mlp_width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor, window: Tensor) -> Tensor:
        """(n, queries, width), (n, features, window width) -> (n, queries, width)."""
        x = self.self_attention(x, x)
        x = self.cross_attention(x, window)
        x = self.norm(x + self.dropout(self.down(F.gelu(self.up(x)))))
        return x


class QFormer(nn.Module):
    """Turns each window of features into a fixed number of vectors.

    Windows are independent: there are no positions, and no attention between windows.
    """

    def __init__(self, config: QFormerConfig, window_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config, window_width) for _ in range(config.layers))
        self.apply(_initialise)

    def forward(self, queries: Tensor, windows: Tensor) -> Tensor:
        """Turn windows into vectors.

        Args:
            queries: shape (1, queries, width), learned.
            windows: shape (n, features, window width).

        Returns:
            Shape (n, queries, width).
        """
        x: Tensor = self.dropout(self.norm(queries)).expand(len(windows), -1, -1)
        for layer in self.layers:
            x = layer(x, windows)
        return x


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)  # BERT's
        nn.init.zeros_(module.bias)
