"""Recordings that are tones."""

import numpy as np

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples


def tone(hz: float, seconds: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * hz * time).astype(np.float32)
