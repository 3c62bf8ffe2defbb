"""The ear: streamed equals offline, however it is cut, and nothing is lost."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import AlignerConfig, EncodingConfig, ModelConfig, QFormerConfig
from assistant.ear.ear import Ear
from assistant.encoders.attention import KeyValues
from assistant.encoders.blocks import MelBlocks, mel_span
from assistant.files.presets import load_preset, shipped_config
from assistant.parts.build import build_ear
from assistant.rates import FEATURE_SAMPLES, MARGIN
from tests.laws import cuts

TINY = load_preset(shipped_config(), "tiny")[1]
WINDOW = 5120
BLOCK = 2 * WINDOW
TOLERANCE = 1e-5


def make(config: ModelConfig = TINY, **encoding: object) -> Ear:
    changed = config.encoding.model_copy(update=encoding)
    return build_ear(config.model_copy(update={"encoding": changed}), llm_width=24)


def published_windows(**encoding: object) -> Ear:
    """17-feature windows, one query, recompute mode, as in the published checkpoints."""
    aligner = AlignerConfig(qformer=QFormerConfig(layers=2, width=32, heads=4, mlp_width=64))
    settings = EncodingConfig.model_validate({"mode": "recompute", **encoding})
    config = TINY.model_copy(update={"aligner": aligner, "encoding": settings})
    return build_ear(config, llm_width=24)


CACHED = make()
AFTER_SILENCE = make(silence_blocks=2)
ALONE = TINY.model_copy(update={"audio_encoder": None})
AHEAD = make(ALONE, look_ahead_windows=1, silence_blocks=1)
RECOMPUTE = published_windows(block_windows=2, left_context_s=1.0, look_ahead_s=0.3)


def sound(n: int, seed: int = 0) -> torch.Tensor:
    """Noise whose level jumps about, so that the running mel maximum moves."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(10 ** rng.uniform(-3, -0.5, n // 4000 + 1), 4000)[:n]
    return torch.from_numpy((levels * rng.standard_normal(n)).astype(np.float32))


def stream(ear: Ear, pieces: list[torch.Tensor]) -> torch.Tensor:
    heard = ear.stream()
    return torch.cat([*(heard.push(piece) for piece in pieces), heard.flush()])


LENGTHS = st.one_of(
    st.integers(1, 9 * BLOCK),
    st.sampled_from([1, 239, 240, 241, WINDOW - 1, WINDOW, WINDOW + 1, BLOCK + 239, BLOCK + 240]),
)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=LENGTHS, seed=st.integers(0, 9), ear=st.sampled_from([0, 1, 2]))
def test_cached_stream_equals_one_offline_pass(
    data: st.DataObject, n: int, seed: int, ear: int
) -> None:
    cached, samples = (CACHED, AFTER_SILENCE, AHEAD)[ear], sound(n, seed)
    pieces = [samples[cut] for cut in data.draw(cuts(n))]
    streamed = stream(cached, pieces)
    torch.testing.assert_close(streamed, cached.hear(samples), atol=TOLERANCE, rtol=0)
    assert torch.equal(streamed, stream(cached, [samples])), "cutting changed a bit"
    whole = cached.stream()
    whole.push(samples)
    speech = [whole.speech]
    whole.flush()
    speech.append(whole.speech)
    features = cached.encode_blocks(samples)[0][:, : cached.speech_encoder.own_width]
    torch.testing.assert_close(torch.cat(speech), features, atol=TOLERANCE, rtol=0)


def test_a_stream_begins_where_silence_was_heard() -> None:
    encoder, block = AFTER_SILENCE.speech_encoder, BLOCK // FEATURE_SAMPLES
    mel = MelBlocks(encoder.n_mels, block)
    start, end = mel_span(0, block)
    heard = encoder.stem(mel.push(F.pad(sound(BLOCK), (0, MARGIN))[start:end]), first=True)
    silence = torch.full((encoder.n_mels, 4 * block + 1), -0.75)
    past = KeyValues()
    encoder.attend(encoder.stem(silence, first=True), past, block)
    wanted = encoder.attend(heard, KeyValues(past.layers, past.length, past.length), block)
    features, _ = AFTER_SILENCE.encode_blocks(sound(BLOCK))
    torch.testing.assert_close(features[:, : wanted.shape[1]], wanted, atol=TOLERANCE, rtol=0)
    assert not torch.allclose(features, CACHED.encode_blocks(sound(BLOCK))[0], atol=1e-3)


