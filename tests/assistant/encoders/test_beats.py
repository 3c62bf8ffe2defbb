import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.parametrizations import weight_norm

from assistant.encoders.beats import Beats, BeatsConfig, _bucket, build_beats
from assistant.errors import CheckpointError, ComponentError
from assistant.parts.tiny import toy_beats

CFG = {
    "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 4, "embed_dim": 16, "input_patch_size": 16, "max_distance": 800,
    "relative_position_embedding": True, "gru_rel_pos": True, "deep_norm": True,
    "encoder_layerdrop": 0.05, "finetuned_model": True,
}  # fmt: skip


def published(model: Beats) -> dict[str, torch.Tensor]:
    """The model's tensors under the names of a published file, with old-style weight norm."""
    state = {}
    for key, tensor in model.state_dict().items():
        key = key.replace("position_bias.", "layers.0.self_attn.relative_attention_bias.")
        key = key.replace("input_layer_norm.", "layer_norm_of_encoder.")
        if key.startswith(("layers.", "pos_conv.", "layer_norm_of_encoder.")):
            key = f"encoder.{key}".replace("layer_norm_of_encoder.", "layer_norm.")
        state[key.replace("pos_conv.", "pos_conv.0.")] = tensor
    conv = weight_norm(torch.nn.Conv1d(32, 32, 128, groups=16), dim=2)
    state["encoder.pos_conv.0.weight_g"] = conv.parametrizations.weight.original0.detach()
    state["encoder.pos_conv.0.weight_v"] = conv.parametrizations.weight.original1.detach()
    model.pos_conv.weight.data = conv.weight.detach().clone()
    del state["encoder.pos_conv.0.weight"]
    state["predictor.weight"] = torch.zeros(527, 32)
    state["encoder.layers.1.self_attn.relative_attention_bias.weight"] = torch.zeros(320, 4)
    return state


def test_a_published_file_gives_the_same_model() -> None:
    model = toy_beats(1)
    loaded = build_beats(CFG, published(model), "x")
    fbank = torch.randn(64, 128)
    torch.testing.assert_close(loaded(fbank), model(fbank), atol=1e-5, rtol=0)


def test_missing_keys_and_unknown_kinds_are_named() -> None:
    state = published(toy_beats(1))
    del state["encoder.layers.1.fc1.bias"]
    with pytest.raises(CheckpointError, match=r"layers\.1\.fc1\.bias"):
        build_beats(CFG, state, "x")
    for field, value in (("layer_norm_first", True), ("activation_fn", "glu")):
        with pytest.raises(ComponentError, match=rf"cfg\.{field}"):
            build_beats({**CFG, field: value}, state, "x")


def test_switches_of_the_configuration_build_what_they_say() -> None:
    plain = Beats(BeatsConfig(encoder_layers=1, encoder_embed_dim=32, embed_dim=32,
                              encoder_attention_heads=4, encoder_ffn_embed_dim=8))  # fmt: skip
    assert isinstance(plain.post_extract_proj, torch.nn.Identity)
    assert not hasattr(plain, "position_bias")
    assert plain.layers[0].alpha == 1.0
    assert toy_beats(0).layers[0].alpha == pytest.approx((2 * 2) ** 0.25)
    assert plain(torch.randn(32, 128)).shape == (16, 32)


def bucket(distance: int) -> int:
    """BEATs' buckets of relative positions: 160 per sign, exact under 80, then logarithmic."""
    half = 160 if distance > 0 else 0
    size = abs(distance)
    if size < 80:
        return half + size
    far = 80 + int(math.log(size / 80) / math.log(800 / 80) * 80)
    return half + min(far, 159)


def test_position_buckets() -> None:
    distances = torch.arange(-2000, 2001)
    ours = _bucket(distances, 320, 800).tolist()
    theirs = [bucket(d) for d in distances.tolist()]
    wrong = [d for d, a, b in zip(distances.tolist(), ours, theirs, strict=True) if a != b]
    assert all(abs(d) >= 80 for d in wrong)  # logarithms in fp32 may round one edge the other way
    assert len(wrong) <= 8


@pytest.mark.parametrize(("frames", "tokens"), [(0, 0), (15, 0), (16, 8), (31, 8), (32, 16)])
def test_token_count(frames: int, tokens: int) -> None:
    assert toy_beats(1)(torch.randn(frames, 128)).shape == (tokens, 32)


def test_tokens_run_through_time_with_frequency_fastest() -> None:
    model = toy_beats(1)
    fbank = torch.zeros(32, 128)
    fbank[16:32, 32:48] = 1.0  # second column, third band
    change = (model.stem(fbank) - model.stem(torch.zeros(32, 128))).abs().sum(1)
    assert torch.nonzero(change).flatten().tolist() == [8 + 2]


@settings(max_examples=15, deadline=None)
@given(blocks=st.integers(1, 12), tail=st.sampled_from([8, 16, 24, 32]), seed=st.integers(0, 9))
def test_block_by_block_equals_one_masked_pass(blocks: int, tail: int, seed: int) -> None:
    model = toy_beats(2)
    columns = 4 * (blocks - 1) + tail // 8
    fbank = torch.randn(16 * columns, 128, generator=torch.Generator().manual_seed(seed))
    x = model.stem(fbank)
    whole = model.attend(x, model.start(), block=32)
    state = model.start()
    parts = [model.attend(piece, state, block=32) for piece in x.split(32)]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=0)
    cut = model.attend(x[: 32 * (blocks - 1)], model.start(), block=32)
    torch.testing.assert_close(whole[: len(cut)], cut, atol=1e-5, rtol=0)


def test_autocast_leaves_the_positions_right() -> None:
    """Twelve channels a group, as in nano: where CPUs have AMX, oneDNN's bf16 got those wrong."""
    torch.manual_seed(0)
    sizes = {"encoder_embed_dim": 192, "embed_dim": 192, "encoder_layers": 1}
    model = Beats(BeatsConfig.model_validate({**CFG, **sizes})).eval()
    x = torch.randn(96, 192)
    with torch.no_grad():
        right = model.attend(x, model.start(), block=32)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.attend(x, model.start(), block=32)
    assert torch.cosine_similarity(right.flatten(), found.float().flatten(), 0) > 0.999
