"""Spoken questions and commands with known answers, written from `facts.yaml`.

Every function yields `Asked`: a text as it is spoken, the reply in our words, and the key the
reply is judged by. Which of them training sees is decided by a hash of the text.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from num2words import num2words

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question or command and what is right to say."""

    text: str
    answer: str
    key: str
    """A reply is right if these words, all of them, stand in it (`;` parts them)."""

    family: str


@cache
def facts() -> dict[str, Any]:
    """The tables of `facts.yaml`."""
    path = Path(__file__).with_name("facts.yaml")
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def spoken(number: int) -> str:
    """`number` as it is said: "forty two"."""
    return str(num2words(number)).replace("-", " ").replace(",", "")


def title(name: str) -> str:
    """A name as it is written: "New Delhi", "the Netherlands"."""
    return " ".join(w if w in ("the", "of") else w.capitalize() for w in name.split())


def sentence(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def arithmetic() -> Iterator[Asked]:
    """Sums and differences to 50, products to 12 times 12, exact quotients."""
    ask = ("what is {}", "how much is {}", "{}", "can you tell me what {} is", "calculate {}")
    sums = [(a, b, "plus", a + b) for a in range(1, 51) for b in range(1, 51) if a + b <= 60]
    differences = [(a, b, "minus", a - b) for a in range(2, 51) for b in range(1, a)]
    products = [(a, b, "times", a * b) for a in range(2, 13) for b in range(2, 13)]
    quotients = [(a * b, b, "divided by", a) for a in range(2, 13) for b in range(2, 13)]
    for a, b, sign, result in sums + differences + products * 4 + quotients * 4:
        form = ask[(a * 7 + b) % len(ask)]
        text = form.format(f"{spoken(a)} {sign} {spoken(b)}")
        yield Asked(text, f"{a} {sign} {b} is {result}.", f"is {result}", "arithmetic")


def capitals() -> Iterator[Asked]:
    """Of countries and some states."""
    ask = (
        "what is the capital of {}",
        "what's the capital city of {}",
        "tell me the capital of {}",
        "which city is the capital of {}",
        "do you know the capital of {}",
    )
    for country, city in facts()["capitals"].items():
        for form in ask:
            answer = f"The capital of {title(country)} is {title(city)}."
            yield Asked(form.format(country), answer, city, "capitals")


def words() -> Iterator[Asked]:
    """Opposites, plurals, past tenses, animals and spelling."""
    for word, other in facts()["opposites"].items():
        for form in (
            "what is the opposite of {}",
            "tell me the opposite of {}",
            "what's the opposite of {}",
            "which word means the opposite of {}",
        ):
            yield Asked(form.format(word), f"The opposite of {word} is {other}.", other, "words")
    tables = (
        (
            "plurals",
            ("what is the plural of {}", "tell me the plural of {}"),
            "The plural of {} is {}.",
        ),
        (
            "past",
            ("what is the past tense of {}", "tell me the past tense of {}"),
            "The past tense of {} is {}.",
        ),
        (
            "babies",
            ("what is a baby {} called", "what do you call a baby {}"),
            "A baby {} is called a {}.",
        ),
    )
    for table, forms, answer in tables:
        for word, other in facts()[table].items():
            for form in forms:
                yield Asked(form.format(word), answer.format(word, other), other, "words")
    for animal, sound in facts()["animals"].items():
        yield Asked(f"what sound does a {animal} make", f"A {animal} {sound}.", sound, "words")
    for word in facts()["spelling"]:
        letters = " ".join(word.upper())
        for form in ("how do you spell {}", "spell the word {}", "please spell {}"):
            yield Asked(
                form.format(word),
                f"{sentence(word)} is spelled {letters}.",
                letters.lower(),
                "spelling",
            )


def calendar() -> Iterator[Asked]:
    """Days, months and units of time."""
    for names, unit in ((DAYS, "day"), (MONTHS, "month")):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            for form in (
                "what {} comes after {}",
                "which {} comes after {}",
                "what {} is after {}",
            ):
                yield Asked(
                    form.format(unit, name),
                    f"After {title(name)} comes {title(after)}.",
                    after,
                    "calendar",
                )
            for form in ("what {} comes before {}", "which {} comes before {}"):
                yield Asked(
                    form.format(unit, name),
                    f"Before {title(name)} comes {title(before)}.",
                    before,
                    "calendar",
                )
    units = (
        ("minutes", "hours", 60),
        ("seconds", "minutes", 60),
        ("hours", "days", 24),
        ("days", "weeks", 7),
        ("months", "years", 12),
        ("inches", "feet", 12),
        ("centimeters", "meters", 100),
        ("cents", "dollars", 100),
    )
    for small, large, factor in units:
        for n in range(2, 11):
            total = n * factor
            text = f"how many {small} are in {spoken(n)} {large}"
            yield Asked(
                text, f"There are {total} {small} in {n} {large}.", f"are {total}", "calendar"
            )


def plain_facts() -> Iterator[Asked]:
    """The table of facts, each asked in four ways."""
    for question, starred in facts()["facts"].items():
        before, key, after = starred.split("*")
        for form in ("{}", "can you tell me {}", "please tell me {}", "hey {}"):
            yield Asked(form.format(question), before + key + after, key.lower(), "facts")


def compare() -> Iterator[Asked]:
    """Which of two numbers is larger or smaller."""
    rng = random.Random(31)
    for _ in range(500):
        a, b = rng.sample(range(1, 100), 2)
        word, pick = rng.choice([("larger", max), ("bigger", max), ("smaller", min)])
        text = f"which number is {word} {spoken(a)} or {spoken(b)}"
        yield Asked(text, f"{pick(a, b)} is {word}.", f"{pick(a, b)} is", "compare")


def unknowable() -> Iterator[Asked]:
    """What no one can know from sound alone: the answer says so."""
    cities = [c for c in facts()["capitals"].values()][:30]
    for i, form in enumerate(facts()["unknowable"]):
        for city in cities[i % 3 :: 3] if "{city}" in form else [""]:
            for polite in ("", "can you tell me ", "hey ", "please tell me "):
                text = polite + form.format(city=city)
                yield Asked(text, facts()["unknown_answer"], "don't know", "unknowable")


def commands() -> Iterator[Asked]:
    """Timers, alarms, lights, lists, calls, music: answered in words."""
    table, rng = facts(), random.Random(32)
    for n in [*range(1, 31), 35, 40, 45, 50, 60, 90]:
        for unit in ("minute", "second", "hour"):
            if unit == "hour" and n > 12:
                continue
            span = f"{spoken(n)} {unit}{'' if n == 1 else 's'}"
            written = f"{n} {unit}{'' if n == 1 else 's'}"
            form = rng.choice(
                [
                    "set a timer for {}",
                    "start a timer for {}",
                    "timer for {}",
                    "please set a timer for {}",
                    "can you set a {} timer",
                ]
            )
            yield Asked(
                form.format(span),
                f"Okay, a timer for {written}.",
                written.replace(" ", ";"),
                "command",
            )
    for hour in range(1, 13):
        for minute in (0, 15, 30, 45, 10, 20):
            for half in ("a m", "p m"):
                time = f"{spoken(hour)} {spoken(minute) if minute else ''} {half}".replace(
                    "  ", " "
                )
                written = f"{hour}:{minute:02d} {half.replace(' ', '').upper()}"
                form = rng.choice(
                    ["set an alarm for {}", "wake me up at {}", "set the alarm for {}"]
                )
                yield Asked(
                    form.format(time), f"Okay, an alarm for {written}.", written.lower(), "command"
                )
    for room in table["rooms"]:
        for thing in table["appliances"]:
            for state in ("on", "off"):
                form = rng.choice(
                    [
                        "turn {s} the {t} in the {r}",
                        "turn the {r} {t} {s}",
                        "switch {s} the {t} in the {r}",
                        "please turn {s} the {r} {t}",
                    ]
                )
                yield Asked(
                    form.format(s=state, t=thing, r=room),
                    f"Okay, turning {state} the {thing} in the {room}.",
                    f"{state};{thing};{room}",
                    "command",
                )
    for item in table["groceries"]:
        for form in (
            "add {} to my shopping list",
            "put {} on the shopping list",
            "i need to buy {}",
        ):
            yield Asked(
                form.format(item), f"Okay, {item} is on the shopping list.", item, "command"
            )
    for chore in table["chores"]:
        for form in ("remind me to {}", "remind me to {} tomorrow", "set a reminder to {}"):
            mine = chore.replace(" my ", " your ")
            when = " tomorrow" if form.endswith("tomorrow") else ""
            yield Asked(
                form.format(chore), f"Okay, I will remind you to {mine}{when}.", mine, "command"
            )
    for person in table["people"]:
        for form in ("call {}", "please call {}", "make a call to {}"):
            yours = person.replace("my ", "your ")
            yield Asked(form.format(person), f"Okay, calling {yours}.", yours, "command")
    for kind in table["music"]:
        for form in ("play {}", "can you play {}", "i want to hear {}"):
            yours = kind.replace("my ", "your ")
            yield Asked(form.format(kind), f"Okay, playing {yours}.", yours, "command")
    for n in range(10, 31):
        for form in (
            "set the temperature to {} degrees",
            "set the thermostat to {}",
            "make it {} degrees",
        ):
            yield Asked(form.format(spoken(n)), f"Okay, {n} degrees.", str(n), "command")
    for n in range(0, 101, 5):
        yield Asked(
            f"set the volume to {spoken(n)} percent",
            f"Okay, the volume is {n} percent.",
            str(n),
            "command",
        )


def orders() -> Iterator[Asked]:
    """Coffee orders, confirmed with every part that was said."""
    table, rng = facts()["coffee"], random.Random(33)
    polite = (
        "i'd like a {}",
        "can i have a {}",
        "i want a {}",
        "get me a {}",
        "could i get a {}",
        "a {} please",
        "make me a {}",
        "i'll have a {}",
        "please give me a {}",
        "order a {}",
    )
    for _ in range(1500):
        parts = [
            rng.choice(table[slot]) for slot in ("size", "shots", "roast") if rng.random() < 0.6
        ]
        rng.shuffle(parts)
        order = " ".join([*parts, rng.choice(table["drink"])])
        extras = [
            f"{rng.choice(table['amount'])} {rng.choice(table[slot])}".strip()
            for slot in ("milk", "sugar")
            if rng.random() < 0.5
        ]
        if extras:
            order += " with " + " and ".join(extras)
        yield Asked(rng.choice(polite).format(order), f"Okay, one {order}.", order, "order")


FAMILIES: tuple[Callable[[], Iterator[Asked]], ...] = (
    arithmetic,
    capitals,
    words,
    calendar,
    plain_facts,
    compare,
    unknowable,
    commands,
    orders,
)

SHARES = {"arithmetic": 1400, "unknowable": 400, "order": 1200}
"""Most texts that are kept of a family; the others are kept whole."""


@cache
def all_asked() -> tuple[Asked, ...]:
    """Every question and command once, large families thinned out."""
    rng = random.Random(34)
    kept: list[Asked] = []
    for family in FAMILIES:
        asked = list({a.text: a for a in family()}.values())
        most = SHARES.get(asked[0].family, len(asked))
        kept += asked if len(asked) <= most else rng.sample(asked, most)
    return tuple(kept)
