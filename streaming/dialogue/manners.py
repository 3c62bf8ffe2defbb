"""What words under a reply mean: go on, stop, or something to be answered."""

import re
from collections.abc import Sequence

from streaming.config import TurnsConfig


def interrupts(words: str, turns: TurnsConfig) -> bool:
    """Whether a reply stops for what was said under it, before that was long enough to do so.

    Args:
        words: what was understood; none: a cough.
        turns: has the words that people say while they listen.
    """
    said = _words(words)
    return bool(said) and not _consist_of(said, turns.backchannels)


def dismisses(words: str, turns: TurnsConfig) -> bool:
    """Whether somebody wishes nothing but quiet.

    Args:
        words: all of what they said.
        turns: has the words that mean that.
    """
    known = [*turns.backchannels, *turns.stop_words]
    return interrupts(words, turns) and _consist_of(_words(words), known)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'")))


def _consist_of(said: tuple[str, ...], phrases: Sequence[str]) -> bool:
    """Whether phrases, one after another, are all that was said."""
    known = {_words(phrase) for phrase in phrases}
    ends = {0}  # how many words may be a row of phrases
    for end in range(1, len(said) + 1):
        if any(said[begin:end] in known for begin in ends):
            ends.add(end)
    return len(said) in ends
