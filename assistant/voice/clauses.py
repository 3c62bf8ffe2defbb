"""Text as it comes, cut into clauses that can be spoken one after another.

The first one is short, so that it is heard soon; later ones are longer, so that they sound better.
"""

import re

from assistant.voice.tables import NO_SENTENCE_ENDS

FENCE = "```"
"""Begins and ends a block of code, which is one clause and never spoken."""

JOINTS = {
    "and", "or", "but", "nor", "so", "because", "which", "who", "that", "when", "while", "where",
    "if", "than", "with", "without", "from", "into", "onto", "in", "on", "at", "by", "for", "to",
    "of", "as", "about", "after", "before", "between", "through",
}  # fmt: skip
"""Words that a clause may begin with, where it has to be cut without a mark."""

_CLOSING = "\"'”’)]}*_"
_ENDS = re.compile(rf"[.!?…]+[{re.escape(_CLOSING)}]*$")
_PAUSES = re.compile(rf"[,;:—–][{re.escape(_CLOSING)}]*$")
_INITIAL = re.compile(r"^[(\"“'‘]*(?:[A-Za-z]\.)+$")
_NUMBERED = re.compile(r"(?:^|\n)\s*\d+\.$")


class Lengths:
    """From how many characters on a clause ends where it can."""

    def __init__(self, sentence: int, mark: int, joint: int, space: int) -> None:
        """Args:
        sentence: at the end of a sentence.
        mark: at a comma and the like.
        joint: before a word that something can begin with.
        space: between any two words.
        """
        self.sentence, self.mark, self.joint, self.space = sentence, mark, joint, space


FIRST, LATER = Lengths(1, 2, 32, 56), Lengths(30, 70, 100, 140)
LONGEST = 280
"""Characters without a space that are cut, too."""


class Clauses:
    """Pieces of text, however they are cut, to clauses. Joined, these are the text again."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what is pending; the next clause is a first one."""
        self._text = ""
        self._lengths = FIRST
        self._in_code = False

    def push(self, text: str) -> list[str]:
        """The clauses that `text` completes."""
        return [clause for char in text if (clause := self._take(char))]

    def flush(self) -> list[str]:
        """What is pending, if anything is."""
        rest = self._text
        self.reset()
        return [rest] if rest else []

    def _take(self, char: str) -> str:
        """Take a character; the clause that it completes, or an empty one."""
        self._text += char
        if self._text.endswith(FENCE) and char == "`":
            self._in_code = not self._in_code
        if self._in_code:
            return ""
        if char.isspace():
            return self._cut(self._end(char))
        return self._cut(len(self._text) if len(self._text) >= LONGEST else 0)

    def _end(self, space: str) -> int:
        """Where a clause ends that a space follows; 0: nowhere yet."""
        whole, lengths = self._text, self._lengths
        said = whole.strip()
        if not any(char.isalnum() for char in said):
            return 0
        if _ends_sentence(whole.rstrip()) or (space == "\n" and len(said) >= lengths.mark):
            return len(whole) if len(said) >= lengths.sentence else 0
        if _PAUSES.search(said) and len(said) >= lengths.mark:
            return len(whole)
        if len(said) >= lengths.space:
            return len(whole)
        before, _, word = said.rpartition(" ")
        if word.lower() in JOINTS and len(before) >= lengths.joint:
            return whole.rindex(word)
        return 0

    def _cut(self, end: int) -> str:
        clause, self._text = self._text[:end], self._text[end:]
        if clause:
            self._lengths = LATER
        return clause


def _ends_sentence(text: str) -> bool:
    """Whether a sentence ends here: the dots of abbreviations, initials and lists end none."""
    if not _ENDS.search(text):
        return False
    word = text.split()[-1]
    bare = word.lstrip("(\"“'‘").lower()
    return not (bare in NO_SENTENCE_ENDS or _INITIAL.match(word) or _NUMBERED.search(text))
