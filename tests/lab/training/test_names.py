"""The tagger of windows learns what is where, and leaves alone what is in doubt."""

import torch

from assistant.ear.tagger import UNKNOWN_SOUND, pool_windows
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from lab.manifest import Row
from lab.training.names import NameStage, blocks, doubts, spans

SINCE, WIDTH, WINDOW, BLOCK = 3, 6, 4, 4
WINDOW_S = WINDOW * FEATURE_SAMPLES / SAMPLE_RATE


def stage() -> NameStage:
    torch.manual_seed(0)
    return NameStage(SINCE, WIDTH, WINDOW, BLOCK)


def recording(channel: int | None, window: int, seed: int) -> torch.Tensor:
    """Two blocks of noise; in one window a channel is loud: features of the hidden layers."""
    features = torch.randn(2 * BLOCK * WINDOW, WIDTH, generator=torch.Generator().manual_seed(seed))
    if channel is not None:
        features[window * WINDOW : (window + 1) * WINDOW, channel] += 6
    return features


def test_a_row_says_what_and_when() -> None:
    row = Row("", "", key="rain 0.00 5.12;dog barking 0.40 2.10;?birds singing;?water")
    assert spans(row) == [("rain", 0.0, 5.12), ("dog barking", 0.4, 2.1)]
    assert doubts(row) == ["birds singing", "water"]
    assert not spans(Row("", ""))
    assert not doubts(Row("", ""))


def test_seconds_are_counted_in_each_window_and_for_the_family() -> None:
    own = stage()
    seconds = own._seconds(Row("", "", key="dog barking 0.04 0.20;rain 0.00 0.08"), 4)
    names = own.tagger.names
    dog, rain = seconds[:, names.index("dog barking")], seconds[:, names.index("rain")]
    torch.testing.assert_close(dog, torch.tensor([0.04, 0.08, 0.04, 0.0]))
    torch.testing.assert_close(rain, torch.tensor([0.08, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(seconds[:, names.index("animal")], dog)
    assert float(seconds.sum()) == float(2 * dog.sum() + rain.sum())


def test_what_is_in_doubt_is_not_taught_unless_it_is_heard() -> None:
    own = stage()
    taught = own._taught(Row("", "", key="dog barking 0 1;?animal;?waterfall;?no class"))
    left = {n for n, t in zip(own.tagger.names, taught.tolist(), strict=True) if not t}
    assert {"cow mooing", "cat meowing", "waterfall", "water"} <= left
    assert not {"dog barking", "animal", "rain", "river", UNKNOWN_SOUND} & left


def test_it_learns_what_is_heard_and_in_which_window() -> None:
    own = stage()
    named = ("dog barking", "rain", UNKNOWN_SOUND)
    heard, rows = [], []
    for i in range(24):
        channel, window = (0, 1, 2, None)[i % 4], i * 5 % (2 * BLOCK)
        heard.append(pool_windows(recording(channel, window, i), WINDOW))
        since = window * WINDOW_S
        what = "" if channel is None else f"{named[channel]} {since:.2f} {since + 0.13:.2f}"
        rows.append(Row("", "", key=what))
    optimiser = torch.optim.Adam(own.module.parameters(), lr=0.01)
    for _ in range(300):
        loss = own.loss(heard, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    own.module.eval()
    block = torch.cat(
        [torch.zeros(BLOCK * WINDOW, SINCE), recording(0, 2, 99)[: BLOCK * WINDOW]], 1
    )
    found = own.tagger.probabilities(block)
    assert found["dog barking"] > 0.5 > max(found["rain"], found[UNKNOWN_SOUND])
    first, last = own.tagger.extent(block)["dog barking"]
    assert (first, last) == (2 * WINDOW, 3 * WINDOW)


def test_every_window_is_in_a_block() -> None:
    assert [b.tolist() for b in blocks(8, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [b.tolist() for b in blocks(6, 4)] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert [b.tolist() for b in blocks(3, 4)] == [[0, 1, 2, 0]]
    assert [b.tolist() for b in blocks(4, 4)] == [[0, 1, 2, 3]]
