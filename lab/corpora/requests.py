"""Texts of what people say to an assistant, and whether a tool of ours is called for."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.score import spoken

WISHES = Path(__file__).with_name("wishes.yaml")

CLINC_CALLS = {
    "timer", "alarm", "time", "date", "calculator", "measurement_conversion", "shopping_list",
    "shopping_list_update", "todo_list", "todo_list_update", "reminder", "reminder_update",
}  # fmt: skip
"""Intents of clinc/oos-eval that our tools are for."""

CLINC_UNCLEAR = {"repeat", "next_holiday", "cancel", "what_can_i_ask_you"}
"""Intents where one may think either."""

HOME_CALLS = {
    "alarm set", "alarm query", "alarm remove", "datetime query", "lists query",
    "lists createoradd", "lists remove", "qa maths",
}  # fmt: skip
"""Scenarios and intents of NLU-Evaluation-Data that our tools are for."""

HOME_UNCLEAR = {"general repeat", "qa currency", "general commandstop"}

EACH = {"clinc": (50, 6), "home": (40, 6), "wishes": (6, 6)}
"""Texts taken of each intent, or template, that calls for a tool, and of each other one."""

CHOOSE = (8, 1)
"""The same of clinc/oos-eval's validation split."""

JUDGED = [
    Path(__file__).parents[1] / "evaluation" / f"{name}.yaml"
    for name in ("tools", "everyday", "choose")
]
"""Files of what judges; no wording in them trains."""

TRIVIA, LONGEST = 200, 90
"""Questions of OpenTriviaQA, and characters that one has at most."""

ASKS = re.compile(
    r"(what|how|when|who|where|which|why|is|are|do|does|did|can|could|would|will|have|has|whats|"
    r"what's|who's|am|should|whose)\b"
)


@dataclass(frozen=True, slots=True)
class Request:
    """Something that is said."""

    text: str
    calls: bool
    """A tool of ours is called for."""


def written(text: str) -> str:
    """A text in small letters as Whisper would write it: a capital, and a mark at its end."""
    bare = re.sub(r"\bi\b", "I", text.strip().rstrip(".?! "))
    return bare[:1].upper() + bare[1:] + ("?" if ASKS.match(bare.lower()) else ".")


def filled(template: str, slots: dict[str, list[str]], draw: random.Random) -> str:
    """A template with something in each of its slots."""
    text = re.sub(r"\{(\w+)\}", lambda slot: draw.choice(slots[slot[1]]), template)
    return text[:1].upper() + text[1:]


def training(folder: Path, draw: random.Random) -> list[Request]:
    """Requests of all kinds in random order; `folder`: the texts of the data."""
    queries = json.loads((folder / "oos_eval.json").read_text())
    found = [*_sampled(queries["train"], CLINC_CALLS, CLINC_UNCLEAR, EACH["clinc"], draw)]
    found += [Request(written(text), False) for text, _ in queries["oos_train"]]
    found += _sampled(_home(folder), HOME_CALLS, HOME_UNCLEAR, EACH["home"], draw)
    wishes = yaml.safe_load(WISHES.read_text())
    for kind in ("calls", "talks"):
        for template in wishes[kind]:
            count = EACH["wishes"][0] if "{" in template else 1
            texts = {filled(template, wishes["slots"], draw) for _ in range(count)}
            found += [Request(text, kind == "calls") for text in sorted(texts)]
    trivia = _trivia(folder)
    found += [Request(text, False) for text in draw.sample(trivia, min(TRIVIA, len(trivia)))]
    judged = judged_wordings()
    apart = [request for request in found if spoken(request.text) not in judged]
    draw.shuffle(apart)
    return apart


def judged_wordings() -> set[str]:
    """All texts in the files of what judges, as they are spoken."""

    def texts(node: object) -> Iterator[str]:
        if isinstance(node, str):
            yield spoken(node)
        elif isinstance(node, list | dict):
            for part in node.values() if isinstance(node, dict) else node:
                yield from texts(part)

    return {text for file in JUDGED for text in texts(yaml.safe_load(file.read_text()))}


def choosing(folder: Path, draw: random.Random) -> list[Request]:
    """Requests of the split of clinc/oos-eval that is for choosing."""
    queries = json.loads((folder / "oos_eval.json").read_text())["val"]
    return [*_sampled(queries, CLINC_CALLS, CLINC_UNCLEAR, CHOOSE, draw)]


def _sampled(
    texts: Iterable[tuple[str, str]],
    calls: set[str],
    unclear: set[str],
    each: tuple[int, int],
    draw: random.Random,
) -> Iterator[Request]:
    """Some of each intent that is clear."""
    by_intent = defaultdict(list)
    for text, intent in texts:
        by_intent[intent].append(text)
    for intent in sorted(by_intent.keys() - unclear):
        among, does_call = by_intent[intent], intent in calls
        for text in draw.sample(among, min(len(among), each[0 if does_call else 1])):
            yield Request(written(text), does_call)


def _home(folder: Path) -> Iterator[tuple[str, str]]:
    """Texts of more than two words, and what they want."""
    for line in (folder / "home_commands.jsonl").read_text().splitlines():
        row = json.loads(line)
        text = re.sub("[<>*]", "", row["text"]).strip()
        if len(text.split()) > 2:
            yield text, f"{row['scenario']} {row['intent']}"


def _trivia(folder: Path) -> list[str]:
    """Short questions."""
    lines = [
        line.strip()
        for file in sorted((folder / "trivia").iterdir())
        for line in file.read_text(errors="replace").splitlines()
    ]
    return [
        line[3:] for line in lines if line.startswith("#Q ") and line.endswith("?")
        and len(line) < LONGEST
    ]  # fmt: skip
