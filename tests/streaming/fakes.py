"""A scripted user and a scripted model: conversations in which every sample is known."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streaming.config import EndpointingConfig
from streaming.events import Event
from streaming.frames import FRAME_SAMPLES, Frame
from streaming.session import NEED_DATA, Session
from streaming.vad import Endpointer

CONFIG = EndpointingConfig(min_speech_frames=3, min_silence_frames=8, pre_roll_frames=2)


def pcm(script: str) -> bytes:
    """`"..SSS.."` -> two frames of silence, three of speech, two of silence."""
    levels = [16384 if mark == "S" else 0 for mark in script]
    return np.repeat(np.array(levels, "<i2"), FRAME_SAMPLES).tobytes()


def loudness(frame: Frame) -> bool:
    return bool(np.abs(frame.samples()).mean() > 0.1)


class Echo:
    """A listener that turns every four frames into one token and tells what it heard."""

    def __init__(self) -> None:
        self.pending = 0
        self.waiting = 0
        self.cached = 0
        self.samples: list[NDArray[np.float32]] = []
        self.utterances: list[NDArray[np.float32]] = []

    def hear(self, samples: NDArray[np.float32]) -> int:
        self.samples.append(samples)
        self.pending += len(samples)
        self.waiting += self.pending // (4 * FRAME_SAMPLES)
        self.pending %= 4 * FRAME_SAMPLES
        return self.waiting

    def finish(self) -> int:
        self.waiting += -(-self.pending // (4 * FRAME_SAMPLES))
        self.pending = 0
        return self.waiting

    def prefill(self) -> int:
        self.cached += self.waiting
        self.waiting = 0
        return self.cached

    def ask(self) -> int:
        return self.prefill()

    def reply(self) -> Iterator[str]:
        heard = np.concatenate(self.samples)
        yield from ["I heard ", "", str(len(heard) // FRAME_SAMPLES), " frames"]
        self.utterances.append(heard)
        self.samples, self.cached = [], 0


def session(listener: Echo | None = None) -> Session:
    lookback = CONFIG.pre_roll_frames + CONFIG.min_speech_frames
    return Session(Endpointer(lambda: loudness, CONFIG), listener or Echo(), lookback)


def drain(session: Session) -> list[Event]:
    events: list[Event] = []
    while (new := session.step()) is not NEED_DATA:
        assert isinstance(new, list)
        events.extend(new)
    return events


def converse(session: Session, chunks: list[bytes]) -> list[Event]:
    events = []
    for chunk in chunks:
        session.receive(chunk)
        events += drain(session)
    session.receive_eof()
    return events + drain(session)
