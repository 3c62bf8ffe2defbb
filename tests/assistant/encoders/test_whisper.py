import io
import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
import whisper
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper.model import ModelDimensions

from assistant.encoders.attention import KeyValues
from assistant.encoders.whisper import WhisperWeights, from_ctranslate2, load_whisper
from assistant.errors import CheckpointError, ComponentError
from assistant.parts.tiny import toy_whisper

DIMS = ModelDimensions(80, 1500, 64, 1, 2, 100, 16, 64, 1, 2)


@pytest.fixture(scope="module")
def original() -> whisper.Whisper:
    """openai-whisper's own class with random weights: the truth for all three formats."""
    torch.manual_seed(5)
    model = whisper.Whisper(DIMS).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter).mul_(0.1).half().float()
    return model


def check_same(weights: WhisperWeights, original: whisper.Whisper) -> None:
    mel = torch.randn(80, 3000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(
            weights.encoder()(mel), original.encoder(mel[None])[0], atol=1e-4, rtol=0
        )
        state = {k: v.float() for k, v in weights.state.items()}
        twin = whisper.Whisper(weights.dims).eval()
        missing, unexpected = twin.load_state_dict(state, strict=False)
        assert set(missing) <= {"encoder.positional_embedding"}
        assert not unexpected
        tokens, audio = torch.tensor([[1, 2, 3]]), torch.randn(1, 1500, 64)
        torch.testing.assert_close(
            twin.decoder(tokens, audio), original.decoder(tokens, audio), atol=1e-4, rtol=0
        )


def test_openai_file(tmp_path: Path, original: whisper.Whisper) -> None:
    content = {"dims": DIMS.__dict__, "model_state_dict": original.state_dict()}
    torch.save(content, tmp_path / "base.pt")
    check_same(load_whisper(tmp_path / "base.pt"), original)


def test_hugging_face_folder(tmp_path: Path, original: whisper.Whisper) -> None:
    names = [
        ("mlp.0.", "fc1."), ("mlp.2.", "fc2."), ("cross_attn_ln.", "encoder_attn_layer_norm."),
        ("attn_ln.", "self_attn_layer_norm."), ("mlp_ln.", "final_layer_norm."),
        ("cross_attn.", "encoder_attn."), (".attn.", ".self_attn."), ("query.", "q_proj."),
        ("key.", "k_proj."), ("value.", "v_proj."), (".out.", ".out_proj."),
        ("blocks.", "layers."), ("encoder.ln_post.", "encoder.layer_norm."),
        ("decoder.ln.", "decoder.layer_norm."), ("token_embedding.", "embed_tokens."),
        ("positional_embedding", "embed_positions.weight"),
    ]  # fmt: skip
    state = {}
    for key, tensor in original.state_dict().items():
        for ours, theirs in names:
            key = key.replace(ours, theirs)
        state[f"model.{key}"] = tensor.contiguous()
    config = {
        "model_type": "whisper", "num_mel_bins": 80, "max_source_positions": 1500, "d_model": 64,
        "encoder_attention_heads": 1, "encoder_layers": 2, "vocab_size": 100,
        "max_target_positions": 16, "decoder_attention_heads": 1, "decoder_layers": 2,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    check_same(load_whisper(tmp_path), original)


def ctranslate2_bytes(model: whisper.Whisper, kind: int = 4) -> bytes:
    """The model as CTranslate2's converter lays it out, in fp16."""
    state = {k: v.half() for k, v in model.state_dict().items()}
    variables: dict[str, torch.Tensor] = {}

    def norm(theirs: str, ours: str) -> None:
        variables[f"{theirs}/gamma"] = state[f"{ours}.weight"]
        variables[f"{theirs}/beta"] = state[f"{ours}.bias"]

    def linear(theirs: str, *ours: str) -> None:
        weights = [state[f"{name}.weight"] for name in ours]
        biases = [
            state.get(f"{name}.bias", torch.zeros(len(w)))
            for name, w in zip(ours, weights, strict=True)
        ]
        variables[f"{theirs}/weight"] = torch.cat(weights)
        variables[f"{theirs}/bias"] = torch.cat([b.half() for b in biases])

    for side in ("encoder", "decoder"):
        for i in range(2):
            a, b = f"{side}/layer_{i}", f"{side}.blocks.{i}"
            norm(f"{a}/self_attention/layer_norm", f"{b}.attn_ln")
            linear(f"{a}/self_attention/linear_0", *(f"{b}.attn.{x}" for x in QKV))
            linear(f"{a}/self_attention/linear_1", f"{b}.attn.out")
            norm(f"{a}/ffn/layer_norm", f"{b}.mlp_ln")
            linear(f"{a}/ffn/linear_0", f"{b}.mlp.0")
            linear(f"{a}/ffn/linear_1", f"{b}.mlp.2")
            if side == "decoder":
                norm(f"{a}/attention/layer_norm", f"{b}.cross_attn_ln")
                linear(f"{a}/attention/linear_0", f"{b}.cross_attn.query")
                linear(f"{a}/attention/linear_1", f"{b}.cross_attn.key", f"{b}.cross_attn.value")
                linear(f"{a}/attention/linear_2", f"{b}.cross_attn.out")
        variables[f"{side}/position_encodings/encodings"] = state[f"{side}.positional_embedding"]
    norm("encoder/layer_norm", "encoder.ln_post")
    norm("decoder/layer_norm", "decoder.ln")
    for conv in ("conv1", "conv2"):
        variables[f"encoder/{conv}/weight"] = state[f"encoder.{conv}.weight"]
        variables[f"encoder/{conv}/bias"] = state[f"encoder.{conv}.bias"]
    variables["decoder/embeddings/weight"] = state["decoder.token_embedding.weight"]

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables) + 1)
    for key, tensor in variables.items():
        data = tensor.contiguous().numpy().tobytes()
        out += text(key) + struct.pack("<B", tensor.ndim)
        out += b"".join(struct.pack("<I", d) for d in tensor.shape)
        out += struct.pack("<BI", kind, len(data)) + data
    return out + text("encoder/num_heads") + struct.pack("<BBI", 0, 1, 1) + b"\1"


