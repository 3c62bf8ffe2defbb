"""Scoring answers: word error rate, and whether an answer holds what it should. No model judges."""

import re

import jiwer
from num2words import num2words

SYNONYMS = {
    "sea waves": ("waves", "ocean", "the sea"),
    "person sneezing": ("sneezing", "sneeze"),
    "person coughing": ("coughing", "cough"),
    "person crying": ("woman crying", "crying"),
    "person laughing": ("laughing", "laughter"),
    "person screaming": ("screaming", "scream"),
    "person yawning": ("yawning", "yawn"),
    "person breathing": ("breathing",),
    "fire crackling": ("fire", "campfire"),
    "rooster crowing": ("rooster",),
    "dog barking": ("dog",),
    "baby crying": ("baby",),
    "crowd talking": ("crowd", "people talking"),
    "hands clapping": ("clapping", "applause"),
    "keys jangling": ("keys",),
    "paper rustling": ("paper",),
    "glass breaking": ("glass",),
    "phone ringing": ("phone",),
    "birds singing": ("birds", "bird"),
    "wind blowing": ("wind",),
    "train passing": ("train",),
    "dishes clattering": ("dishes",),
    "keyboard typing": ("typing", "keyboard"),
    "clock ticking": ("clock",),
    "music": ("melody", "song"),
}
"""Other words for a class of sound that are right too."""


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
    """Whether every part of `key` stands in `answer`, as whole words in this order.

    Args:
        answer: of a model.
        key: parts with `;` between them; numbers may be digits or words in both. For a class of
            sound its synonyms will do.
    """
    said = f" {spoken(answer)} "
    return all(
        any(f" {spoken(word)} " in said for word in (part, *SYNONYMS.get(part, ())))
        for part in key.split(";")
    )