def test_a_block_sees_what_follows_and_later_blocks_see_it_as_ever() -> None:
    plain, encoder = make(ALONE), AHEAD.speech_encoder
    samples = sound(3 * BLOCK)
    after, block = WINDOW // FEATURE_SAMPLES, BLOCK // FEATURE_SAMPLES
    features, _ = AHEAD.encode_blocks(samples)
    start, end = mel_span(0, block)
    last, final = mel_span(block, block + after)
    mel = MelBlocks(encoder.n_mels, block)
    heard = encoder.stem(mel.push(samples[start:end]), first=True)
    follows = encoder.stem(mel.fork().push(samples[last:final]), first=False)
    past = AHEAD.silent_past()
    wanted = encoder.attend(torch.cat([heard, follows]), past, block + after)
    torch.testing.assert_close(features[:block], wanted[:block], atol=TOLERANCE, rtol=0)
    without = make(ALONE, silence_blocks=1).encode_blocks(samples)[0]
    for at, same in ((0, False), (block, False), (2 * block, True)):
        alike = torch.allclose(features[at : at + block], without[at : at + block], atol=1e-3)
        assert alike == same or at == 2 * block
    assert plain.looks_ahead == 0
    other = samples.clone()
    other[BLOCK + WINDOW + 400 :] = 0
    torch.testing.assert_close(AHEAD.encode_blocks(other)[0][:block], features[:block])


@pytest.mark.parametrize("heard", [-1, 0])
def test_a_block_that_looks_ahead_waits(heard: int) -> None:
    tokens = AHEAD.stream().push(sound(BLOCK + WINDOW + 240 + heard))
    assert len(tokens) == (4 if heard == 0 else 0)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), n=LENGTHS)
def test_recompute_stream_does_not_depend_on_the_cutting(data: st.DataObject, n: int) -> None:
    samples = sound(n)
    pieces = [samples[cut] for cut in data.draw(cuts(n))]
    assert torch.equal(stream(RECOMPUTE, pieces), stream(RECOMPUTE, [samples]))


@pytest.mark.parametrize("ear", [CACHED, RECOMPUTE], ids=["cached", "recompute"])
def test_flush_and_reset_leave_a_stream_as_new(ear: Ear) -> None:
    samples = sound(3 * BLOCK + 77)
    expected = stream(ear, [samples])
    heard = ear.stream()
    heard.push(samples)
    heard.flush()
    assert torch.equal(torch.cat([heard.push(samples), heard.flush()]), expected)
    heard.push(samples[:BLOCK])
    heard.reset()
    assert torch.equal(torch.cat([heard.push(samples), heard.flush()]), expected)
    assert heard.flush().shape == (0, 24)


@pytest.mark.parametrize(
    ("n", "windows"),
    [(0, 0), (1, 1), (WINDOW, 1), (WINDOW + 1, 2), (BLOCK, 2), (BLOCK + 1, 3), (20 * WINDOW, 20)],
)
def test_every_sample_falls_into_a_window(n: int, windows: int) -> None:
    assert len(stream(CACHED, [sound(n)])) == 2 * windows
    if n:
        assert len(CACHED.hear(sound(n))) == 2 * windows


def test_every_sample_matters() -> None:
    """Conservation: silence one stretch, and tokens of that stretch change."""
    samples = sound(4 * BLOCK)
    whole = CACHED.hear(samples)
    for at in range(0, len(samples), 1600):
        changed = samples.clone()
        changed[at : at + 1600] = 0
        difference = (CACHED.hear(changed) - whole).abs().amax(1)
        first = at // BLOCK * 4  # tokens per block: 2 windows of 2
        assert difference[first : first + 4].max() > 1e-4
        assert not difference[: max(0, first - 4)].any()  # and no earlier block but the neighbour


