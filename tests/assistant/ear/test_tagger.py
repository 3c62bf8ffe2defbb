"""Sound events: one step either side of the thresholds, and the same however samples are cut."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import ModelConfig, PartConfig
from assistant.conversation import Conversation
from assistant.ear.hearing import Hearing
from assistant.ear.noticing import Sound
from assistant.ear.tagger import (
    BEGINS,
    UNKNOWN_SOUND,
    Onsets,
    SoundTagger,
    WindowTagger,
    load_tagger,
    pool_windows,
    save_tagger,
)
from assistant.errors import ComponentError, ConfigError
from assistant.model import Salmonn
from assistant.parts.build import build_ear, build_tagger
from assistant.parts.tiny import toy_tagger
from tests.assistant.ear.test_ear import BLOCK, CACHED, sound
from tests.laws import cuts


@pytest.mark.parametrize(
    ("heard", "begins"),
    [
        ([0.49], [0]),
        ([0.5], [1]),
        ([0.5, 0.9, 0.9], [1, 0, 0]),
        ([0.5, 0.25, 0.5], [1, 0, 0]),
        ([0.5, 0.24, 0.5], [1, 0, 1]),
        ([0.5, None, 0.5], [1, 0, 1]),  # silence
    ],
)
def test_a_sound_is_told_once_until_it_has_ended(
    heard: list[float | None], begins: list[int]
) -> None:
    onsets = Onsets()
    assert [len(onsets.push({} if p is None else {"dog": p})) for p in heard] == begins


def test_the_likeliest_comes_first() -> None:
    assert Onsets().push({"a": 0.6, "b": 0.1, "c": 0.9}) == [("c", 0.9), ("a", 0.6)]


@settings(max_examples=20, deadline=None)
@given(data=st.data(), blocks=st.lists(st.booleans(), min_size=1, max_size=6))
def test_events_do_not_depend_on_the_cutting(data: st.DataObject, blocks: list[bool]) -> None:
    tagger = toy_tagger(7, CACHED.feature_width)
    samples = torch.cat([sound(BLOCK, i) * on for i, on in enumerate(blocks)] + [sound(BLOCK)])

    def told(pieces: list[torch.Tensor]) -> list[Sound]:
        hearing = Hearing(CACHED, tagger=tagger)
        return [s for piece in pieces for _ in [hearing.push(piece)] for s in hearing.sounds]

    wanted = told([*samples.split(BLOCK)])
    assert told([samples[cut] for cut in data.draw(cuts(len(samples)))]) == [
        s for s in wanted if s.end + CACHED.ahead <= len(samples)
    ]
    assert all(s.begin % BLOCK == 0 and s.end - s.begin == BLOCK for s in wanted)


def test_a_block_is_judged_by_the_encoders_features() -> None:
    tagger = toy_tagger(7, CACHED.feature_width)
    hearing = Hearing(CACHED, tagger=tagger)
    hearing.push(sound(BLOCK + CACHED.ahead))
    speech, audio = CACHED.encode_blocks(sound(BLOCK + CACHED.ahead))
    assert audio is not None
    features = torch.cat([speech, audio], 1)[: BLOCK // 320]
    likely = {name: p for name, p in tagger.probabilities(features).items() if p >= 0.5}
    assert {s.name: pytest.approx(s.probability) for s in hearing.sounds} == likely != {}


def test_a_tagger_is_written_and_read(tmp_path: Path) -> None:
    tagger = SoundTagger(["rain", "dog barking"], 6)
    save_tagger(tagger, tmp_path / "t.safetensors")
    again = load_tagger(tmp_path / "t.safetensors")
    features = torch.randn(5, 6)
    assert again.names == ["rain", "dog barking"]
    torch.testing.assert_close(again(features), tagger(features), atol=5e-3, rtol=0)
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ComponentError, match="not a sound tagger"):
        load_tagger(tmp_path / "x.safetensors")


def test_a_tagger_for_other_encoders_is_refused(tiny_config: ModelConfig, tmp_path: Path) -> None:
    save_tagger(SoundTagger(["rain"], 6), tmp_path / "t.safetensors")
    part = PartConfig(weights=[str(tmp_path / "t.safetensors")])
    config = tiny_config.model_copy(update={"sound_tagger": part})
    with pytest.raises(ComponentError, match="sound_tagger: .* other encoders"):
        build_tagger(config, build_ear(config))


def test_without_a_tagger_the_setting_is_named(tiny: Salmonn) -> None:
    deaf = Salmonn(tiny.config, tiny.ear, tiny.llm, tiny.prompt, [])
    with pytest.raises(ConfigError, match=r"turns\.sound_events"):
        Conversation(deaf, "x", sound_events=True)


def test_a_conversation_tells_what_it_hears(tiny: Salmonn) -> None:
    talk = Conversation(tiny, "x", sound_events=True)
    talk.hear(sound(BLOCK + CACHED.ahead).numpy())
    assert [(begin, end) for begin, end, _, _ in talk.sounds()] == [(0, BLOCK)] * len(talk.sounds())
    assert talk.sounds()
    talk.hear(sound(10).numpy())
    assert talk.sounds() == []


# --- windows and families

FAMILIES = {"crow": "bird", "owl": "bird"}


def window_tagger() -> WindowTagger:
    """Of two birds, rain, the family and what is unknown; it has learned nothing."""
    names = ["crow", "owl", "rain", "bird", UNKNOWN_SOUND]
    tagger = WindowTagger(names, 2, 5, FAMILIES, window=2, hidden=3)
    return tagger.eval().requires_grad_(False)


def told(tagger: WindowTagger, **logits: float) -> dict[str, float]:
    """What it says where its last layer gives these logits, and -9 for all others."""
    tagger.head.weight.zero_()
    wanted = [logits.get(name.split()[0], -9.0) for name in tagger.names]
    tagger.head.bias.copy_(torch.tensor(wanted))
    found = tagger.probabilities(torch.zeros(4, 7))
    return {name: p for name, p in found.items() if p >= BEGINS}


def layers(tagger: WindowTagger, standard: torch.Tensor) -> torch.Tensor:
    """Both layers of a span that is standardised already."""
    inner = tagger.inner.weight @ standard + tagger.inner.bias
    return tagger.head.weight @ torch.nn.functional.gelu(inner) + tagger.head.bias


def test_a_family_is_named_where_no_class_of_it_is_sure() -> None:
    tagger = window_tagger()
    assert told(tagger, bird=3, crow=-1).keys() == {"bird"}
    assert told(tagger, bird=3, crow=1).keys() == {"crow"}
    assert told(tagger, bird=3, rain=1).keys() == {"bird", "rain"}
    assert told(tagger, unknown=1).keys() == {UNKNOWN_SOUND}
    assert told(tagger, unknown=1, rain=1).keys() == {"rain"}
    assert told(tagger, unknown=1, bird=1).keys() == {"bird"}


def test_the_last_layer_is_left_out_and_nothing_is_further_than_the_furthest() -> None:
    tagger = window_tagger()
    features = torch.arange(35.0).view(5, 7)
    pooled = torch.cat([features[:, 2:].mean(0), features[:, 2:].amax(0)])
    tagger.mean.copy_(pooled - 1)
    torch.testing.assert_close(tagger(features), layers(tagger, torch.ones(10)))
    features[:, :2] = 99
    torch.testing.assert_close(tagger(features), layers(tagger, torch.ones(10)))
    tagger.spread.fill_(1e-9)
    torch.testing.assert_close(tagger(features), layers(tagger, torch.full((10,), 5.0)))


def test_windows_are_pooled() -> None:
    windows = pool_windows(torch.arange(10.0).view(5, 2), 2)
    torch.testing.assert_close(windows, torch.tensor([[1.0, 2, 2, 3], [5, 6, 6, 7]]))


def test_a_window_tagger_is_written_and_read(tmp_path: Path) -> None:
    tagger = WindowTagger(["crow", "bird"], 3, 5, {"crow": "bird"}, 2, 4)
    save_tagger(tagger, tmp_path / "t.safetensors")
    again = load_tagger(tmp_path / "t.safetensors")
    assert isinstance(again, WindowTagger)
    assert (again.names, again.families) == (["crow", "bird"], {"crow": "bird"})
    assert (again.since, again.window, again.reach) == (3, 2, 8)
    features = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again(features), tagger(features), atol=5e-3, rtol=0)
    assert again.extent(features).keys() == {"crow", "bird"}


class Loud(WindowTagger):
    """A tagger that hears how large the first number is, for a class within a block."""

    def __init__(self) -> None:
        window = CACHED.aligner.config.window_features
        super().__init__(["loud"], 0, CACHED.feature_width, {}, window, 1)

    def logits(self, pooled: torch.Tensor) -> torch.Tensor:
        return (pooled[..., CACHED.feature_width, None] - self.level) * 1000

    level = 0.0


def test_a_sound_begins_and_ends_at_windows_and_goes_on_over_blocks() -> None:
    tagger, window = Loud(), CACHED.spans.window
    features = CACHED.features(sound(2 * BLOCK))
    by_window = features.view(-1, tagger.window, features.shape[1])[..., 0].amax(1).detach()
    tagger.level = float(by_window.sort().values[len(by_window) // 2]) - 1e-3
    hearing = Hearing(CACHED, tagger=tagger)
    hearing.push(torch.cat([sound(2 * BLOCK), torch.zeros(CACHED.ahead)]))
    at = [i for i, on in enumerate((by_window >= tagger.level).tolist()) if on]
    (found,) = hearing.noticed
    assert (found.begin, found.end) == (at[0] * window, (at[-1] + 1) * window)
    hearing.forget(0, 3 * BLOCK)
    assert hearing.noticed == []
    hearing.push(sound(BLOCK))
    assert [found.name for found in hearing.sounds] == ["loud"]


@pytest.mark.parametrize(
    ("before", "features", "spans"),
    [
        (0, 5, [(0, 5)]),
        (0, 8, [(0, 8)]),
        (0, 9, [(0, 8), (0, 9)]),
        (0, 16, [(0, 8), (0, 16)]),
        (8, 16, [(-8, 8), (0, 16)]),
        (3, 16, [(-3, 8), (0, 16)]),
        (8, 3, [(-8, 3)]),
        (8, 12, [(-8, 8), (-4, 12)]),
    ],
)
def test_spans_cross_into_the_next_block(
    before: int, features: int, spans: list[tuple[int, int]]
) -> None:
    tagger = window_tagger()  # eight windows of two features, every four of them
    assert tagger.before == 8
    assert tagger.spans(before, features) == spans
    assert SoundTagger(["rain"], 6).spans(8, features) == [(0, features)]


@settings(max_examples=20, deadline=None)
@given(
    data=st.data(), blocks=st.lists(st.booleans(), min_size=1, max_size=6), share=st.floats(0, 1)
)
def test_spans_do_not_depend_on_the_cutting(
    data: st.DataObject, blocks: list[bool], share: float
) -> None:
    tagger = Loud()
    samples = torch.cat([sound(BLOCK, i) * on for i, on in enumerate(blocks)] + [sound(BLOCK)])
    levels = CACHED.features(samples)[:, 0].detach()
    tagger.level = float(levels.quantile(share))

    def told(pieces: list[torch.Tensor]) -> tuple[list[Sound], list[Sound], list[Sound]]:
        hearing = Hearing(CACHED, tagger=tagger)
        begun = [s for piece in pieces for _ in [hearing.push(piece)] for s in hearing.sounds]
        hearing.peek()
        return begun, hearing.noticed, hearing.peeked

    cut = told([samples[cut] for cut in data.draw(cuts(len(samples)))])
    begun, noticed, peeked = told([samples])
    assert cut[1:] == (noticed, peeked)
    assert [(s.begin, s.name) for s in cut[0]] == [(s.begin, s.name) for s in noticed]
    assert len(begun) == len(noticed)
