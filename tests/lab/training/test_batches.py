"""Which rows are heard when, and what is done to their features."""

from pathlib import Path

import pytest
import torch

from lab.features import FeatureStore
from lab.training.batches import batches, epoch_rows
from lab.training.loop import Lead, drop_audio, mask


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_an_epoch_hears_every_row_as_often_as_it_should(size: int) -> None:
    lengths = [5, 1, 9, 9, 3, 2, 7]
    rows = epoch_rows([3, 4], [2.0, 1.5], seed=1, epoch=0)
    assert [rows.count(i) for i in range(3)] == [2, 2, 2]
    assert sorted(rows.count(i) for i in range(3, 7)) == [1, 1, 2, 2]
    groups = batches(rows, lengths, size, seed=1, epoch=0)
    heard = [row for group in groups for row in group]
    assert sorted(heard) == sorted(rows)
    assert all(len(group) <= size for group in groups)
    assert groups == batches(rows, lengths, size, seed=1, epoch=0)
    if size == 1:
        assert groups != batches(rows, lengths, size, seed=1, epoch=1)


def test_parts_of_a_store_change_from_epoch_to_epoch() -> None:
    heard = [epoch_rows([100], [0.25], seed=1, epoch=e) for e in range(3)]
    assert [len(set(rows)) for rows in heard] == [25, 25, 25]
    assert heard[0] != heard[1] != heard[2]
    assert epoch_rows([100], [0.25], seed=1, epoch=1) == heard[1]


def test_masks_cover_about_their_share_in_spans() -> None:
    torch.manual_seed(0)
    features = torch.ones(20_000, 3)
    masked = mask(features, 0.1) == 0
    assert (masked.all(1) == masked.any(1)).all()
    assert 0.08 < masked.float().mean() < 0.11
    starts = (masked[1:, 0] & ~masked[:-1, 0]).sum()
    assert masked[:, 0].sum() / starts >= 6
    assert torch.equal(mask(features, 0.0), features)


def test_the_audio_encoder_is_silenced_in_its_share_of_the_rows() -> None:
    torch.manual_seed(0)
    features = torch.ones(4, 5)
    drawn = [drop_audio(features, 3, 0.4) for _ in range(500)]
    silent = [f for f in drawn if not f[:, 3:].any()]
    assert 0.35 < len(silent) / len(drawn) < 0.45
    assert all(f.shape == (4, 5) and f[:, :3].all() for f in drawn)
    assert all(torch.equal(f, features) for f in drawn if f[:, 3:].any())
    assert torch.equal(drop_audio(features, 3, 0.0), features)


def test_a_lead_is_whole_windows_before_all_of_the_recording(runs: Path) -> None:
    torch.manual_seed(0)
    store = FeatureStore(runs / "features" / "all")
    recording = torch.full((48, 64), 7.0)
    lengths = set()
    for _ in range(60):
        found = Lead(store, 0.5, features=40, window=16).before(recording)
        assert torch.equal(found[-48:], recording)
        lengths.add(len(found) - 48)
    assert lengths == {0, 16, 32}
