"""The small BEATs, trained from nothing to tell sounds apart; its classifier is thrown away.

It hears as it will in a stream: under the block-causal mask. Mixup (Zhang et al. 2018) adds two
recordings' power spectra, and both recordings' classes count; SpecAugment (Park et al. 2019)
silences bands and stretches.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.encoders.attention import KeyValues, block_mask
from assistant.encoders.beats import Beats
from assistant.sound.spectra import FBANK_STD
from lab.features import FeatureStore
from lab.manifest import Row

SPEECH = "speech"
PATCH_FRAMES = 16
LONGEST = 304
"""Frames of 10 ms that training looks at; a random stretch of longer recordings."""

MIXED_SHARE = 0.5
NEPERS = 2 * FBANK_STD
"""What one unit of a normalised fbank frame is worth in natural log power."""


def classes_in(text: str) -> set[str]:
    """The classes in a row's text: sounds stand in parentheses, words are speech."""
    sounds = set(re.findall(r"\(([^)]*)\)", text))
    words = re.sub(r"\([^)]*\)", "", text).strip()
    return sounds | ({SPEECH} if words else set())


class Tagger(nn.Module):
    """BEATs and a linear classifier over the mean and the maximum of its tokens."""

    def __init__(self, beats: Beats, classes: int, block: int) -> None:
        """`block` is in tokens."""
        super().__init__()
        self.beats, self.block = beats, block
        self.norm = nn.LayerNorm(2 * beats.width)
        self.head = nn.Linear(2 * beats.width, classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Filter banks (batch, frames, 128) -> logits (batch, classes)."""
        tokens = encode_batch(self.beats, frames, self.block)
        pooled = torch.cat([tokens.mean(1), tokens.amax(1)], 1)
        logits: Tensor = self.head(F.dropout(self.norm(pooled), 0.2, self.training))
        return logits


def encode_batch(beats: Beats, frames: Tensor, block: int) -> Tensor:
    """What `Beats.attend` computes for one stream, for many of one length.

    Args:
        beats: the encoder.
        frames: shape (batch, frames, 128), whole patches.
        block: tokens per block.

    Returns:
        Shape (batch, tokens, width).
    """
    patches = beats.patch_embedding(frames[:, None]).flatten(2).transpose(1, 2)
    x: Tensor = beats.post_extract_proj(beats.layer_norm(patches))
    new, config = x.shape[1], beats.config
    reach = config.conv_pos // 2
    padded = F.pad(x, (0, 0, reach, 0))
    convolved = []
    for start in range(0, new, block):  # a block's convolution ends with the block
        stretch = padded[:, start : min(start + block, new) + reach]
        stretch = F.pad(stretch, (0, 0, 0, config.conv_pos - reach - 1))
        convolved.append(beats.positions(stretch))
    x = beats.input_layer_norm(x + torch.cat(convolved, 1))
    seen = block_mask(new, 0, block, x.device)
    bias = beats._bias(new, 0, x.device) if hasattr(beats, "position_bias") else None
    past = KeyValues()
    for i, layer in enumerate(beats.layers):
        x = layer(x, bias, seen, past, i)
    return x


class TagStage:
    """`Stage` of tagging sounds; features are filter banks."""

    def __init__(self, beats: Beats, texts: list[str], block: int) -> None:
        """Args:
        beats: trained in place.
        texts: of all rows; they name the classes.
        block: tokens per block of the streaming mask.
        """
        names = sorted(set().union(*map(classes_in, texts)))
        self._place = {name: i for i, name in enumerate(names)}
        self._names = names
        self.beats = beats
        if hasattr(beats, "position_bias"):
            nn.init.normal_(beats.position_bias.weight, std=0.02)
        self._tagger = Tagger(beats, len(names), block)
        self.module: nn.Module = self._tagger

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Binary cross-entropy per class, summed over classes."""
        shortest = min(LONGEST, *map(len, features)) // PATCH_FRAMES * PATCH_FRAMES
        frames = torch.stack([_crop(f, shortest) for f in features])
        wanted = torch.zeros(len(rows), len(self._names))
        for target, row in zip(wanted, rows, strict=True):
            target[[self._place[name] for name in classes_in(row.text)]] = 1.0
        frames, wanted = _mixed(frames, wanted)
        logits = self._tagger(_spec_augment(frames))
        return F.binary_cross_entropy_with_logits(
            logits.float(), wanted * 0.95 + 0.002, reduction="none"
        ).sum(1).mean()  # fmt: skip

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Share of rows whose one class is the likeliest."""
        found = {}
        for name, store in stores.items():
            chosen = [i for i in range(len(store)) if len(classes_in(store.rows[i].text)) == 1]
            chosen = chosen[:: max(1, len(chosen) // counts[name])]
            hits = [self.best(store.features(i)) in classes_in(store.rows[i].text) for i in chosen]
            found[name] = sum(hits) / len(hits)
        return found

    def best(self, features: Tensor) -> str:
        """The likeliest class of a recording's filter bank (frames, 128)."""
        whole = features[: len(features) // PATCH_FRAMES * PATCH_FRAMES]
        return self._names[int(self._tagger(whole[None])[0].argmax())]


def _crop(features: Tensor, frames: int) -> Tensor:
    start = int(torch.randint(len(features) - frames + 1, ()))
    return features[start : start + frames]


def _mixed(frames: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Half of the batch with another recording's power added, up to 10 dB weaker or stronger."""
    others = torch.randperm(len(frames))
    mixing = (torch.rand(len(frames)) < MIXED_SHARE)[:, None, None]
    gain_db = torch.empty(len(frames), 1, 1).uniform_(-10, 10)
    added = frames[others] * NEPERS + gain_db * 0.2303
    both = torch.logaddexp(frames * NEPERS, added) / NEPERS
    joined = torch.maximum(wanted, wanted[others])
    return torch.where(mixing, both, frames), torch.where(mixing[:, :, 0], joined, wanted)


def _spec_augment(frames: Tensor) -> Tensor:
    """Up to two bands of 24 bins and two stretches of 0.3 s silenced, and another level."""
    frames = frames + torch.empty(len(frames), 1, 1).uniform_(-0.4, 0.4)
    batch, length, bins = frames.shape
    floor = frames.amin((1, 2), keepdim=True)
    for _ in range(2):
        frames = torch.where(_spans(batch, bins, 24)[:, None, :], floor, frames)
        frames = torch.where(_spans(batch, length, 30)[:, :, None], floor, frames)
    return frames


def _spans(batch: int, length: int, longest: int) -> Tensor:
    """One span per row, of 0 to `longest`, (batch, length)."""
    place = torch.arange(length)
    start = torch.randint(0, length, (batch, 1))
    return (place >= start) & (place < start + torch.randint(0, longest + 1, (batch, 1)))
