"""The speech encoder: Whisper's weights, read from three formats, and two ways to run them.

`forward` is Whisper as published, bidirectional over 30 s. `attend` runs the same weights under a
block-causal mask, with cached keys and values of earlier blocks.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import AudioEncoder, ModelDimensions, MultiHeadAttention

from assistant.encoders.attention import KeyValues, block_mask
from assistant.errors import ComponentError, ConfigError
from assistant.files.weights import read_state, require

State = dict[str, Tensor]


class SpeechEncoder(nn.Module):
    """Whisper's encoder.

    Attributes:
        n_mels: mel bins that the front end must have.
        width: size of a feature.
        own_width: size of the last layer's part of a feature, which comes first.
        horizon: features that the position table covers (1,500, which are 30 s).
    """

    def __init__(
        self, dims: ModelDimensions, mlp_width: int | None = None, hidden: tuple[int, ...] = ()
    ) -> None:
        """Make an encoder.

        Args:
            dims: Whisper's dimensions.
            mlp_width: size of the MLPs; None: four times the width, as in Whisper.
            hidden: layers, counted from 1, whose normalised outputs are joined to the last one's.
                Early layers distinguish sounds that the last one does not (Gong et al. 2023,
                arXiv 2307.03183).

        Raises:
            ConfigError: there is no such layer.
        """
        super().__init__()
        if any(layer > dims.n_audio_layer for layer in hidden):
            raise ConfigError(
                f"speech_encoder.hidden_layers: {list(hidden)}; it has {dims.n_audio_layer} layers"
            )
        self.n_mels = dims.n_mels
        self.hidden = hidden
        self.own_width = dims.n_audio_state
        self.width = dims.n_audio_state * (1 + len(hidden))
        self.horizon = dims.n_audio_ctx
        self.encoder = AudioEncoder(
            dims.n_mels,
            dims.n_audio_ctx,
            dims.n_audio_state,
            dims.n_audio_head,
            dims.n_audio_layer,
        )
        if mlp_width not in (None, 4 * self.own_width):
            for block in self.encoder.blocks:
                block.mlp = nn.Sequential(
                    nn.Linear(self.own_width, mlp_width),
                    nn.GELU(),
                    nn.Linear(mlp_width, self.own_width),
                )

    def forward(self, mel: Tensor) -> Tensor:
        """Encode with full attention.

        Args:
            mel: shape (n_mels, 2 n), n <= horizon.

        Returns:
            Shape (n, width).
        """
        x = F.pad(mel, (1, 1))[None]
        x = F.gelu(F.conv1d(x, self.encoder.conv1.weight, self.encoder.conv1.bias))
        x = F.gelu(self.encoder.conv2(x))[0].T
        return self.attend(x, KeyValues(), block=len(x))

    def stem(self, mel: Tensor, first: bool) -> Tensor:
        """The two convolutions, applied to a stretch of a stream.

        Feature i needs frames 2i - 2 to 2i + 2. Nothing is padded on the right: the stretch must
        hold the one frame after the last feature's own two.

        Args:
            mel: (n_mels, 2 n + 1), the frames of n features and the one after, when `first`;
                (n_mels, 2 n + 3), with two frames before them, otherwise.
            first: whether the stretch begins the stream; then it is padded with zeros on the left,
                as in Whisper.

        Returns:
            Shape (n, own_width).
        """
        encoder = self.encoder
        x = F.pad(mel, (1, 0))[None] if first else mel[None]
        x = F.gelu(F.conv1d(x, encoder.conv1.weight, encoder.conv1.bias))
        x = F.pad(x, (1, 0)) if first else x
        x = F.gelu(F.conv1d(x, encoder.conv2.weight, encoder.conv2.bias, stride=2))
        return x[0].T

    def attend(self, x: Tensor, past: KeyValues, block: int) -> Tensor:
        """Run the transformer under a block-causal mask, and append the new positions to `past`.

        Args:
            x: shape (n, own_width), from `stem`; the first row starts a block.
            past: keys and values of the stream's earlier positions.
            block: features per block.

        Returns:
            Shape (n, width).

        Raises:
            ValueError: the stream would go beyond the position table.
        """
        start, new = past.length - past.before, len(x)
        if start + new > self.horizon:
            raise ValueError(f"{start + new} features exceed the horizon of {self.horizon}")
        mask = block_mask(new, past.length, block, x.device)
        x = (x + self.encoder.positional_embedding[start : start + new])[None]
        joined = []
        for i, layer in enumerate(self.encoder.blocks):
            x = x + _attention(layer.attn, layer.attn_ln(x), past, i, mask)
            x = x + layer.mlp(layer.mlp_ln(x))
            if i + 1 in self.hidden:
                joined.append(F.layer_norm(x, x.shape[-1:]))
        past.length += new
        return torch.cat([self.encoder.ln_post(x), *joined], -1)[0]


class SpeechBlocks:
    """Adapts `SpeechEncoder` to the protocol `BlockEncoder`."""

    def __init__(self, encoder: SpeechEncoder, past: KeyValues) -> None:
        """Args:
        encoder: shared weights.
        past: what streams begin with.
        """
        self._encoder, self._past = encoder, past

    def start(self) -> KeyValues:
        """The state of a stream that has heard nothing but the past."""
        return self._past.fork()

    def attend(self, x: Tensor, state: KeyValues, block: int) -> Tensor:
        """Encode whole blocks `x` (n, width), of which the last may be short, and advance
        `state`."""
        return self._encoder.attend(x, state, block)

    def look_ahead(self, x: Tensor, state: KeyValues, after: int) -> Tensor:
        """Encode a block together with the `after` features that follow it, the last rows of `x`
        (n, width), and advance `state` by the block alone; (n - after, width of features)."""
        features = self._encoder.attend(x, state, block=len(x))
        state.drop(after)
        return features[: len(x) - after]


def _attention(
    module: MultiHeadAttention, x: Tensor, past: KeyValues, layer: int, mask: Tensor | None
) -> Tensor:
    def heads(y: Tensor) -> Tensor:
        return y.view(*y.shape[:2], module.n_head, -1).transpose(1, 2)

    keys, values = past.extend(layer, heads(module.key(x)), heads(module.value(x)))
    mixed = F.scaled_dot_product_attention(heads(module.query(x)), keys, values, attn_mask=mask)
    out: Tensor = module.out(mixed.transpose(1, 2).flatten(2))
    return out


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """The weights of a Whisper model by openai-whisper's names; the decoder may be missing."""

    dims: ModelDimensions
    state: State
    """Tensors `encoder.*` and, if the file has them, `decoder.*`."""

    @property
    def has_decoder(self) -> bool:
        """Whether the weights include the decoder's."""
        return "decoder.token_embedding.weight" in self.state

    def encoder(self, hidden: tuple[int, ...] = ()) -> SpeechEncoder:
        """Build the encoder, frozen and in fp32.

        Args:
            hidden: layers to join to the last one, see `SpeechEncoder`.

        Raises:
            CheckpointError: keys are missing or have another shape.
            ConfigError: there is no such layer.
        """
        first = self.state.get("encoder.blocks.0.mlp.0.weight")
        model = SpeechEncoder(self.dims, None if first is None else len(first), hidden)
        state = {k: v.float() for k, v in self.state.items() if k.startswith("encoder.")}
        state.setdefault("encoder.positional_embedding", model.encoder.positional_embedding)
        require(model, state, "speech encoder")
        return model.eval().requires_grad_(False)


