"""Makes the speech detector and the endpointer that a configuration names."""

from collections.abc import Callable

import webrtcvad

from assistant.rates import SAMPLE_RATE
from streaming.audio.endpointer import Endpointer, IsSpeech
from streaming.config import EndpointingConfig
from streaming.detectors.silero import silero


def webrtc(aggressiveness: int) -> Callable[[], IsSpeech]:
    """A factory of webrtcvad detectors, each with its own state."""

    def make() -> IsSpeech:
        detector = webrtcvad.Vad(aggressiveness)
        return lambda frame: bool(detector.is_speech(frame.pcm, SAMPLE_RATE))

    return make


def choose_endpointer(config: EndpointingConfig) -> Endpointer | None:
    """The endpointer that `config` asks for; None if turns end by hand.

    Raises:
        ComponentError: the detector's package is not installed.
    """
    match config.detector:
        case "silero":
            return Endpointer(silero(config.threshold), config)
        case "webrtc":
            return Endpointer(webrtc(config.aggressiveness), config)
        case "manual":
            return None
