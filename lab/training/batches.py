"""Which rows make up which step: a function of seed, epoch and sizes alone, so runs can resume."""

import numpy as np


def epoch_rows(sizes: list[int], times: list[float], seed: int, epoch: int) -> list[int]:
    """The rows heard in one epoch, counted through all stores.

    Args:
        sizes: rows per store.
        times: how often each store is heard; of 2.25, every row twice and another quarter of the
            rows a third time, a different quarter in each epoch.
        seed: of the run.
        epoch: counts from 0.
    """
    rng = np.random.default_rng([seed, epoch, 1])
    chosen: list[int] = []
    first = 0
    for size, often in zip(sizes, times, strict=True):
        whole, rest = divmod(round(often * size), size) if size else (0, 0)
        rows = np.concatenate([np.tile(np.arange(size), whole), rng.permutation(size)[:rest]])
        chosen += (first + rows.astype(int)).tolist()
        first += size
    return chosen


def batches(
    rows: list[int], lengths: list[int], size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Batches of rows for one epoch, each of rows of similar length, in random order.

    Args:
        rows: of `epoch_rows`.
        lengths: features per row of the corpus.
        size: rows per batch; the last one may be smaller.
        seed: of the run.
        epoch: counts from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    noise = rng.uniform(0.9, 1.1, len(rows))  # neighbours in length differ from epoch to epoch
    order = np.argsort(np.asarray(lengths)[rows] * noise, kind="stable")
    groups = [[rows[i] for i in order[k : k + size]] for k in range(0, len(rows), size)]
    return [groups[i] for i in rng.permutation(len(groups))]