def load_whisper(path: Path) -> WhisperWeights:
    """Read an OpenAI `.pt`, a Hugging Face Whisper folder, or a CTranslate2 fp16 `model.bin`.

    Raises:
        ComponentError: the path is none of these.
    """
    if path.is_dir() and (path / "config.json").is_file():
        return _from_hugging_face(path)
    if path.is_file() and path.suffix == ".pt":
        file = read_state(path)
        if not {"dims", "model_state_dict"} <= file.keys():
            raise ComponentError(f"{path}: not an OpenAI Whisper file (no dims, model_state_dict)")
        return WhisperWeights(ModelDimensions(**file["dims"]), file["model_state_dict"])
    if path.is_file():
        with path.open("rb") as stream:
            return from_ctranslate2(stream, str(path))
    raise ComponentError(f"{path}: no Whisper file or folder there")


def _from_hugging_face(path: Path) -> WhisperWeights:
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "whisper":
        raise ComponentError(f"{path}: config.json is not that of a Whisper model")
    dims = ModelDimensions(
        n_mels=config["num_mel_bins"],
        n_audio_ctx=config["max_source_positions"],
        n_audio_state=config["d_model"],
        n_audio_head=config["encoder_attention_heads"],
        n_audio_layer=config["encoder_layers"],
        n_vocab=config["vocab_size"],
        n_text_ctx=config["max_target_positions"],
        n_text_state=config["d_model"],
        n_text_head=config["decoder_attention_heads"],
        n_text_layer=config["decoder_layers"],
    )
    state = {_openai_name(k): v for k, v in read_state(path).items()}
    return WhisperWeights(dims, state)


