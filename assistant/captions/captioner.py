"""Captions while someone speaks: settled text stays, and the text after it may still change.

LocalAgreement-2 (Liu et al. 2020; Machácek et al. 2023): text is settled when two consecutive
decodings agree on it. Each decoding continues the settled text.
"""

from dataclasses import dataclass
from itertools import takewhile

from assistant.captions.decoder import CaptionDecoder, Ending, Slots, believable, clear, unlooped
from assistant.ear.hearing import Window
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE

AHEAD = 200
"""Positions kept free for provisional windows: 4 s, which is more than an open block holds."""


@dataclass(frozen=True, slots=True)
class Caption:
    """The transcript of what is being said, as far as it is known."""

    settled: str
    """Text that was settled by this decoding; it continues the last caption's."""

    tentative: str
    """Text after `settled` that may still change."""


class Captioner:
    """Captions of one turn."""

    def __init__(self, decoder: CaptionDecoder) -> None:
        """Captions with `decoder`, whose weights are shared."""
        self._decoder = decoder
        self._slots: Slots | None = None
        self._features = 0
        self._settled: tuple[int, ...] = ()
        self._last: tuple[int, ...] = ()
        self._before = ""  # what was read of earlier parts
        self._text = ""
        self._reading: tuple[tuple[int, int, tuple[int, ...]], tuple[int, ...]] | None = None
        self.ending = Ending()
        """How the last word of the last decoding is followed."""

        self.is_clear = False
        """Whether the last decoding was surely one of words, and not of a cough."""

    def hear(self, windows: list[Window]) -> None:
        """Add windows that became final. When Whisper's positions are full, the text so far is
        settled, and decoding starts anew with the next window."""
        for window in windows:
            if self._features + len(window.speech) > self._decoder.positions - AHEAD:
                self._before += self._decoder.text(self._read([]))
                self._slots, self._features, self._reading = None, 0, None
                self._settled = self._last = ()
            self._put(self._now(), window, self._features)
            self._features += len(window.speech)

    def read(self, ahead: list[Window], *, last: bool = False) -> Caption:
        """Decode what was heard.

        Args:
            ahead: provisional windows, for this decoding alone.
            last: the turn is over, so all text is settled.
        """
        tokens = self._read(ahead)
        agreed = tokens if last else agreement(tokens, self._last)
        if len(agreed) > len(self._settled):
            self._settled = agreed
        self._last = tokens
        before, self._text = self._text, self._before + self._decoder.text(self._settled)
        return Caption(self._text[len(before) :], self._decoder.text(tokens[len(self._settled) :]))

    def peek(self, ahead: list[Window]) -> str:
        """The whole transcript as it is now; nothing is settled by it."""
        return self._before + self._decoder.text(self._read(ahead))

    def _read(self, ahead: list[Window]) -> tuple[int, ...]:
        """Tokens of a decoding, the settled ones first. The last decoding is cached."""
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
        known = () if self._reading is None else self._reading[1]
        guess = known[settled:] if known[:settled] == self._settled else ()
        seconds = heard * FEATURE_SAMPLES / SAMPLE_RATE
        found = self._decoder.read(slots, seconds, self._settled, guess)
        tokens = unlooped(found.tokens) if self._settled or believable(found) else ()
        if len(tokens) < len(self._settled):
            tokens = self._settled
        self._reading, self.ending, self.is_clear = (key, tokens), found.ending, clear(found)
        return tokens

    def _now(self) -> Slots:
        if self._slots is None:
            self._slots = self._decoder.start()
        return self._slots

    def _put(self, slots: Slots, window: Window, at: int) -> None:
        self._decoder.hear(slots, window.speech, at)


def agreement(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """The longest common prefix of both."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return tuple(token for token, _ in pairs)
