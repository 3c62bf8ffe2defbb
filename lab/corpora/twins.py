"""Recordings that share material although their names do not say so: pairs of spectral peaks, as
audio fingerprints use them (Wang 2003), whatever the file, the level and the cut.

    python -m lab.corpora.twins ../shared/data

prints the recordings for training that have a twin among those that choose or report.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.ndimage import maximum_filter

from assistant.sound.recording import Samples, load
from lab.corpora.library import read_library

FRAME, HOP = 1024, 128
PEAK_BINS, PEAK_FRAMES = 21, 17
"""A peak is the largest value so far around."""

FLOOR_DB = -50.0
"""Peaks so far under the recording's largest are left out."""

REACH = 80
"""Frames after a peak in which the peaks lie that it is paired with."""

FAN = 3
"""Peaks that each is paired with."""

LEAST, LEAST_SHARE = 12, 0.1
"""Pairs at one distance in time that twins have, and their share of the shorter's pairs."""


def landmarks(samples: Samples) -> list[tuple[int, int]]:
    """Pairs of spectral peaks: a number for both bins and the frames between, and the frame of the
    first."""
    if len(samples) < FRAME:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    power: NDArray[np.float32] = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    levels = 10 * np.log10(power + 1e-12)
    peaks = levels == maximum_filter(levels, (PEAK_FRAMES, PEAK_BINS))
    peaks &= levels > levels.max() + FLOOR_DB
    at = [(int(t), int(f)) for t, f in np.argwhere(peaks) if f > 2]
    found = []
    for i, (t, f) in enumerate(at):
        later = [(u, g) for u, g in at[i + 1 : i + 60] if 0 < u - t <= REACH][:FAN]
        found += [((f * FRAME + g) * FRAME + u - t, t) for u, g in later]
    return found


def find_twins(recordings: Iterable[Samples]) -> set[tuple[int, int]]:
    """Places (i, j), i < j, of recordings that share a stretch."""
    place: dict[int, list[tuple[int, int]]] = defaultdict(list)
    counts: list[int] = []
    shared: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for j, samples in enumerate(recordings):
        marks = landmarks(samples)
        counts.append(len(marks))
        for mark, t in marks:
            for i, earlier in place[mark][-50:]:
                shared[i, j][t - earlier] += 1
        for mark, t in marks:
            place[mark].append((j, t))
    return {
        (i, j)
        for (i, j), distances in shared.items()
        for together in [max(distances[d] + distances[d + 1] for d in distances)]
        if together >= max(LEAST, LEAST_SHARE * min(counts[i], counts[j]))
    }


def main() -> None:
    """Look through the folder `data` that is named."""
    clips = [c for c in read_library(Path(sys.argv[1]) / "sound") if c.use != "none"]
    for i, j in sorted(find_twins(load(c.path) for c in track(clips, "looking"))):
        a, b = clips[i], clips[j]
        if (a.use == "train") != (b.use == "train"):
            train, kept = (a, b) if a.use == "train" else (b, a)
            print(train.recording, train.path.name, kept.use, kept.recording, kept.path.name)


if __name__ == "__main__":
    main()