@pytest.mark.parametrize(("heard", "tokens"), [(BLOCK + 239, 0), (BLOCK + 240, 4)])
def test_a_block_is_encoded_as_soon_as_its_samples_are_there(heard: int, tokens: int) -> None:
    assert len(CACHED.stream().push(sound(heard))) == tokens


@pytest.mark.parametrize(("extra", "tokens"), [(-1, 0), (0, 2)])
def test_recompute_waits_for_its_look_ahead(extra: int, tokens: int) -> None:
    block = 2 * 17 * 320
    assert len(RECOMPUTE.stream().push(sound(block + 4800 + extra))) == tokens


def test_anchors_bound_the_past() -> None:
    """Beyond the horizon a stream forgets: what came long before changes nothing."""
    n = 13 * BLOCK  # the horizon is 6 blocks, new anchors begin with 2
    samples = sound(n)
    other = torch.cat([sound(BLOCK, seed=5), samples[BLOCK:]])
    other[:BLOCK].clamp_(-0.01, 0.01)  # quieter than what follows: the mel maximum stays
    a, b = CACHED.hear(samples), CACHED.hear(other)
    assert (a[: 6 * 4] - b[: 6 * 4]).abs().max() > 1e-4
    torch.testing.assert_close(a[-4:], b[-4:], atol=TOLERANCE, rtol=0)


def test_published_clips_have_88_tokens_and_longer_ones_go_on() -> None:
    ear = published_windows()
    for n, tokens in [
        (1, 88), (480_000, 88), (480_001, 89), (2 * 478_720, 176), (2 * 478_720 + 1000, 177),
        (2 * 480_000, 177),
    ]:  # fmt: skip
        assert len(ear.hear(sound(n))) == tokens
    long = sound(2 * 478_720)
    torch.testing.assert_close(ear.hear(long)[:88], ear.hear(long[:480_000]), atol=1e-5, rtol=0)


def test_recompute_with_all_context_is_near_the_full_pass() -> None:
    """Unbounded context and no 30 s padding: only the mel maximum and the edges differ."""
    ear = published_windows(left_context_s=30.0, look_ahead_s=10.0, pad_to_s=0.0)
    samples = sound(17 * 320 * 8)
    cosine = torch.nn.functional.cosine_similarity(stream(ear, [samples]), ear.hear(samples))
    assert cosine.min() > 0.99


def test_without_beats() -> None:
    ear = build_ear(TINY.model_copy(update={"audio_encoder": None}), llm_width=24)
    samples = sound(3 * BLOCK)
    torch.testing.assert_close(stream(ear, [samples]), ear.hear(samples), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("n", [16_000, 17 * 320 * 4, 17 * 320 * 4 + 1, 100_000, 479_000])
def test_without_padding_offline_has_as_many_tokens_as_the_stream(n: int) -> None:
    ear = published_windows(pad_to_s=0.0, left_context_s=1.0)
    assert len(ear.hear(sound(n))) == min(88, len(stream(ear, [sound(n)])))


@pytest.mark.parametrize("ear", [CACHED, RECOMPUTE], ids=["cached", "recompute"])
@settings(max_examples=15, deadline=None)
@given(data=st.data(), n=LENGTHS, more=st.integers(0, 3 * BLOCK))
def test_looking_ahead_changes_nothing(ear: Ear, data: st.DataObject, n: int, more: int) -> None:
    samples = sound(n + more)
    looked = ear.stream()
    tokens = [looked.push(samples[:n][cut]) for cut in data.draw(cuts(n))]
    final = len(torch.cat(tokens))
    peeked = looked.fork().flush()
    ended = ear.stream()
    ended.push(samples[:n])
    assert torch.equal(peeked, ended.flush())
    assert torch.equal(peeked, looked.fork().flush()), "looking twice sees the same"
    rest = torch.cat([looked.push(samples[n:]), looked.flush()])
    assert torch.equal(torch.cat([*tokens, rest]), stream(ear, [samples]))
    assert final + len(peeked) == len(stream(ear, [samples[:n]]))
