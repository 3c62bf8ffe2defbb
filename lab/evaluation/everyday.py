"""Everyday questions, and by what rules an answer to one is right. No model judges."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from num2words import num2words
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from lab.score import right, spoken

QUESTIONS = Path(__file__).with_name("everyday.yaml")

CHOOSE = Path(__file__).with_name("choose.yaml")
"""Others, of which prompts and settings are chosen; nothing is reported of them."""

NUMBERS = {*" ".join(num2words(n) for n in range(100)).replace("-", " ").split()}
NUMBERS |= {"hundred", "thousand", "million"}
"""Words that numbers are made of."""

CANNOT = (
    "cannot", "can't", "can not", "could not", "couldn't", "unable", "not able", "don't know",
    "do not know", "don't have", "do not have", "no access", "no way", "not sure", "not possible",
    "haven't", "have not", "no tools", "no idea", "not aware",
)  # fmt: skip
"""Words by which an answer says that something is not known, or cannot be done."""

ACTS = (
    r"done", r"okay|ok|sure|certainly|of course|will do|alright",
    r"i have|i've|i will|i'll|i am|i'm",
    r"turning|setting|calling|adding|playing|opening|waking|sending|booking|closing|locking|"
    r"starting|ordering|taking|switching|deleting|stopping|increasing|raising|reminding",
    r"turned|set|called|added|opened|sent|booked|closed|locked|started|ordered|taken|switched|"
    r"deleted|stopped|increased|raised|reminded",
)  # fmt: skip
"""What an answer says that claims to act, or to have acted."""

_ACT = re.compile("|".join(rf"(?<!\S)(?:{words})(?!\S)" for words in ACTS))


_QUOTES = re.compile(r"(?<!\w)'|'(?!\w)")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Asked(BaseModel):
    """What is said in one turn, and the rule for its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ask: Annotated[list[str], BeforeValidator(_listed)]
    """Sentences with a pause between them."""

    any: list[str] = []
    """Keys of which the answer has to hold one; see `lab.score.right`."""

    unknown: bool = False
    """The answer has to say that it cannot know."""

    no_act: bool = False
    """The answer must not claim an act."""

    def is_right(self, answer: str) -> bool:
        """Whether an answer follows the rule; an empty one never does."""
        if not spoken(answer):
            return False
        if self.unknown:
            return admits(answer)
        if self.no_act:
            return not claims_act(answer)
        return any(_holds(answer, key) for key in self.any)


@dataclass(frozen=True, slots=True)
class Talk:
    """A question, or several that follow each other."""

    kind: str
    """The section of `everyday.yaml` it stands in."""

    turns: tuple[Asked, ...]
    sound: str | None = None
    """Class of a sound that is heard some seconds before the first turn."""


def talks(path: Path = QUESTIONS) -> list[Talk]:
    """All questions of the file, in its order.

    Raises:
        pydantic.ValidationError: a row is not as it should be.
    """
    found: list[Talk] = []
    for kind, rows in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for row in rows:
            if kind == "talks":
                found.append(Talk(kind, tuple(_TURNS.validate_python(row))))
            elif kind == "sounds":
                asked = Asked(ask=row["ask"], any=[row["class"], *row["or"]])
                found.append(Talk(kind, (asked,), row["class"]))
            else:
                found.append(Talk(kind, (Asked.model_validate(row),)))
    return found


def _holds(answer: str, key: str) -> bool:
    """As `right`, and a number is not found inside a larger one: 43 does not hold 3. Quotes around
    words do not count."""
    answer = _QUOTES.sub(" ", answer.replace("’", "'"))
    if not key.isdecimal():
        return right(answer, key)
    said, wanted = spoken(answer).split(), spoken(key).split()
    return any(
        said[at : at + len(wanted)] == wanted
        and not NUMBERS & {*said[max(0, at - 1) : at], *said[at + len(wanted) :][:1]}
        for at in range(len(said))
    )


def admits(answer: str) -> bool:
    """Whether an answer says that something is not known or cannot be done."""
    said = f" {spoken(answer.replace('’', chr(39)))} "
    return any(f" {words} " in said for words in CANNOT)


def claims_act(answer: str) -> bool:
    """Whether an answer claims to act, or to have acted, where nothing can be done."""
    said = spoken(answer.replace("’", "'"))
    return not admits(answer) and _ACT.search(said) is not None


_TURNS = TypeAdapter(list[Asked])
