"""Where speech starts and ends: webrtcvad against Silero, on speech over real backgrounds.

    python -m bench.endpointing [--clips 60] [--data ../shared/data] [--json FILE]

Held-out utterances are put 1.5 to 5 s apart over kitchen noise, typing, music and a crowd, at 20,
10 and 0 dB, and over nothing; so their boundaries are known. Per detector and setting: F1 of 20 ms
frames, utterances missed, starts where nobody spoke, utterances cut in two, those of them whose
parts are too far apart for one turn (`turns.rejoin_s`), and the median time from the end of speech
to the decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from bench.common import keep, parser, read_clips, show
from lab.corpora.rough import excerpt, gain_for_snr
from lab.corpora.sounds import read_sounds
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.detectors.choose import choose_endpointer
from streaming.events import SpeechEnded, SpeechStarted

BACKGROUNDS = ("dishes clattering", "keyboard typing", "music", "crowd talking")
SNRS_DB = (20, 10, 0)
EDGE_DB = -35
"""Frames of a clip this far under its loudest one are not speech at its edges."""

SETTINGS = {
    "webrtc 1": EndpointingConfig(detector="webrtc", aggressiveness=1),
    "webrtc 2": EndpointingConfig(detector="webrtc", aggressiveness=2),
    "webrtc 3": EndpointingConfig(detector="webrtc", aggressiveness=3),
    "silero 0.3": EndpointingConfig(detector="silero", threshold=0.3),
    "silero 0.5": EndpointingConfig(detector="silero", threshold=0.5),
    "silero 0.7": EndpointingConfig(detector="silero", threshold=0.7),
    "silero 0.5, 400 ms": EndpointingConfig(detector="silero", min_silence_frames=20),
    "silero 0.5, 500 ms": EndpointingConfig(detector="silero", min_silence_frames=25),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording with known utterances, as (first, last) frame of each."""

    name: str
    samples: Samples
    spoken: list[tuple[int, int]]


def trimmed(samples: Samples) -> Samples:
    """A clip from its first frame of speech to its last one, peak 0.5."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    power = np.maximum((frames**2).mean(1), 1e-12)
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > EDGE_DB)
    cut = frames[loud[0] : loud[-1] + 1].reshape(-1)
    return np.asarray(cut / np.abs(cut).max() * 0.5, np.float32)


def scenes(clips: list[Samples], noises: dict[str, Samples]) -> Iterator[Scene]:
    """The same utterances over each background and level."""
    rng = np.random.default_rng(0)
    parts: list[Samples] = []
    spoken, at = [], 0
    for clip in map(trimmed, clips):
        gap = int(rng.uniform(75, 250)) * FRAME_SAMPLES
        parts += [np.zeros(gap, np.float32), clip]
        spoken.append(((at + gap) // FRAME_SAMPLES, (at + gap + len(clip)) // FRAME_SAMPLES))
        at += gap + len(clip)
    speech = np.concatenate([*parts, np.zeros(2 * SAMPLE_RATE, np.float32)])
    hiss = rng.standard_normal(len(speech)).astype(np.float32) * 1e-4
    yield Scene("quiet", speech + hiss, spoken)
    loud = np.concatenate([part for part in parts if part.any()])
    for name, noise in noises.items():
        bed = excerpt(noise, len(speech), rng)
        for snr_db in SNRS_DB:
            scaled = bed * gain_for_snr(loud, bed, snr_db)
            yield Scene(f"{name}, {snr_db} dB", np.clip(speech + scaled, -1, 1), spoken)


def found(scene: Scene, config: EndpointingConfig) -> list[tuple[int, int, int]]:
    """Utterances found, as frames: (first, last, decided)."""
    endpointer = choose_endpointer(config)
    assert endpointer is not None
    decoder = InputDecoder(InputFormat())
    frames = decoder.push(recording.to_pcm16(scene.samples)) + decoder.flush()
    changes = [c for frame in frames for c in endpointer.push(frame)] + endpointer.flush()
    spans, begun = [], 0
    for change in changes:
        if isinstance(change, SpeechStarted):
            begun = change.at
        elif isinstance(change, SpeechEnded):
            spans.append((begun, change.at, change.decided_at))
    return [(a // FRAME_SAMPLES, b // FRAME_SAMPLES, c // FRAME_SAMPLES) for a, b, c in spans]


def marked(spans: list[tuple[int, ...]], length: int) -> NDArray[np.bool_]:
    frames = np.zeros(length, bool)
    for first, last, *_ in spans:
        frames[first:last] = True
    return frames


def answered_in_two(parts: list[tuple[int, int, int]]) -> bool:
    """Whether an utterance's parts are so far apart that each is a turn of its own."""
    rejoined = TurnsConfig().rejoin_s * SAMPLE_RATE / FRAME_SAMPLES
    return any(later[0] - part[1] > rejoined for part, later in pairwise(parts))


def judge(scene: Scene, spans: list[tuple[int, int, int]]) -> dict[str, float]:
    length = len(scene.samples) // FRAME_SAMPLES + 1
    truth, guess = marked(list(scene.spoken), length), marked(list(spans), length)
    hit = (truth & guess).sum()
    hours = len(scene.samples) / SAMPLE_RATE / 3600
    of = [[s for s in spans if s[0] < last and s[1] > first] for first, last in scene.spoken]
    alone = [s for s in spans if not any(s[0] < b and s[1] > a for a, b in scene.spoken)]
    waits = [
        (mine[-1][2] - last) * 20.0
        for mine, (_, last) in zip(of, scene.spoken, strict=True) if mine
    ]  # fmt: skip
    return {
        "F1": 2 * float(hit) / max(1.0, float(truth.sum() + guess.sum())),
        "missed, %": 100 * sum(not mine for mine in of) / len(of),
        "false starts per hour": len(alone) / hours,
        "cut in two, %": 100 * sum(len(mine) > 1 for mine in of) / len(of),
        "and answered in two, %": 100 * sum(map(answered_in_two, of)) / len(of),
        "end to decision, ms": float(np.median(waits)) if waits else float("nan"),
    }


def main() -> None:
    options = parser(__doc__, clips=60)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    chosen = options.parse_args()
    clips = [clip.samples for clip in read_clips(chosen)]
    held_out = [s for s in read_sounds(chosen.data / "sound") if s.split == "dev"]
    noises = {
        name: np.concatenate([recording.load(s.path) for s in held_out if s.label == name])
        for name in BACKGROUNDS
    }
    all_scenes = list(scenes(clips, noises))
    rows = []
    over: dict[str, dict[str, Any]] = {s.name: {"background": s.name} for s in all_scenes}
    for name, config in track(SETTINGS.items(), "listening"):
        figures = [judge(scene, found(scene, config)) for scene in all_scenes]
        means = {key: float(np.nanmean([f[key] for f in figures])) for key in figures[0]}
        rows.append({"detector": name, **means})
        for scene, judged in zip(all_scenes, figures, strict=True):
            over[scene.name][name] = judged["F1"]
    show("F1 over each background", list(over.values()))
    show(f"{len(clips)} utterances over {len(all_scenes)} backgrounds", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
