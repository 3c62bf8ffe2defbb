"""The audio encoder: BEATs (arXiv 2212.09058), bidirectional as published or block-causal.

A clip's filter bank is cut into patches of 16 frames x 16 mel bins. Tokens run through time with
frequency fastest: 8 tokens per 160 ms column, so 50 a second, and token i stands for about
20 i ms. Post-norm layers with DeepNorm scaling and a relative position bias gated by the query.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from assistant.encoders.attention import KeyValues, block_mask
from assistant.errors import ComponentError
from assistant.files.weights import read_state, require


class BeatsConfig(BaseModel):
    """The `cfg` of a BEATs file, with the published defaults. Fields for training are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    embed_dim: int = 512
    input_patch_size: Annotated[int, Field(ge=16, le=16)] = 16
    conv_bias: bool = False
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 1280
    relative_position_embedding: bool = False
    gru_rel_pos: bool = False
    deep_norm: bool = False
    layer_norm_first: Annotated[bool, Field(le=False)] = False
    activation_fn: Annotated[str, Field(pattern="^gelu$")] = "gelu"


@dataclass(slots=True)
class BeatsState:
    """State of a block-causal stream."""

    past: KeyValues = field(default_factory=KeyValues)
    tail: Tensor | None = None
    """The last conv_pos // 2 tokens before the positional convolution."""

    def fork(self) -> "BeatsState":
        """An independent copy."""
        return BeatsState(self.past.fork(), self.tail)


class SelfAttention(nn.Module):
    """Self-attention with a relative position bias that each query gates (`gru_rel_pos`)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.gated = config.gru_rel_pos
        if self.gated:
            self.grep_linear = nn.Linear(width // self.heads, 8)
            self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))

    def forward(
        self, x: Tensor, bias: Tensor | None, seen: Tensor | None, past: KeyValues, layer: int
    ) -> Tensor:
        """Attend.

        Args:
            x: shape (1, n, width).
            bias: shape (1, heads, n, past + n), added to the logits after gating.
            seen: shape (n, past + n), False where attention is forbidden.
            past: cached keys and values; the new ones are appended.
            layer: index of this layer in `past`.
        """

        def heads(y: Tensor) -> Tensor:
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)

        query = heads(self.q_proj(x))
        keys, values = past.extend(layer, heads(self.k_proj(x)), heads(self.v_proj(x)))
        mask = seen
        if bias is not None:
            mask = self._gate(query) * bias if self.gated else bias
            if seen is not None:
                mask = mask.masked_fill(~seen, -torch.inf)
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _gate(self, query: Tensor) -> Tensor:
        """Weight of the position bias per head and query, (1, heads, n, 1)."""
        pair: Tensor = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        reset, update = pair.chunk(2, -1)
        weight: Tensor = reset * (update * self.grep_a - 1.0) + 2.0
        return weight


class BeatsLayer(nn.Module):
    """A transformer layer with post-norm: x = LN(alpha x + sublayer(x))."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.alpha = (2.0 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0
        self.self_attn = SelfAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, bias: Tensor | None, seen: Tensor | None, past: KeyValues, layer: int
    ) -> Tensor:
        """Same arguments as `SelfAttention.forward`."""
        attended = self.self_attn(x, bias, seen, past, layer)
        x = self.self_attn_layer_norm(self.alpha * x + attended)
        x = self.final_layer_norm(self.alpha * x + self.fc2(F.gelu(self.fc1(x))))
        return x


