"""Samples at another rate: as long as they were, and the same bits whatever came before."""

import numpy as np
import soxr
from numpy.typing import NDArray

CUTS_PER_SECOND = 50
"""Audio is resampled in pieces of this length, so that rounding inside the resampler never depends
on how it came."""


class Resampler:
    """16-bit samples from one rate to another."""

    def __init__(self, rate: int, to: int) -> None:
        """Args:
        rate: Hz, of what comes in; a multiple of `CUTS_PER_SECOND`.
        to: Hz, of what goes out.
        """
        self._rate, self._to = rate, to
        self._given = self._made = 0  # samples, at either rate
        same = rate == to
        self._stream = None if same else soxr.ResampleStream(rate, to, 1, "float32")

    @property
    def piece(self) -> int:
        """Samples that it is to be given at a time, but for the last ones."""
        return self._rate // CUTS_PER_SECOND

    def push(self, samples: NDArray[np.int16], *, last: bool = False) -> NDArray[np.int16]:
        """What can be told after these samples; with the `last` ones all of it."""
        self._given += len(samples)
        if self._stream is None:
            return samples
        # In float: soxr dithers 16-bit output with noise that is different every time.
        exact = self._stream.resample_chunk(samples.astype(np.float32), last=last)
        made: NDArray[np.int16] = np.clip(np.rint(exact), -32768, 32767).astype(np.int16)
        if last:  # as long as the input was, whatever the filter's tail
            wanted = -(-self._given * self._to // self._rate) - self._made
            made = np.pad(made[:wanted], (0, max(0, wanted - len(made))))
        self._made += len(made)
        return made
