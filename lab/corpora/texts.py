"""Sentences for synthetic voices to read: assistant queries, home commands and general English.

All come out as a transcript is written: lower case, letters and apostrophes.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from lab.manifest import half

WORDS = range(2, 15)
"""Words of a sentence fit for reading aloud."""

HELD_OUT_PERCENT = 3

WORDNET = Path("/usr/share/wordnet")
FORTUNES = Path("/usr/share/games/fortunes")


TRIVIA = ("animals", "for-kids", "general", "geography", "science-technology", "world")
ASKING = ("what ", "who ", "which ", "where ", "when ", "how ", "in what ", "in which ")
CHOICE = r"\b(these|following|not|true|false)\b"
"""Words of questions that need their printed choices."""


def assistant_texts(folder: Path) -> list[str]:
    """What people say to an assistant, from `data/text`.

    Args:
        folder: holds `oos_eval.json` (clinc/oos-eval) and `home_commands.jsonl`
            (NLU-Evaluation-Data).
    """
    queries = json.loads((folder / "oos_eval.json").read_text())
    texts = [text for split in queries.values() for text, _ in split]
    lines = (folder / "home_commands.jsonl").read_text().splitlines()
    return _readable(texts + [json.loads(line)["text"] for line in lines])


def trivia(folder: Path) -> dict[str, str]:
    """Question as it is spoken -> answer, of OpenTriviaQA's plainer categories in `data/text`.

    Kept is what works without the choices that stand below it in print: a question of up to 14
    words, answered in one to three.
    """
    found: dict[str, str] = {}
    for category in TRIVIA:
        content = (folder / "trivia" / category).read_text(encoding="utf-8", errors="ignore")
        for question, answer in re.findall(r"^#Q (.+)\n\^ (.+)$", content, re.MULTILINE):
            text = _clean(question.replace("\u2019", "'"))
            asks = text.startswith(ASKING) and question.rstrip().endswith("?")
            plain = re.fullmatch(r"[A-Za-z' ]{2,}", answer) and len(answer.split()) <= 3
            if asks and plain and not re.search(CHOICE, text):
                found[text] = answer.strip()
    return found


def intents(folder: Path) -> dict[str, str]:
    """Text -> intent, of everything in `data/text`; home commands' as "scenario/intent"."""
    queries = json.loads((folder / "oos_eval.json").read_text())
    found = {_clean(text): intent for split in queries.values() for text, intent in split}
    for line in (folder / "home_commands.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[_clean(entry["text"])] = f"{entry['scenario']}/{entry['intent']}"
    return found


def general_texts(wordnet: Path = WORDNET, fortunes: Path = FORTUNES) -> list[str]:
    """General English: WordNet's example sentences and fortunes (Debian: wordnet-base, fortunes).

    Raises:
        FileNotFoundError: neither is installed.
    """
    texts = [*_examples(wordnet), *_sayings(fortunes)]
    if not texts:
        raise FileNotFoundError(f"{wordnet}: install Debian's wordnet-base and fortunes")
    return _readable(texts)


def _examples(folder: Path) -> Iterator[str]:
    """Quoted examples stand in the gloss, after the bar (wndb(5WN))."""
    for file in sorted(folder.glob("data.*")):
        for line in file.read_text(encoding="latin-1").splitlines():
            _, _, gloss = line.partition("|")
            yield from re.findall(r'"([^"]+)"', gloss)


def _sayings(folder: Path) -> Iterator[str]:
    for file in sorted(p for p in folder.glob("*") if not p.suffix):
        for saying in file.read_text(encoding="utf-8", errors="ignore").split("\n%\n"):
            body = re.split(r"\n\s*--", saying)[0]  # the author follows two dashes
            yield from re.split(r"[.!?]+\s", " ".join(body.split()) + " ")


def _readable(texts: list[str]) -> list[str]:
    cleaned = (_clean(text) for text in texts)
    return sorted({text for text in cleaned if text})


def _clean(text: str) -> str:
    text = re.sub(r"\s+", " ", re.sub(r"[.,!?;:<>\"-]", " ", text.lower())).strip()
    readable = re.fullmatch(r"[a-z' ]+", text) and len(text.split()) in WORDS
    return text if readable else ""


def texts_of(texts: list[str], split: str) -> list[str]:
    """Those of a split, in their order.

    Args:
        texts: all.
        split: train; dev: those held out; choose or report: half of these.
    """
    train, held_out = split_texts(texts)
    if split == "train":
        return train
    return held_out if split == "dev" else [text for text in held_out if half(text) == split]


def split_texts(texts: list[str]) -> tuple[list[str], list[str]]:
    """(train, held out), by a hash of the text, so that a longer list keeps old choices."""

    def held_out(text: str) -> bool:
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT

    return [t for t in texts if not held_out(t)], [t for t in texts if held_out(t)]
