"""Captions while someone speaks: what is settled stays, the tail may change.

LocalAgreement-2 (Liu et al. 2020; Machácek et al. 2023): what two readings in a row agree on is
settled. Each reading goes on from what is.
"""

from dataclasses import dataclass
from itertools import takewhile

from assistant.captions.decoder import CaptionDecoder, Slots, believable, unlooped
from assistant.ear.hearing import Window
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE

AHEAD = 200
"""Positions kept for provisional windows: 4 s, more than the block that is open holds."""


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
        self._guess: tuple[int, ...] = ()  # tokens of the last reading
        self._before = ""  # what was read of earlier parts
        self._text = ""
        self._reading: tuple[tuple[int, int, tuple[int, ...]], tuple[int, ...]] | None = None

    def hear(self, windows: list[Window]) -> None:
        """Windows that became final. Where they are more than Whisper reads at once, what was read
        of them counts, and what follows is read by itself."""
        for window in windows:
            if self._features + len(window.speech) > self._decoder.positions - AHEAD:
                self._before += self._decoder.text(self._read([]))
                self._slots, self._features, self._reading = None, 0, None
                self._settled = self._last = self._guess = ()
            self._put(self._now(), window, self._features)
            self._features += len(window.speech)

    def read(self, ahead: list[Window], *, last: bool = False) -> Caption:
        """Read what was heard.

        Args:
            ahead: provisional windows, heard for this reading alone.
            last: the turn is over: all of it is settled now.
        """
        tokens = self._read(ahead)
        agreed = tokens if last else agreement(tokens, self._last)
        if len(agreed) > len(self._settled):
            self._settled = agreed
        self._last = tokens
        before, self._text = self._text, self._before + self._decoder.text(self._settled)
        return Caption(self._text[len(before) :], self._decoder.text(tokens[len(self._settled) :]))

    def peek(self, ahead: list[Window]) -> str:
        """The whole text as it is now read; settles nothing."""
        return self._before + self._decoder.text(self._read(ahead))

    def _read(self, ahead: list[Window]) -> tuple[int, ...]:
        """Tokens of a reading, the settled ones first; the same reading is not done twice."""
        key = self._features, sum(len(w.speech) for w in ahead), self._settled
        if self._reading is not None and self._reading[0] == key:
            return self._reading[1]
        slots, heard = self._now(), self._features
        if not heard and not ahead:
            return self._settled  # a decoder that is given nothing invents something
        if ahead:
            slots = Slots(slots.keys.clone(), slots.values.clone())
            for window in ahead:
                self._put(slots, window, heard)
                heard += len(window.speech)
        settled = len(self._settled)
        guess = self._guess[settled:] if self._guess[:settled] == self._settled else ()
        seconds = heard * FEATURE_SAMPLES / SAMPLE_RATE
        found = self._decoder.read(slots, seconds, self._settled, guess)
        self._guess = found.tokens
        tokens = unlooped(found.tokens) if self._settled or believable(found) else ()
        if len(tokens) < len(self._settled):
            tokens = self._settled
        self._reading = key, tokens
        return tokens

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
