"""Roughening clean speech: rooms, noise, telephones, clipping and levels.

Everything is drawn from the generator that is passed in, so a recording is a function of its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples

ROOMS = 120

CUT_SHARE = 1 / 12
CUT_S = 0.04, 0.16
"""Seconds that `cut_off` takes away."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What speech is put into."""

    rooms: list[Samples]
    """Room responses, each from its direct sound on, peak 1."""

    noises: list[Samples]
    """Recordings of background sound; none of them is a recording that evaluation hears."""


def make_rooms(count: int = ROOMS, seed: int = 11) -> list[Samples]:
    """Responses of random shoebox rooms by the image source method (pyroomacoustics).

    Returns:
        Each of shape (n,), 16 kHz; reverberation times 0.12 to 0.7 s.
    """
    import pyroomacoustics

    rng = np.random.default_rng(seed)
    rooms: list[Samples] = []
    while len(rooms) < count:
        size = rng.uniform([2.5, 2.5, 2.3], [8.0, 6.0, 3.5])
        decay_s = rng.uniform(0.12, 0.7)
        try:
            absorption, order = pyroomacoustics.inverse_sabine(decay_s, size)
        except ValueError:  # no walls absorb that much in so large a room
            continue
        room = pyroomacoustics.ShoeBox(
            size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption),
            max_order=min(order, 12),
        )  # fmt: skip
        room.add_source(rng.uniform(0.3, size - 0.3))
        room.add_microphone(rng.uniform(0.3, size - 0.3))
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float32)
        start = int(np.abs(response).argmax())
        rooms.append(response[start:] / np.abs(response[start]))
    return rooms


def roughen(
    samples: Samples, around: Surroundings, rng: np.random.Generator, live: bool = False
) -> Samples:
    """Put clean speech somewhere.

    Silence is added at both ends; a third is in a room; 60 % have noise at 0 to 30 dB; one in ten
    comes by telephone; one in twenty clips; the level is anything from -26 to -1 dB.

    Args:
        samples: shape (n,), 16 kHz, peak 1.
        around: rooms and noises to draw from.
        rng: of this recording.
        live: as turns are cut out of a stream: one in twelve begins or ends within a word, and a
            third begins at any place of a block, up to a block before the speech.
    """
    longest = 0.6
    if live:
        samples = cut_off(samples, rng) if rng.random() < CUT_SHARE else samples
        longest = 0.6 if rng.random() < 0.7 else 2.6
    lead, tail = rng.uniform(0.0, longest), rng.uniform(0.1, 0.9)
    samples = np.pad(samples, (int(lead * SAMPLE_RATE), int(tail * SAMPLE_RATE)))
    if around.rooms and rng.random() < 0.35:
        room = around.rooms[int(rng.integers(len(around.rooms)))]
        samples = fftconvolve(samples, room)[: len(samples)].astype(np.float32)
    if rng.random() < 0.6:
        noise = background(len(samples), around.noises, rng)
        samples = samples + noise * gain_for_snr(samples, noise, rng.uniform(0, 30))
    if rng.random() < 0.1:
        samples = telephone(samples)
    samples = samples / max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    if rng.random() < 0.05:
        samples = np.clip(samples * rng.uniform(1.5, 6.0), -1, 1)
    return np.asarray(samples * 10 ** (rng.uniform(-26, -1) / 20), np.float32)


def cut_off(samples: Samples, rng: np.random.Generator) -> Samples:
    """Speech whose first or last word lacks 40 to 160 ms, as a late or hasty microphone leaves it.

    Most of the word is there, so the transcript stays; what is quiet around the speech goes, too.
    """
    loud = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max(initial=0.0))
    lost = int(rng.uniform(*CUT_S) * SAMPLE_RATE)
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(samples))
    if last - first < 8 * lost:  # a single short word would be gone
        return samples
    return samples[first + lost :] if rng.random() < 0.5 else samples[: last - lost]


def in_quiet(samples: Samples, rng: np.random.Generator) -> Samples:
    """Put clean speech somewhere easy: silence, a level, for half of it noise at 8 to 35 dB."""
    lead, tail = rng.uniform(0.0, 0.4), rng.uniform(0.1, 0.8)
    samples = np.pad(samples, (int(lead * SAMPLE_RATE), int(tail * SAMPLE_RATE)))
    level = 10 ** (rng.uniform(-24, -1) / 20)
    if rng.random() < 0.5:
        noise = _hiss(len(samples), rng) if rng.random() < 0.5 else _rumble(len(samples), rng)
        samples = samples + noise * gain_for_snr(samples, noise, rng.uniform(8, 35))
    return np.asarray(np.clip(samples * level, -1, 1), np.float32)


def background(n: int, noises: list[Samples], rng: np.random.Generator) -> Samples:
    """`n` samples of hiss, of a brown rumble, or (mostly, where there are any) of a recording."""
    kinds: list[Callable[[], Samples]] = [lambda: _hiss(n, rng), lambda: _rumble(n, rng)]
    if not noises or rng.random() < 0.4:
        return kinds[int(rng.integers(2))]()
    return excerpt(noises[int(rng.integers(len(noises)))], n, rng)


def excerpt(recording: Samples, n: int, rng: np.random.Generator) -> Samples:
    """`n` samples of a recording from a random place on, going round at its end."""
    start = int(rng.integers(len(recording)))
    return np.take(recording, np.arange(start, start + n), mode="wrap")


def gain_for_snr(signal: Samples, noise: Samples, snr_db: float) -> float:
    """The factor that puts `noise` `snr_db` under `signal`; 0 where the noise is silent."""
    power = float(np.mean(noise**2))
    if power == 0.0:
        return 0.0
    return float(np.sqrt(float(np.mean(signal**2)) / power) * 10 ** (-snr_db / 20))


def telephone(samples: Samples) -> Samples:
    """300 to 3,400 Hz at 8 kHz."""
    narrow = soxr.resample(samples, SAMPLE_RATE, 8000)
    narrow = sosfilt(butter(4, [300, 3400], "bandpass", fs=8000, output="sos"), narrow)
    wide = soxr.resample(np.asarray(narrow, np.float32), 8000, SAMPLE_RATE)
    return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)].astype(np.float32)


def _hiss(n: int, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(n).astype(np.float32)


def _rumble(n: int, rng: np.random.Generator) -> Samples:
    walk = np.cumsum(rng.standard_normal(n))
    return np.asarray(walk - np.linspace(0, walk[-1], n), np.float32)