class Beats(nn.Module):
    """BEATs without its classifier.

    Attributes:
        width: size of a feature.
    """

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.encoder_embed_dim
        patch = config.input_patch_size
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, patch, patch, bias=config.conv_bias)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.post_extract_proj = (
            nn.Identity()
            if config.embed_dim == self.width
            else nn.Linear(config.embed_dim, self.width)
        )
        self.pos_conv = nn.Conv1d(
            self.width, self.width, config.conv_pos, groups=config.conv_pos_groups
        )
        self.input_layer_norm = nn.LayerNorm(self.width)
        self.layers = nn.ModuleList(BeatsLayer(config) for _ in range(config.encoder_layers))
        if config.relative_position_embedding:
            self.position_bias = nn.Embedding(config.num_buckets, config.encoder_attention_heads)

    def forward(self, fbank: Tensor) -> Tensor:
        """Encode with full attention.

        Args:
            fbank: normalised, shape (frames, 128).

        Returns:
            Shape (8 (frames // 16), width).
        """
        x = self.stem(fbank)
        return self.attend(x, self.start(), block=max(1, len(x)))

    def stem(self, fbank: Tensor) -> Tensor:
        """Filter bank (frames, 128) -> patch tokens (8 (frames // 16), width)."""
        columns = len(fbank) // self.config.input_patch_size
        if not columns:
            return fbank.new_zeros(0, self.width)
        patches = self.patch_embedding(fbank[None, None])[0]  # (embed, columns, 8)
        tokens: Tensor = self.post_extract_proj(self.layer_norm(patches.flatten(1).T))
        return tokens

    def start(self) -> BeatsState:
        """The state of a stream that has heard nothing."""
        return BeatsState()

    def attend(self, x: Tensor, state: BeatsState, block: int) -> Tensor:
        """Encode whole blocks under a block-causal mask, and advance `state`.

        Args:
            x: patch tokens of whole blocks, shape (n, width); the last block may be short.
            state: of the stream.
            block: tokens per block.

        Returns:
            Shape (n, width).
        """
        new, held = len(x), state.past.length
        if not new:
            return x
        x = self.input_layer_norm(x + self._convolve(x, state, block))[None]
        seen = block_mask(new, held, block, x.device)
        bias = self._bias(new, held, x.device) if hasattr(self, "position_bias") else None
        for i, layer in enumerate(self.layers):
            x = layer(x, bias, seen, state.past, i)
        state.past.length += new
        return x[0]

    def look_ahead(self, x: Tensor, state: BeatsState, after: int) -> Tensor:
        """Not possible: a preset that looks ahead has no BEATs.

        Raises:
            ValueError: always.
        """
        raise ValueError("BEATs does not look ahead")

    def _convolve(self, x: Tensor, state: BeatsState, block: int) -> Tensor:
        """The positional convolution, which sees half a kernel back, and ahead only to the block's
        end."""
        reach = self.config.conv_pos // 2
        tail = x.new_zeros(reach, self.width) if state.tail is None else state.tail
        out = []
        for piece in x.split(block):
            stretch = F.pad(torch.cat([tail, piece]), (0, 0, 0, self.config.conv_pos - reach - 1))
            out.append(self.positions(stretch[None])[0])
            tail = torch.cat([tail, piece])[-reach:]
        state.tail = tail
        return torch.cat(out)

    def positions(self, stretch: Tensor) -> Tensor:
        """The positional convolution of patch tokens with those around them.

        Args:
            stretch: shape (batch, n, width), with the tokens before and after.

        Returns:
            Shape (batch, n - conv_pos + 1, width), in the format of the weights.
        """
        # Never in autocast's bf16: oneDNN of torch 2.13 multiplies small groups wrongly there
        # where the CPU has AMX (cosine 0 with the right result).
        with torch.autocast(stretch.device.type, enabled=False):
            found = self.pos_conv(stretch.to(self.pos_conv.weight.dtype).transpose(1, 2))
        return F.gelu(found).transpose(1, 2)

    def _bias(self, new: int, held: int, device: torch.device) -> Tensor:
        """Relative position bias, (1, heads, new, held + new)."""
        keys = torch.arange(held + new, device=device)
        distance = keys[None, :] - keys[held:, None]
        buckets = _bucket(distance, self.config.num_buckets, self.config.max_distance)
        return self.position_bias(buckets).permute(2, 0, 1)[None]  # type: ignore[no-any-return]


def _bucket(distance: Tensor, buckets: int, furthest: int) -> Tensor:
    """T5's bidirectional buckets: a half per sign, exact up to a quarter, then logarithmic."""
    half = buckets // 2
    exact = half // 2
    magnitude = distance.abs()
    scale = torch.log(magnitude.clamp(min=1).float() / exact) / torch.log(
        torch.tensor(furthest / exact)
    )
    far = (exact + (scale * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(magnitude < exact, magnitude, far) + (distance > 0) * half


def save_beats(model: Beats, path: Path) -> None:
    """Write a BEATs encoder as safetensors in fp16, with its `cfg` in the file's metadata."""
    state = {key: tensor.detach().half().contiguous() for key, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, path, {"cfg": model.config.model_dump_json()})


def load_beats(path: Path) -> Beats:
    """Read a published BEATs `.pt` (`cfg` and `model`) or a file of `save_beats`.

    Returns:
        Frozen, in fp32, without a classifier.

    Raises:
        ComponentError: not a BEATs file, or one of an unknown kind.
        CheckpointError: keys are missing or have another shape.
    """
    if path.suffix == ".safetensors":
        state = read_state(path)
        with safetensors.safe_open(path, "pt") as opened:
            cfg = (opened.metadata() or {}).get("cfg", "{}")
        return build_beats(json.loads(cfg), state, str(path))
    file = read_state(path)
    if not {"cfg", "model"} <= file.keys():
        raise ComponentError(f"{path}: not a BEATs file (no cfg, model)")
    return build_beats(file["cfg"], file["model"], str(path))


def build_beats(cfg: dict[str, Any], published: dict[str, Tensor], name: str) -> Beats:
    """Make a `Beats` of `cfg` from weights under the published names.

    Raises:
        ComponentError: `cfg` is of an unknown kind; the message names the field.
        CheckpointError: keys are missing or have another shape.
    """
    try:
        config = BeatsConfig.model_validate(cfg)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["cfg", *map(str, first["loc"])])
        raise ComponentError(f"{name}: {where}: {first['msg']}") from error
    state = {_our_name(k): v.float() for k, v in published.items() if v.is_floating_point()}
    if "pos_conv.weight_g" in state:  # old-style weight norm over the kernel's positions
        direction = state.pop("pos_conv.weight_v")
        norm = direction.norm(dim=(0, 1), keepdim=True)
        state["pos_conv.weight"] = state.pop("pos_conv.weight_g") * direction / norm
    model = Beats(config)
    require(model, state, "audio encoder")
    return model.eval().requires_grad_(False)


def _our_name(key: str) -> str:
    key = key.replace("encoder.layers.0.self_attn.relative_attention_bias.", "position_bias.")
    key = key.replace("encoder.pos_conv.0.", "pos_conv.")
    key = key.replace("encoder.layer_norm.", "input_layer_norm.")
    return key.removeprefix("encoder.")
