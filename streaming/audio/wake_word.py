"""Finds a wake word in frames."""

from collections.abc import Callable

from streaming.audio.frames import FRAME_SAMPLES, Frame

Hears = Callable[[Frame], bool]
"""Takes the next frame; whether the word was said just now."""


class WakeWord:
    """Tells where a word was said: a Stage[Frame, int], one past the last sample of the frame in
    which it was recognised. What is recognised frame after frame was said once."""

    def __init__(self, detector: Callable[[], Hears]) -> None:
        """`detector` makes what recognises the word, and is called again at every reset."""
        self._make = detector
        self._heard = False  # in the last frame
        self.reset()

    def push(self, frame: Frame) -> list[int]:
        """Take the next frame."""
        before, self._heard = self._heard, self._hears(frame)
        return [frame.at + FRAME_SAMPLES] if self._heard and not before else []

    def flush(self) -> list[int]:
        """Nothing is pending; start anew."""
        self.reset()
        return []

    def reset(self) -> None:
        """Start anew, with a new detector."""
        self._hears, self._heard = self._make(), False
