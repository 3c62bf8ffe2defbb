"""A replay as one would have heard it: the recording, and the answers in their time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from assistant.errors import AudioError
from assistant.rates import SAMPLE_RATE
from assistant.voice.voice import VOICE_RATE
from streaming.controls import Control, Truncate
from streaming.events import Event, ReplyAudio, ReplyEnded, ReplyStarted

Samples = NDArray[np.float32]


@dataclass(slots=True)
class _Placed:
    """A clause, and when it is played."""

    audio: ReplyAudio
    begin: float
    """Seconds of the stream."""

    until: float
    """When it is over, or was interrupted."""


class BothSides:
    """Places answers as one worker would give them live: each step begins when its audio is there
    and the step before it is done."""

    def __init__(self) -> None:
        self._now = 0.0  # seconds of the stream
        self._placed: list[_Placed] = []
        self._reply: list[_Placed] = []  # of the reply that is being given
        self._turn = 0

    def take(self, at: int, seconds: float, events: list[Event]) -> list[Control]:
        """Take a step of a session.

        Args:
            at: samples that had been given when it was done.
            seconds: how long it took.
            events: what came of it.

        Returns:
            What the session has to be told: how much of an interrupted reply was heard.
        """
        self._now = max(self._now, at / SAMPLE_RATE) + seconds
        controls: list[Control] = []
        for event in events:
            match event:
                case ReplyStarted(turn=turn):
                    self._turn, self._reply = turn, []
                case ReplyAudio():
                    self._place(event)
                case ReplyEnded(reason="interrupted" | "cancelled") if self._reply:
                    controls.append(Truncate(self._turn, self._cut()))
                case _:
                    pass
        return controls

    def _place(self, audio: ReplyAudio) -> None:
        begin = max(self._now, self._reply[-1].until if self._reply else 0.0)
        placed = _Placed(audio, begin, begin + len(audio.pcm) / 2 / VOICE_RATE)
        self._placed.append(placed)
        self._reply.append(placed)

    def _cut(self) -> int:
        """The reply is interrupted now: characters of it that were heard."""
        heard, before = 0, 0
        for placed in self._reply:
            played = round((self._now - placed.begin) * VOICE_RATE)
            ends = [word.end for word in placed.audio.words if word.begin < played]
            heard = before + ends[-1] if ends else heard
            before += len(placed.audio.text)
            placed.until = min(placed.until, max(placed.begin, self._now))
        return heard

    def mix(self, pcm: bytes) -> NDArray[np.int16]:
        """Both sides at 24 kHz; `pcm`: the recording, 16 kHz, 16-bit little-endian, mono."""
        recorded = np.frombuffer(pcm, "<i2").astype(np.float32)
        heard: Samples = soxr.resample(recorded, SAMPLE_RATE, VOICE_RATE)
        ends = [round(placed.until * VOICE_RATE) for placed in self._placed]
        mixed = np.zeros(max([len(heard), *ends]), np.float32)
        mixed[: len(heard)] = heard
        for placed in self._placed:
            begin = round(placed.begin * VOICE_RATE)
            length = round(placed.until * VOICE_RATE) - begin
            speech = np.frombuffer(placed.audio.pcm, "<i2")[: max(0, length)]
            mixed[begin : begin + len(speech)] += speech
        return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


def write(path: Path, samples: NDArray[np.int16]) -> None:
    """Write samples at 24 kHz to a wav file.

    Raises:
        AudioError: it cannot be written.
    """
    import soundfile

    try:
        soundfile.write(path, samples, VOICE_RATE, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written: {error}") from error
