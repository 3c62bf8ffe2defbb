"""What sessions do, as `serve` makes them."""

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from assistant.model import Salmonn, load
from assistant.sound import recording
from assistant.sound.recording import Samples
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE
from streaming.audio.frames import Frame
from streaming.config import Config
from streaming.controls import Ask, Control
from streaming.dialogue.work import NEED_DATA
from streaming.server.build import build_assistant
from tests.streaming import fakes
from tests.streaming.every_key.configured import configured

SPOKEN = recording.load(Path(__file__).parents[3] / "demo" / "kitchen.flac")
SILENCE_S = 0.5


def cut(begin_s: float, end_s: float) -> Samples:
    """Part of the demo, in which three people speak, from 1.1, 5.0 and 9.0 s on."""
    return SPOKEN[round(16_000 * begin_s) : round(16_000 * end_s)]


@cache
def tiny() -> Salmonn:
    return load(configured({}).model)


Script = tuple[bytes | Control, ...]


def session(config: Config, script: Script, steps: int = 1000) -> object:
    """What a session does with audio and controls: `session.created`, work and events.

    Args:
        config: what `serve` was given.
        script: what comes.
        steps: done after each 20 ms, where there are so many; few: on a slow machine.
    """
    assistant = build_assistant(tiny(), config, "Reply.")
    counts = itertools.count()
    protocol = assistant.new_protocol("sess", lambda kind: f"{kind}_{next(counts)}", 0)
    begin, talk = protocol.begin(), assistant.new_session()
    told: list[object] = [*begin.events]
    for control in begin.inputs:
        assert not isinstance(control, Frame)
        talk.control(control)

    def step(most: int) -> bool:
        for _ in range(most):
            events = talk.step()
            if events is NEED_DATA:
                return False
            assert isinstance(events, list)
            told.append((talk.taken, talk.work, events, [*map(protocol.translate, events)]))
        return True

    for piece in script:
        if not isinstance(piece, bytes):
            talk.control(piece)
            step(steps)
            continue
        for at in range(0, len(piece), 640):
            talk.receive(piece[at : at + 640])
            step(steps)
    while step(1000):
        pass
    return told


def spoken(*pieces: Samples | Control) -> Script:
    return tuple(recording.to_pcm16(p) if not isinstance(p, Control) else p for p in pieces)


def said(text: str) -> Samples:
    """A sentence by the default voice, at 16 kHz."""
    voice = load_voice("heart")
    assert voice is not None
    made = np.frombuffer(voice.speak(text).pcm, "<i2").astype(np.float32) / 32768
    return np.asarray(soxr.resample(made, VOICE_RATE, 16_000), np.float32)


def silence(seconds: float) -> Samples:
    return SPOKEN[:1].repeat(round(16_000 * seconds)) * 0


def utterance(config: Config) -> object:
    """A second of a kitchen, then someone speaks, then nobody."""
    return session(config, spoken(cut(0.0, 2.6), silence(0.7)))


def two_utterances(config: Config) -> object:
    """Two, with 0.6 s between them."""
    return session(config, spoken(cut(1.0, 2.2), silence(0.6), cut(5.0, 6.0), silence(0.6)))


def interruption(config: Config) -> object:
    """Someone speaks while a slow machine replies."""
    return session(config, spoken(cut(1.0, 2.0), silence(0.5), cut(5.0, 6.2)), steps=1)


def long_silence(config: Config) -> object:
    """Someone speaks, and then nobody for six seconds."""
    return session(config, spoken(cut(1.0, 2.0), silence(6.5)))


def called_by_name(config: Config) -> object:
    """Somebody says "hey Jarvis", and is silent for two seconds."""
    return session(config, spoken(silence(1.0), said("Hey Jarvis."), silence(2.0)))


def manners(config: Config) -> object:
    """Somebody says "wait a moment" under a reply of a scripted model, and into a silence."""
    talk = fakes.session(turns=config.turns, voice=fakes.Speaker())
    return fakes.converse(talk, [fakes.pcm("SSSS" + "." * 8 + "WWWW" + "." * 60 + "WWWW......")])


def typed(config: Config) -> object:
    """A question about a second of sound."""
    return session(config, spoken(cut(0.0, 1.0), Ask("What was that?")))