_HUGGING_FACE_NAMES = (
    ("model.", ""),
    (".layers.", ".blocks."),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    ("encoder.embed_positions.weight", "encoder.positional_embedding"),
    ("decoder.embed_positions.weight", "decoder.positional_embedding"),
    ("decoder.embed_tokens.", "decoder.token_embedding."),
    (".self_attn_layer_norm.", ".attn_ln."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."),
    (".final_layer_norm.", ".mlp_ln."),
    (".self_attn.", ".attn."),
    (".encoder_attn.", ".cross_attn."),
    (".q_proj.", ".query."),
    (".k_proj.", ".key."),
    (".v_proj.", ".value."),
    (".out_proj.", ".out."),
    (".fc1.", ".mlp.0."),
    (".fc2.", ".mlp.2."),
)


def _openai_name(key: str) -> str:
    for theirs, ours in _HUGGING_FACE_NAMES:
        key = key.replace(theirs, ours)
    return key


def from_ctranslate2(stream: BinaryIO, name: str) -> WhisperWeights:
    """Read a CTranslate2 model file of binary version 6 whose variables are fp16.

    Layout: u32 version; spec name; u32 revision; u32 count; then per variable its name, u8 rank,
    u32 dims, u8 type (4 = fp16), u32 byte count, data. Strings are u16 length, bytes with a NUL.

    Raises:
        ComponentError: the version, specification or number type is another, or the file is cut
            off.
    """
    try:
        variables = _read_variables(stream, name)
    except struct.error as error:
        raise ComponentError(f"{name}: the CTranslate2 file is cut off") from error
    state: State = {}
    for key, tensor in variables.items():
        state.update(_from_variable(key, tensor))
    conv = state["encoder.conv1.weight"]
    width = conv.shape[0]
    layers = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("encoder.blocks."))
    vocabulary = state["decoder.token_embedding.weight"].shape[0]
    text_positions = state["decoder.positional_embedding"].shape[0]
    audio_positions = state["encoder.positional_embedding"].shape[0]
    heads = width // 64  # every Whisper has 64-wide heads
    dims = ModelDimensions(
        conv.shape[1], audio_positions, width, heads, layers,
        vocabulary, text_positions, width, heads, layers,
    )  # fmt: skip
    return WhisperWeights(dims, state)


def _read_variables(stream: BinaryIO, name: str) -> State:
    def number(layout: str) -> int:
        return int(struct.unpack(layout, stream.read(struct.calcsize(layout)))[0])

    def text() -> str:
        return stream.read(number("<H")).rstrip(b"\0").decode()

    version = number("<I")
    spec = text() if version == 6 else ""
    number("<I")  # revision of the specification; the variables below tell all we need
    if spec != "WhisperSpec":
        raise ComponentError(f"{name}: expected a CTranslate2 WhisperSpec of binary version 6")
    variables: State = {}
    for _ in range(number("<I")):
        key = text()
        shape = [number("<I") for _ in range(number("<B"))]
        kind, size = number("<B"), number("<I")
        data = stream.read(size)
        if len(data) < size:
            raise ComponentError(f"{name}: the CTranslate2 file is cut off in {key}")
        if shape and kind != 4:
            raise ComponentError(f"{name}: {key} is not fp16; convert the model with float16")
        if shape:
            variables[key] = torch.from_numpy(np.frombuffer(data, "<f2").copy()).reshape(shape)
    return variables


_CTRANSLATE2_NAMES = (
    ("/self_attention/layer_norm/", "/attn_ln/"),
    ("/attention/layer_norm/", "/cross_attn_ln/"),
    ("/ffn/layer_norm/", "/mlp_ln/"),
    ("/ffn/linear_0/", "/mlp/0/"),
    ("/ffn/linear_1/", "/mlp/2/"),
    ("encoder/layer_norm/", "encoder/ln_post/"),
    ("decoder/layer_norm/", "decoder/ln/"),
    ("/position_encodings/encodings", "/positional_embedding"),
    ("decoder/embeddings/", "decoder/token_embedding/"),
    ("/layer_", "/blocks/"),  # after every layer_norm above
    ("/gamma", "/weight"),
    ("/beta", "/bias"),
)


def _from_variable(key: str, tensor: Tensor) -> State:
    for theirs, ours in _CTRANSLATE2_NAMES:
        key = key.replace(theirs, ours)
    for attention, ours in (("/self_attention/", "/attn/"), ("/attention/", "/cross_attn/")):
        if attention in key:
            head, tail = key.split(attention)
            linear, kind = tail.split("/")
            parts = {
                ("/attn/", "linear_0"): ("query", "key", "value"),
                ("/attn/", "linear_1"): ("out",),
                ("/cross_attn/", "linear_0"): ("query",),
                ("/cross_attn/", "linear_1"): ("key", "value"),
                ("/cross_attn/", "linear_2"): ("out",),
            }[ours, linear]
            pieces = zip(parts, tensor.chunk(len(parts)), strict=True)
            # Whisper's keys have no bias; the file stores zeros there.
            return {
                f"{head}{ours}{part}/{kind}".replace("/", "."): piece
                for part, piece in pieces
                if (part, kind) != ("key", "bias")
            }
    return {key.replace("/", "."): tensor}
