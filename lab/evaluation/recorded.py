"""Everyday talks as recordings: read by several synthetic voices, with sounds and pauses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile

from assistant.errors import ConfigError
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from lab.corpora.scenes import loudest
from lab.corpora.sounds import Sound, read_sounds
from lab.corpora.voices import NEURAL_VOICES, Voice, read
from lab.evaluation.everyday import Talk

VOICES = (
    Voice("hibari", "heart"),
    *NEURAL_VOICES,
    Voice("flite", "rms"),
    Voice("piper", "joe"),
)
"""Who asks, in turn. Nano was trained on the last one alone."""

PAUSE_S = 0.7
"""Between two sentences of one turn."""

SOUND_S = 3.0
"""Longest excerpt of a sound."""

GAP_S = 2.0
"""From the end of a sound to the question about it."""

ROOM = 2e-4
"""Level of the noise around everything, full scale 1."""

SILENCE = 0.02
"""What is quieter before or after a sentence of peak 1 is none of it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A talk that can be played."""

    talk: Talk
    voice: str
    """Who asks, as ENGINE/NAME."""

    files: tuple[str, ...]
    """Names of the turns' recordings."""

    turns: tuple[Samples, ...]
    """What is heard in each turn up to its last word, shape (n,), 16 kHz."""


def recordings(
    talks: list[Talk], data: Path, made: Path, voices: Sequence[Voice] = VOICES
) -> Iterator[Recorded]:
    """Read talks aloud; what was read before is taken from `made`.

    Args:
        talks: the voice of each goes by its place in this list.
        data: the folder `data` of recordings, for the sounds.
        made: folder for the recordings.
        voices: who asks, in turn.

    Raises:
        ConfigError: a program or package that makes a voice is missing, or a sound is.
    """
    made.mkdir(parents=True, exist_ok=True)
    sounds = _examples(data) if any(talk.sound for talk in talks) else {}
    for place, talk in enumerate(talks):
        voice = voices[place % len(voices)]
        paths = []
        for number, turn in enumerate(talk.turns):
            sound = sounds[talk.sound] if talk.sound is not None and number == 0 else None
            paths.append(_turn(turn.ask, voice, sound, made))
        files = tuple(path.name for path in paths)
        yield Recorded(talk, f"{voice.engine}/{voice.name}", files, tuple(map(load, paths)))


def room(seconds: float) -> Samples:
    """A quiet room, 16 kHz."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    return (ROOM * noise).astype(np.float32)


def _examples(data: Path) -> dict[str, Sound]:
    """One recording of each class of ESC-10's fold 4: nothing was trained on it, but it chose
    sound taggers."""
    held_out = [s for s in read_sounds(data / "sound") if s.split == "dev"]
    return {s.label: s for s in reversed(held_out) if s.path.parent.name == "esc10"}


def _turn(sentences: list[str], voice: Voice, sound: Sound | None, made: Path) -> Path:
    settings = PAUSE_S, SOUND_S, GAP_S, ROOM, SILENCE
    what = repr((sentences, voice, sound and sound.recording, settings))
    path = made / f"{sha256(what.encode()).hexdigest()[:20]}.flac"
    if not path.exists():
        fresh = path.with_suffix(".new")
        samples = _made(sentences, voice, sound)
        soundfile.write(fresh, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        fresh.rename(path)
    return path


def _trimmed(samples: Samples) -> Samples:
    """Without the silence that synthesisers put around a sentence, so that pauses are as long as
    they are said to be."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    return samples[loud[0] : loud[-1] + 1]


def _made(sentences: list[str], voice: Voice, sound: Sound | None) -> Samples:
    random = np.random.default_rng(int.from_bytes(sha256(sentences[0].encode()).digest()[:4]))
    parts: list[Samples] = []
    if sound is not None:
        clip = loudest(load(sound.path), round(SOUND_S * SAMPLE_RATE), random)
        parts += [0.3 * clip / max(float(np.abs(clip).max()), 1e-9), room(GAP_S)]
    for number, sentence in enumerate(sentences):
        if number:
            parts.append(room(PAUSE_S))
        try:
            parts.append(0.5 * _trimmed(read(voice, sentence, random)))
        except (ImportError, FileNotFoundError) as error:
            raise ConfigError(
                f"everyday: the voice {voice.engine} is missing ({error}); docs/training.md says "
                "how to install the voices"
            ) from error
    whole = np.concatenate(parts)
    return (whole + room(len(whole) / SAMPLE_RATE)[: len(whole)]).astype(np.float32)
