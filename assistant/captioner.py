"""Captions while someone speaks: what is settled stays, the tail may change.

LocalAgreement-2 (Liu et al. 2020; Machácek et al. 2023): what two readings in a row agree on is
settled. Each reading goes on from what is.
"""

from dataclasses import dataclass
from itertools import takewhile

from assistant.audio import FEATURE_SAMPLES, SAMPLE_RATE
from assistant.captions import CaptionDecoder, Slots, Transcript
from assistant.hearing import Window

SURE = -1.0
"""Least mean log probability of a transcript that is believed (Whisper's own threshold)."""

NO_SPEECH = 0.6
"""Above this probability that nobody speaks, an unsure transcript is dropped (Whisper's own)."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What is being said, as far as it is known."""

    settled: str
    """Text that came to be certain with this reading; goes on where the last one ended."""

    tentative: str
    """What follows it for now."""


class Captioner:
    """Captions of one turn."""

    def __init__(self, decoder: CaptionDecoder) -> None:
        """`decoder`: shared weights."""
        self._decoder = decoder
        self._slots: Slots | None = None
        self._features = 0
        self._settled: tuple[int, ...] = ()
        self._last: tuple[int, ...] = ()
        self._text = ""

    @property
    def tokens(self) -> tuple[int, ...]:
        """The settled text, as Whisper's tokens."""
        return self._settled

    def hear(self, windows: list[Window]) -> None:
        """Windows that became final."""
        for window in windows:
            self._put(self._now(), window, self._features)
            self._features += len(window.speech)

    def read(self, ahead: list[Window], *, last: bool = False) -> Caption:
        """Read what was heard.

        Args:
            ahead: provisional windows, heard for this reading alone.
            last: the turn is over: all of it is settled now.
        """
        slots, heard = self._now(), self._features
        if ahead:
            slots = Slots(slots.keys.clone(), slots.values.clone())
            for window in ahead:
                self._put(slots, window, heard)
                heard += len(window.speech)
        seconds = heard * FEATURE_SAMPLES / SAMPLE_RATE
        found = self._decoder.read(slots, seconds, self._settled)
        tokens = found.tokens if self._settled or believable(found) else ()
        agreed = tokens if last else agreement(tokens, self._last)
        if len(agreed) > len(self._settled):
            self._settled = agreed
        self._last = tokens
        before, self._text = self._text, self._decoder.text(self._settled)
        return Caption(self._text[len(before) :], self._decoder.text(tokens[len(self._settled) :]))

    def _now(self) -> Slots:
        if self._slots is None:
            self._slots = self._decoder.start()
        return self._slots

    def _put(self, slots: Slots, window: Window, at: int) -> None:
        self._decoder.hear(slots, window.speech, at)


def agreement(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens that both begin with."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return tuple(token for token, _ in pairs)


def believable(found: Transcript) -> bool:
    """Whether it is speech: Whisper's own rule against text invented on noise and silence."""
    return found.log_probability > SURE or found.no_speech < NO_SPEECH
