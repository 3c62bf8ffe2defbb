"""The tagger of spans learns what is heard, leaves alone what is in doubt, and is careful."""

import math

import pytest
import torch

from assistant.ear.tagger import BEGINS, UNKNOWN_SOUND, WindowTagger, pool_windows
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from lab.manifest import Row
from lab.training.names import (
    CARE,
    Taught,
    calibrate,
    curve,
    doubts,
    fit,
    heard_in,
    new_tagger,
    pool_span,
    pool_spans,
    quieten,
    spans,
    window_spans,
)

SINCE, WIDTH, WINDOW = 3, 6, 4
BLOCK_S = 16 * FEATURE_SAMPLES / SAMPLE_RATE


def heard(row: Row, since: float, until: float, tagger: WindowTagger) -> dict[str, float]:
    found = heard_in(row, since, until, tagger).tolist()
    return dict(zip(tagger.names, found, strict=True))


def test_a_row_says_what_and_when() -> None:
    row = Row("", "", key="rain 0.00 5.12;dog barking 0.40 2.10;?birds singing;?water")
    assert spans(row) == [("rain", 0.0, 5.12), ("dog barking", 0.4, 2.1)]
    assert doubts(row) == ["birds singing", "water"]
    assert not spans(Row("", ""))
    assert not doubts(Row("", ""))


@pytest.mark.parametrize(
    ("key", "there"),
    [
        ("dog barking 1.00 1.13", 1),
        ("dog barking 1.00 1.11", math.nan),  # a moment
        ("dog barking 1.00 1.06;dog barking 1.50 1.56", 1),
        ("dog barking 1.00 1.02", 0),
        ("dog barking 0.00 1.00", 0),
        ("", 0),
    ],
)
def test_a_class_and_its_family_count_where_they_are_heard_for_a_while(
    key: str, there: float
) -> None:
    found = heard(Row("", "", key=key), 1.0, 2.0, new_tagger(SINCE, WIDTH, WINDOW))
    for name in ("dog barking", "animal"):
        assert found[name] == pytest.approx(there, nan_ok=True)
    assert found["rain"] == found["cow mooing"] == 0


def test_what_is_in_doubt_is_not_taught_unless_it_is_heard() -> None:
    row = Row("", "", key="dog barking 0 1;?animal;?waterfall;?no class")
    found = heard(row, 0, 1, new_tagger(SINCE, WIDTH, WINDOW))
    left = {name for name, value in found.items() if math.isnan(value)}
    assert {"cow mooing", "cat meowing", "waterfall", "water"} <= left
    assert not {"rain", "river", UNKNOWN_SOUND} & left
    assert found["dog barking"] == found["animal"] == 1


def test_the_windows_of_a_span_are_pooled_as_the_span_is() -> None:
    features = torch.randn(16, WIDTH, generator=torch.Generator().manual_seed(1))
    pooled = pool_span(pool_windows(features, WINDOW))
    torch.testing.assert_close(pooled, torch.cat([features.mean(0), features.amax(0)]))


def test_a_recording_has_the_spans_that_are_judged_live() -> None:
    tagger = new_tagger(SINCE, WIDTH, WINDOW)
    assert window_spans(tagger, 3) == [(0, 3)]
    assert window_spans(tagger, 8) == [(0, 4), (0, 8)]
    assert window_spans(tagger, 13) == [(0, 4), (0, 8), (4, 12), (5, 13)]
    features = torch.randn(13 * WINDOW, WIDTH, generator=torch.Generator().manual_seed(1))
    pooled = pool_spans(tagger, pool_windows(features, WINDOW))
    own = [features[s * WINDOW : u * WINDOW] for s, u in window_spans(tagger, 13)]
    wanted = torch.stack([torch.cat([f.mean(0), f.amax(0)]) for f in own])
    torch.testing.assert_close(pooled, wanted)


def blocks(classes: tuple[str, ...], seed: int) -> tuple[torch.Tensor, list[str]]:
    """Features of blocks, (n, 16, all widths): class i is loud in channel i of one window."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(60 * len(classes), 16, SINCE + WIDTH, generator=random)
    names = [classes[i % len(classes)] for i in range(len(features))]
    for i in range(len(features)):
        features[i, 4:8, SINCE + i % len(classes)] += 5
    return features, names


def taught(tagger: WindowTagger, classes: tuple[str, ...], seed: int) -> Taught:
    features, names = blocks(classes, seed)
    pooled = torch.stack([pool_span(pool_windows(f[:, SINCE:], WINDOW)) for f in features])
    rows = [Row("", "", key=f"{name} 0.00 {BLOCK_S}") for name in names]
    there = torch.stack([heard_in(row, 0, BLOCK_S, tagger) for row in rows])
    return Taught(pooled, there, torch.ones(len(rows)))


def test_it_learns_and_names_no_unknown_sound_too_often() -> None:
    tagger = new_tagger(SINCE, WIDTH, WINDOW)
    fit(tagger, taught(tagger, ("dog barking", "rain", "siren", UNKNOWN_SOUND), 1), epochs=100)
    features, names = blocks(("dog barking", "rain", "siren", UNKNOWN_SOUND), 2)
    calibrate(
        tagger,
        [
            (pool_span(pool_windows(f[:, SINCE:], WINDOW))[None], name)
            for f, name in zip(features, names, strict=True)
        ],
    )
    named = [{name for name, p in tagger.probabilities(f).items() if p >= BEGINS} for f in features]
    known = [(own, name) for own, name in zip(named, names, strict=True) if name != UNKNOWN_SOUND]
    assert sum(name in own for own, name in known) >= 0.9 * len(known)
    assert sum(own <= {name, *tagger.families.values()} for own, name in known) >= 0.9 * len(known)
    unknown = [own for own, name in zip(named, names, strict=True) if name == UNKNOWN_SOUND]
    assert sum(bool(own & {"dog barking", "rain", "siren"}) for own in unknown) <= 0.2 * len(
        unknown
    )
    dog = features[names.index("dog barking")]
    first, last = tagger.extent(dog)["dog barking"]
    assert (first, last) == (4, 8)


def test_the_curve_is_that_of_the_scores() -> None:
    scores = torch.linspace(-3, 3, 4000)
    there = (
        torch.rand(4000, generator=torch.Generator().manual_seed(1)) < (2 * scores - 1).sigmoid()
    )
    slope, offset = curve(scores, there.float())
    assert slope == pytest.approx(2, abs=0.2)
    assert offset == pytest.approx(-1, abs=0.2)


def test_nothing_begins_in_blocks_of_nothing() -> None:
    tagger = new_tagger(SINCE, WIDTH, WINDOW)
    random = torch.Generator().manual_seed(1)
    still = torch.randn(50, 2 * WIDTH, generator=random) * 9
    before = tagger.head.bias.detach().clone()
    quieten(tagger, still)
    assert float(tagger.logits(still).detach().max()) <= -CARE + 1e-5
    assert bool((tagger.head.bias <= before).all())
