"""Another speaker out of a recording: the WORLD vocoder (Morise et al. 2016, through pyworld) takes
speech apart into pitch, spectral envelope and aperiodicity, and puts it together otherwise.

A handful of synthetic voices becomes as many speakers as there are utterances.
"""

import numpy as np
from numpy.typing import NDArray

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples

PITCH_HZ = (75.0, 300.0)
"""Mean pitch of a speaker: deep men to children."""

FORMANTS = (0.82, 1.25)
"""Most that the resonances are moved by: vocal tracts of 20 cm to 13 cm."""

Frames = NDArray[np.float64]


def disguise(samples: Samples, rng: np.random.Generator) -> Samples:
    """The same words by another speaker: pitch, intonation, vocal tract, breath, tilt and rhythm.

    Args:
        samples: shape (n,), 16 kHz.
        rng: of this recording.

    Returns:
        Shape (m,), 16 kHz, peak 1; the recording itself where it has no pitch.
    """
    import pyworld

    wave = samples.astype(np.float64)
    rough, times = pyworld.dio(wave, SAMPLE_RATE)
    pitch = pyworld.stonemask(wave, rough, times, SAMPLE_RATE)
    voiced = pitch > 0
    if not voiced.any():
        return samples
    envelope = pyworld.cheaptrick(wave, pitch, times, SAMPLE_RATE)
    breath = pyworld.d4c(wave, pitch, times, SAMPLE_RATE)
    mean = float(np.exp(np.log(pitch[voiced]).mean()))
    target = float(np.exp(rng.uniform(*np.log(PITCH_HZ))))
    # Long vocal tracts go with deep voices, loosely.
    warp = float(np.clip((target / mean) ** 0.3 * np.exp(rng.normal(0.0, 0.07)), *FORMANTS))
    pace = _rhythm(len(pitch), rng)
    spoken = np.where(voiced, target * (np.maximum(pitch, 1.0) / mean) ** rng.uniform(0.4, 1.5), 0)
    spoken = np.where(voiced, np.clip(spoken, 50.0, 600.0), 0.0)[pace]
    tilt_db = rng.uniform(-12.0, 8.0) * np.linspace(0.0, 1.0, envelope.shape[1])
    made = pyworld.synthesize(
        np.ascontiguousarray(spoken),
        np.ascontiguousarray(np.exp(_warped(np.log(envelope), warp)[pace]) * 10 ** (tilt_db / 10)),
        np.ascontiguousarray(_warped(breath, warp)[pace] ** rng.uniform(0.6, 1.5)),
        SAMPLE_RATE,
    )
    return np.asarray(made / max(float(np.abs(made).max()), 1e-9), np.float32)


def _rhythm(frames: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which frame is said when: at another pace, which drifts by a tenth within the sentence."""
    knots = 1.0 + rng.uniform(-0.12, 0.12, max(2, frames // 80))
    drift = np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, len(knots)), knots)
    when = np.cumsum(drift / rng.uniform(0.85, 1.2))
    return np.clip(np.searchsorted(when, np.arange(int(when[-1]))), 0, frames - 1)


def _warped(frames: Frames, warp: float) -> Frames:
    """Spectra (n, bins) with what was at a frequency moved to `warp` times that frequency."""
    bins = frames.shape[1]
    place = np.minimum(np.arange(bins) / warp, bins - 1.0)
    low = np.minimum(place.astype(int), bins - 2)
    share = place - low
    warped: Frames = frames[:, low] * (1 - share) + frames[:, low + 1] * share
    return warped
