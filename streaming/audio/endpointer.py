"""Endpointing: where speech starts, pauses and ends."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.hangover import hangover
from streaming.config import EndpointingConfig
from streaming.events import SpeechEnded, SpeechStarted

REST_OF_WORD = 8
"""Frames: a wake word is recognised up to 0.16 s before it is over."""

IsSpeech = Callable[[Frame], bool]


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The user has been silent for long enough that the utterance may be over: the pause."""

    at: int
    """One past the last sample of speech."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """Speech went on after a pause."""


Change = SpeechStarted | SpeechPaused | SpeechResumed | SpeechEnded


class Endpointer:
    """Finds utterances in frames, with hysteresis: a Stage[Frame, Change].

    `min_speech_frames` consecutive speech frames begin an utterance; `pause_frames` consecutive
    silent frames pause it, and `min_silence_frames` end it, or as many as a judgement of the pause
    asks for, so a single stray frame changes nothing. Every utterance is paused before it ends, and
    resumed before it goes on. One that is too long is ended, and the next one begins at the same
    sample.
    """

    def __init__(self, detector: Callable[[], IsSpeech], config: EndpointingConfig) -> None:
        """`detector` makes a frame classifier, and is called again at every reset."""
        self._make, self._config = detector, config
        self.reset()

    def reset(self) -> None:
        """Start anew, with a new detector."""
        self._is_speech = self._make()
        self._speaking = False
        self._paused = False
        self._run = 0  # frames in a row that argue for a change
        self._needed = self._config.min_speech_frames  # to begin an utterance
        self._hangover = self._config.min_silence_frames  # of this pause
        self._begun = 0  # first sample of the utterance
        self.speech_end = 0  # one past the last sample of speech
        self._heard = 0  # one past the last sample pushed

    def after_word(self) -> None:
        """Start anew, after a word that belongs to no utterance: the first one begins with as many
        more frames of speech as what is left of the word may have."""
        self.reset()
        self._needed = self._config.min_speech_frames + REST_OF_WORD

    def push(self, frame: Frame) -> list[Change]:
        """Take the next frame; returns the changes that it decides."""
        config = self._config
        speech = self._is_speech(frame)
        self._heard = frame.at + FRAME_SAMPLES
        if speech:
            self.speech_end = self._heard
        self._run = self._run + 1 if speech != self._speaking else 0
        if not self._speaking:
            if self._run < self._needed:
                return []
            self._speaking, self._run = True, 0
            self._begun = self._heard - self._needed * FRAME_SAMPLES
            self._needed = config.min_speech_frames
            return [SpeechStarted(self._begun)]
        changes: list[Change] = []
        if self._paused and speech:
            self._paused = False
            changes.append(SpeechResumed())
        if self._heard - self._begun >= config.max_utterance_s * SAMPLE_RATE:
            changes += self._end()
            if speech:
                self._speaking, self._begun = True, self._heard
                changes.append(SpeechStarted(self._heard))
        elif not self._paused and self._run == config.pause_frames:
            judged = config.eagerness is not None  # before the next frame, which may end it
            self._paused = True
            self._hangover = max(config.min_silence_frames, config.pause_frames + judged)
            changes.append(SpeechPaused(self.speech_end))
        if self._speaking and self._paused and self._run >= self._hangover:
            changes += self._end()
        return changes

    def judge(self, finished: float | None) -> None:
        """How long this pause has to be to end the utterance; before the next frame.

        Args:
            finished: the probability that the speaker has finished; None: nothing can tell.
        """
        eagerness = self._config.eagerness
        if self._paused and finished is not None and eagerness is not None:
            self._hangover = hangover(finished, eagerness)

    def flush(self) -> list[Change]:
        """End the utterance that is going on, if there is one."""
        ended = self._end() if self._speaking else []
        self.reset()
        return ended

    def _end(self) -> list[Change]:
        paused: list[Change] = [] if self._paused else [SpeechPaused(self.speech_end)]
        self._speaking, self._paused, self._run = False, False, 0
        return [*paused, SpeechEnded(self.speech_end, self._heard)]
