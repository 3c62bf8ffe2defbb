"""The wake word: how often it is missed, what follows it, and what wakes it by mistake.

    KOKORO_VOICES=FOLDER python -m bench.wake_word [--model hey_jarvis] [--threshold 0.7]
        [--calls 60] [--hours 1.0] [--data ../shared/data] [--json FILE]

Kokoro's speakers and disguises of the default voice say the model's phrase, alone and before
a question, in quiet and over kitchen noise and a crowd at 10 dB. A call is missed if the session
does not wake up within 0.5 s of the phrase's end; a phrase alone that is taken for a question, and
a question after it that is not found, are mistakes, too. For false wakes, as many hours of people's
speech and music as are wished are played to the detector.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr
from rich.progress import track

from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE
from bench.common import keep, parser, show
from lab.corpora import kokoro
from lab.corpora.disguise import disguise
from lab.corpora.rough import excerpt, gain_for_snr
from lab.corpora.sounds import read_sounds
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wake_word import WakeWord
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig, WakeWordConfig
from streaming.detectors.choose import choose_endpointer
from streaming.detectors.wake_word import phrase, wake_word
from streaming.dialogue.wakefulness import Wakefulness
from streaming.events import SpeechEnded, SpeechStarted, Woken

QUESTION = "what was that sound"
BACKGROUNDS = ("dishes clattering", "crowd talking")
SNR_DB = 10
LATE_S = 0.5
ROOM = 1e-3
PEAK = 0.5


def spoken(text: str, number: int) -> Samples:
    """A sentence at 16 kHz by one of many voices: Kokoro's, then disguises of the default one."""
    rng = np.random.default_rng(number)
    known = _speakers()
    if number < len(known):
        made = kokoro.read(known[number], text, rng)
        said: Samples = soxr.resample(made, kokoro.RATE, SAMPLE_RATE)
    else:
        voice = load_voice("heart")
        assert voice is not None
        pcm = voice.speak(text.capitalize() + ".", float(rng.uniform(0.85, 1.2))).pcm
        plain = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        said = disguise(soxr.resample(plain, VOICE_RATE, SAMPLE_RATE), rng)
    return np.asarray(PEAK * said / max(float(np.abs(said).max()), 1e-9), np.float32)


def _speakers() -> list[str]:
    try:
        return [name for kind in ("af", "am", "bf", "bm") for name in kokoro.speakers(kind)]
    except (FileNotFoundError, KeyError):
        return []


def scene(parts: list[Samples], noise: Samples | None, seed: int) -> Samples:
    """Parts after a second of a room, with 1.5 s after them, over a background or none."""
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(SAMPLE_RATE, np.float32), *parts, np.zeros(24_000, np.float32)]
    speech = np.concatenate(pieces)
    around: Samples = (ROOM * rng.standard_normal(len(speech))).astype(np.float32)
    if noise is not None:
        behind = excerpt(noise, len(speech), rng)
        around += gain_for_snr(np.concatenate(parts), behind, SNR_DB) * behind
    return np.asarray(np.clip(speech + around, -1, 1), np.float32)


def frames(samples: Samples) -> Iterator[Frame]:
    yield from InputDecoder(InputFormat()).push(recording.to_pcm16(samples))


def heard(samples: Samples, model: str, threshold: float | None) -> tuple[list[float], list[float]]:
    """When it woke up, and the lengths of the utterances after that, in seconds."""
    word = WakeWord(wake_word(model, threshold))
    awake = Wakefulness(word, phrase(model), WakeWordConfig().sleep_after_s)
    endpointer = choose_endpointer(EndpointingConfig(eagerness=None))
    assert endpointer is not None
    woken, utterances, begun = list[float](), list[float](), 0
    for frame in frames(samples):
        told = awake.hear(frame, busy=False, dismissed=False)
        if any(isinstance(event, Woken) for event in told):
            endpointer.after_word()
            woken.append((frame.at + FRAME_SAMPLES) / SAMPLE_RATE)
        elif awake.is_awake:
            for change in endpointer.push(frame):
                if isinstance(change, SpeechStarted):
                    begun = change.at
                elif isinstance(change, SpeechEnded):
                    utterances.append((change.at - begun) / SAMPLE_RATE)
    return woken, utterances


def calls(options: argparse.Namespace, noises: list[Samples]) -> list[dict[str, object]]:
    word = options.model, options.threshold
    said = phrase(options.model).lower()
    rows = []
    for name, noisy in (("quiet", False), (f"{SNR_DB} dB", True)):
        missed = mistaken = lost = late = 0
        for n in track(range(options.calls), f"calls, {name}"):
            noise = noises[n % len(noises)] if noisy else None
            alone = spoken(said, n)
            woken, utterances = heard(scene([alone], noise, n), *word)
            end = 1.0 + len(alone) / SAMPLE_RATE
            in_time = bool(woken) and woken[0] <= end + LATE_S
            missed += not in_time
            mistaken += in_time and bool(utterances)
            whole = spoken(f"{said} {QUESTION}", n)
            woken, utterances = heard(scene([whole], noise, n), *word)
            late += not woken
            lost += bool(woken) and not utterances
        rows.append({
            "where": name, "calls": options.calls, "missed": missed,
            "taken for a question": mistaken, "missed before a question": late,
            "question not found": lost,
        })  # fmt: skip
    return rows


def false_wakes(options: argparse.Namespace) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for kind in ("speech", "sound"):
        paths = sorted(_recordings(options.data / kind))
        paths = [paths[n] for n in np.random.default_rng(0).permutation(len(paths))]
        word, length, found, work = WakeWord(wake_word(options.model, options.threshold)), 0, 0, 0.0
        for path in paths:
            if length >= options.hours * 3600 * SAMPLE_RATE:
                break
            samples = recording.load(path)
            begin = time.process_time()
            found += sum(len(word.push(frame)) for frame in frames(samples))
            work += time.process_time() - begin
            length += len(samples)
        hours = length / SAMPLE_RATE / 3600
        rows.append({
            "played": kind, "hours": round(hours, 2), "false wakes": found,
            "share of a core": round(work / hours / 3600, 4),
        })  # fmt: skip
    return rows


def _recordings(folder: Path) -> Iterator[Path]:
    """Those of all manifests beside one another."""
    for manifest in sorted(folder.glob("*.jsonl")):
        for line in manifest.read_text(encoding="utf-8").splitlines():
            path = manifest.with_suffix("") / json.loads(line)["file"]
            if path.is_file():
                yield path


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--model", default="hey_jarvis")
    options.add_argument("--threshold", type=float)
    options.add_argument("--calls", type=int, default=60)
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    chosen = options.parse_args()
    sounds = read_sounds(chosen.data / "sound")
    noises = [recording.load(sound.path) for sound in sounds if sound.label in BACKGROUNDS]
    called = calls(chosen, noises)
    show(f"calls of {phrase(chosen.model)}", called)
    played = false_wakes(chosen)
    show("false wakes", played)
    keep(chosen, {"calls": called, "false_wakes": played})


if __name__ == "__main__":
    main()
