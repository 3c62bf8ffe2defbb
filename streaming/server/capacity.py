"""How many live streams this process can hold, measured on one of them."""

import time
from collections.abc import Callable

import numpy as np

from assistant.rates import SAMPLE_RATE
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE, Voice
from streaming.audio.frames import FRAME_BYTES, FRAME_SAMPLES
from streaming.audio.resampler import Resampler
from streaming.config import Config, ServerConfig
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.work import NEED_DATA

SAID = "What did you hear just now? Please tell me in a few words, and then say it once more."
"""What the stream has said, when it is measured."""

PAUSE_S = 2.0
"""Silence after that, in seconds, in which it is answered."""

SHARE = 0.7
"""Of the time that may be worked on streams. The rest is for replies that fall together, and for
everything else that the machine does."""

MOST = 1000
"""The largest number that is told."""


def measured(
    config: Config, make: Callable[[], Session], now: Callable[[], float] = time.perf_counter
) -> ServerConfig:
    """The server's settings, with no more sessions than this machine can hold.

    Args:
        config: the server's.
        make: makes a session that answers, and waits for no wake word.
        now: a clock, in seconds.
    """
    found = streams(make, talk(load_voice(config.voice.name)), now)
    return config.server.model_copy(update={"sessions": min(found, config.server.sessions)})


def talk(voice: Voice | None) -> bytes:
    """A question and a pause, 16 kHz PCM16; without a voice, as much noise as a question has."""
    if voice is None:
        said = np.random.default_rng(0).integers(-8_000, 8_000, 5 * SAMPLE_RATE, np.int16)
    else:
        spoken = np.frombuffer(voice.speak(SAID).pcm, "<i2")
        said = Resampler(VOICE_RATE, SAMPLE_RATE).push(spoken, last=True)
    return said.astype("<i2").tobytes() + bytes(2 * round(PAUSE_S * SAMPLE_RATE))


def streams(make: Callable[[], Session], audio: bytes, now: Callable[[], float]) -> int:
    """How many streams like this can be worked on as fast as they come, at least one.

    Args:
        make: makes a session that answers.
        audio: that it hears, 16 kHz PCM16.
        now: a clock, in seconds.
    """
    session = make()
    session.at_pace(one_each)
    begun = now()
    for at in range(0, len(audio), FRAME_BYTES):
        session.receive(audio[at : at + FRAME_BYTES])
        while session.step() is not NEED_DATA:
            pass
    worked_s = now() - begun
    lasts_s = len(audio) / FRAME_BYTES * FRAME_SAMPLES / SAMPLE_RATE
    return max(1, min(MOST, int(SHARE * lasts_s / max(worked_s, 1e-6))))
