"""Which rows make up which step: a function of seed, epoch and sizes alone, so runs can resume."""

import numpy as np


def batches(
    lengths: list[int], repeats: list[int], size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Batches of row indices for one epoch, each of rows of similar length, in random order.

    Args:
        lengths: features per row.
        repeats: times each row occurs.
        size: rows per batch; the last one may be smaller.
        seed: of the run.
        epoch: counts from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    rows = np.repeat(np.arange(len(lengths)), repeats)
    noise = rng.uniform(0.9, 1.1, len(rows))  # neighbours in length differ from epoch to epoch
    rows = rows[np.argsort(np.asarray(lengths)[rows] * noise, kind="stable")]
    groups = [rows[i : i + size].tolist() for i in range(0, len(rows), size)]
    return [groups[i] for i in rng.permutation(len(groups))]