QKV = ("query", "key", "value")


def test_ctranslate2_file(tmp_path: Path, original: whisper.Whisper) -> None:
    (tmp_path / "model.bin").write_bytes(ctranslate2_bytes(original))
    check_same(load_whisper(tmp_path / "model.bin"), original)


def test_ctranslate2_files_of_other_kinds_are_refused(original: whisper.Whisper) -> None:
    whole = ctranslate2_bytes(original)
    with pytest.raises(ComponentError, match="is not fp16"):
        from_ctranslate2(io.BytesIO(ctranslate2_bytes(original, kind=1)), "x")
    with pytest.raises(ComponentError, match="binary version 6"):
        from_ctranslate2(io.BytesIO(struct.pack("<I", 5) + whole[4:]), "x")
    with pytest.raises(ComponentError, match="cut off"):
        from_ctranslate2(io.BytesIO(whole[: len(whole) // 2]), "x")
    with pytest.raises(ComponentError):
        from_ctranslate2(io.BytesIO(b"no"), "x")


def test_nothing_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="no Whisper file or folder"):
        load_whisper(tmp_path / "none")
    torch.save({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(ComponentError, match="no dims"):
        load_whisper(tmp_path / "x.pt")


def test_a_missing_key_is_named() -> None:
    encoder = toy_whisper(0)
    state = {k: v for k, v in encoder.state_dict().items() if k != "encoder.ln_post.bias"}
    dims = ModelDimensions(80, 1500, 32, 4, 2, 64, 16, 32, 4, 2)
    with pytest.raises(CheckpointError, match=r"missing encoder\.ln_post\.bias \(32,\)"):
        WhisperWeights(dims, state).encoder()


def test_full_attention_is_openai_whispers_encoder() -> None:
    encoder = toy_whisper(1)
    mel = torch.randn(80, 3000)
    expected = encoder.encoder(mel[None])[0]
    torch.testing.assert_close(encoder(mel), expected, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(blocks=st.integers(1, 5), tail=st.integers(1, 8), seed=st.integers(0, 99))
def test_block_by_block_equals_one_masked_pass(blocks: int, tail: int, seed: int) -> None:
    encoder = toy_whisper(2)
    n = 8 * (blocks - 1) + tail
    mel = torch.randn(80, 2 * n + 1, generator=torch.Generator().manual_seed(seed))
    x = encoder.stem(mel, first=True)
    whole = encoder.attend(x, KeyValues(), block=8)
    past = KeyValues()
    parts = [encoder.attend(piece, past, block=8) for piece in x.split(8)]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=0)
    # and the mask is what it says: what comes later changes nothing earlier
    cut = encoder.attend(x[: 8 * (blocks - 1)], KeyValues(), block=8) if blocks > 1 else x[:0]
    torch.testing.assert_close(whole[: len(cut)], cut, atol=1e-5, rtol=0)


def test_stem_of_a_stream_equals_stem_of_the_whole() -> None:
    encoder = toy_whisper(3)
    mel = torch.randn(80, 2 * 24 + 1)
    whole = encoder.stem(mel, first=True)
    first, rest = encoder.stem(mel[:, :17], True), encoder.stem(mel[:, 14:], False)
    torch.testing.assert_close(torch.cat([first, rest]), whole, atol=1e-6, rtol=0)


def test_positions_end_at_the_horizon() -> None:
    encoder = toy_whisper(4)
    encoder.attend(torch.zeros(1500, 32), KeyValues(), block=8)
    with pytest.raises(ValueError, match="exceed the horizon of 1500"):
        encoder.attend(torch.zeros(1501, 32), KeyValues(), block=8)
