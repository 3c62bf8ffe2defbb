"""Scoring answers: word error rate, and whether an answer holds what it should. No model judges."""

import re
from functools import cache

import jiwer
from num2words import num2words

from lab.classes import sound_classes

SYNONYMS: dict[str, tuple[str, ...]] = {
    **{name: tuple(known.words) for name, known in sound_classes().classes.items()},
    "boiling water": (),  # to the tagger of `small` water bubbling
}
"""Every class of sound that recordings are of, with other words for it that are right too."""

Span = tuple[int, int]
"""Where words stand in a text: first character and the one after the last."""


def plain(text: str) -> str:
    """Text as WER compares it: lower case, letters, digits and apostrophes, single spaces."""
    kept = "".join(c if c.isalnum() or c in "' " else " " for c in text.lower())
    return " ".join(kept.split())


def spoken(text: str) -> str:
    """`plain`, and numbers in words."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    words = re.sub(r"\d{1,12}", lambda found: f" {num2words(int(found[0]))} ", plain(text))
    return plain(words)


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Errors per reference word over all pairs, after `plain`."""
    return float(jiwer.wer([plain(r) for r in references], [plain(h) for h in hypotheses]))


def right(answer: str, key: str) -> bool:
    """Whether every part of `key` stands in `answer`, as whole words, each in a place of its own.

    Args:
        answer: of a model.
        key: parts in any order with `;` between them, or `>` before one that must come after the
            part before it; numbers may be digits or words in both. For a class of sound its
            synonyms will do, but not inside a longer name of another class: "wind chimes" is no
            wind.
    """
    said = spoken(answer)
    parts = [
        (_places(said, part.strip()), place > 0)
        for chain in key.split(";")
        for place, part in enumerate(chain.split(">"))
    ]
    return _fit(parts, [])


def _fit(parts: list[tuple[list[Span], bool]], taken: list[Span]) -> bool:
    """Whether all parts find a place: (where it stands, whether after the last one taken)."""
    if not parts:
        return True
    (places, later), *rest = parts
    return any(
        _fit(rest, [*taken, (start, end)])
        for start, end in places
        if all(end <= first or last <= start for first, last in taken)
        and not (later and start < taken[-1][1])
    )


def _places(said: str, part: str) -> list[Span]:
    if part not in SYNONYMS:
        return _found(said, part)
    others = [place for name in SYNONYMS if name != part for place in _named(said, name)]
    return [
        (start, end)
        for start, end in _named(said, part)
        if not any(a <= start and end <= b and b - a > end - start for a, b in others)
    ]


def _named(said: str, name: str) -> list[Span]:
    return [place for words in (name, *SYNONYMS[name]) for place in _found(said, words)]


def _found(said: str, words: str) -> list[Span]:
    return [found.span() for found in _pattern(words).finditer(said)]


@cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){re.escape(spoken(words))}(?!\S)")
