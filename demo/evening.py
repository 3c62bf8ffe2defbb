"""Makes evening.flac from evening.txt and dog.flac: a synthetic voice in a quiet room.

pip install 'salmonn-live[bench]' && python demo/evening.py
"""

from pathlib import Path

import hibari
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

HERE = Path(__file__).parent
RATE = 16_000
VOICE_RATE = 24_000
ROOM = 4e-4
"""Level of the noise of the room, full scale 1."""

BEFORE_S, SOUND_S, AFTER_S = 1.0, 1.5, 2.5
"""Seconds of the room at the start, after a sound, and after a question."""

Samples = NDArray[np.float64]

_voice = hibari.Hibari()


def heard(line: str) -> Samples:
    """A sentence that is read aloud, or the sound of a file whose name stands in brackets."""
    if line.startswith("("):
        sound, rate = soundfile.read(HERE / f"{line.strip('()')}.flac")
        assert rate == RATE
        return 0.4 * sound / np.abs(sound).max()
    said = soxr.resample(np.asarray(_voice(line, seed=1), np.float64), VOICE_RATE, RATE)
    return 0.5 * said / np.abs(said).max()


def played(lines: list[str]) -> Samples:
    """Sentences and sounds one after another, with the room between them and around everything."""
    parts = [np.zeros(round(BEFORE_S * RATE))]
    for line in lines:
        after_s = SOUND_S if line.startswith("(") else AFTER_S
        parts += [heard(line), np.zeros(round(after_s * RATE))]
    whole = np.concatenate(parts)
    return whole + ROOM * np.random.default_rng(0).standard_normal(len(whole))


def main() -> None:
    """Write the recording."""
    lines = (HERE / "evening.txt").read_text().splitlines()
    soundfile.write(HERE / "evening.flac", played(lines), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
