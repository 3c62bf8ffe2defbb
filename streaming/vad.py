"""Where speech starts and ends."""

from collections.abc import Callable

import webrtcvad

from streaming.config import EndpointingConfig
from streaming.events import SpeechEnded, SpeechStarted
from streaming.frames import FRAME_SAMPLES, SAMPLE_RATE, Frame
from streaming.silero import silero

IsSpeech = Callable[[Frame], bool]


def webrtc(aggressiveness: int) -> Callable[[], IsSpeech]:
    """A maker of webrtcvad detectors; each has its own state."""

    def make() -> IsSpeech:
        detector = webrtcvad.Vad(aggressiveness)
        return lambda frame: bool(detector.is_speech(frame.pcm, SAMPLE_RATE))

    return make


def choose_detector(config: EndpointingConfig) -> Callable[[], IsSpeech]:
    """A maker of the detector that `config` names.

    Raises:
        ComponentError: its package is not installed.
    """
    if config.detector == "silero":
        return silero(config.threshold)
    return webrtc(config.aggressiveness)


class Endpointer:
    """Stage[Frame, SpeechStarted | SpeechEnded]: frame decisions with hysteresis.

    `min_speech_frames` speech frames in a row begin an utterance, `min_silence_frames` silent ones
    end it. So one stray frame changes nothing, in either direction.
    """

    def __init__(self, detector: Callable[[], IsSpeech], config: EndpointingConfig) -> None:
        """`detector` makes the frame classifier; it is made anew whenever the stage is."""
        self._make, self._config = detector, config
        self.reset()

    def reset(self) -> None:
        """Forget everything, the detector's state included."""
        self._is_speech = self._make()
        self._speaking = False
        self._run = 0  # frames in a row that argue for a change
        self._begun = 0  # first sample of the utterance
        self._last = 0  # one past the last sample of speech
        self._heard = 0  # one past the last sample pushed

    def push(self, frame: Frame) -> list[SpeechStarted | SpeechEnded]:
        """Take one frame; return the change it settles, if any."""
        config = self._config
        speech = self._is_speech(frame)
        self._heard = frame.at + FRAME_SAMPLES
        if speech:
            self._last = self._heard
        self._run = self._run + 1 if speech != self._speaking else 0
        if not self._speaking and self._run == config.min_speech_frames:
            self._speaking, self._run = True, 0
            self._begun = self._heard - config.min_speech_frames * FRAME_SAMPLES
            return [SpeechStarted(self._begun)]
        too_long = self._heard - self._begun >= config.max_utterance_s * SAMPLE_RATE
        if self._speaking and (self._run == config.min_silence_frames or too_long):
            return [self._end()]
        return []

    def flush(self) -> list[SpeechStarted | SpeechEnded]:
        """End an utterance that is still open."""
        ended: list[SpeechStarted | SpeechEnded] = [self._end()] if self._speaking else []
        self.reset()
        return ended

    def _end(self) -> SpeechEnded:
        self._speaking, self._run = False, 0
        return SpeechEnded(self._last, self._heard)
