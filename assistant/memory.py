"""Gives memory back to the system that is not needed any more."""

import ctypes
import mmap
import os

import numpy as np
from numpy.typing import NDArray


def trim() -> None:
    """Return freed memory to the system, where its allocator can be told to.

    glibc keeps what was freed for what comes next: of weights that were read and reordered, more
    than half of their size.
    """
    # musl has no such function, and keeps little
    tell = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if tell is not None:
        tell(0)


def forget(array: NDArray[np.generic]) -> None:
    """Drop the pages of a mapped array; they are read from the file again when somebody looks.

    Args:
        array: of `numpy.memmap`; others stay as they are.
    """
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)
