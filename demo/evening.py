"""Makes evening.flac from evening.txt and dog.flac: a synthetic voice in a quiet room.

pip install 'salmonn-live[bench]' && python demo/evening.py
"""

from pathlib import Path

import hibari
import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
RATE = 16_000
VOICE_RATE = 24_000
ROOM = 4e-4
"""Level of the noise of the room, full scale 1."""

BEFORE_S, SOUND_S, AFTER_S = 1.0, 1.5, 2.5
"""Seconds of the room at the start, after a sound, and after a question."""


def main() -> None:
    """Write the recording."""
    voice = hibari.Hibari()
    parts = [np.zeros(round(BEFORE_S * RATE))]
    for line in (HERE / "evening.txt").read_text().splitlines():
        if line == "(dog)":
            bark, rate = soundfile.read(HERE / "dog.flac")
            assert rate == RATE
            parts += [0.4 * bark / np.abs(bark).max(), np.zeros(round(SOUND_S * RATE))]
        else:
            said = soxr.resample(np.asarray(voice(line, seed=1), np.float64), VOICE_RATE, RATE)
            parts += [0.5 * said / np.abs(said).max(), np.zeros(round(AFTER_S * RATE))]
    whole = np.concatenate(parts)
    whole += ROOM * np.random.default_rng(0).standard_normal(len(whole))
    soundfile.write(HERE / "evening.flac", whole, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
