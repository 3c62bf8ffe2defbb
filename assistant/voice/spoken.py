"""What is written, as one says it: numbers and signs in words, and no markdown."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from unicodedata import category

from assistant.voice import numbers
from assistant.voice.tables import (
    ABBREVIATIONS,
    CARDINAL_BEFORE,
    FRACTIONS,
    MONEY,
    MONTHS,
    SYMBOLS,
    UNITS,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of text, and what is said for it."""

    end: int
    """One past its last character; it begins where the piece before it ends."""

    words: str
    """Words and marks; empty: nothing is said."""


def _any(names: object) -> str:
    return "|".join(re.escape(str(name)) for name in sorted(names, key=len, reverse=True))  # type: ignore[call-overload]


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MONTH = rf"(?:{'|'.join(f'{month[:3]}(?:{month[3:]})?' for month in MONTHS)})"
_LETTER = r"[^\W\d_½⅓⅔¼¾⅛²³]"
_LETTERS = rf"{_LETTER}+(?:[-'’]{_LETTER}+)*"
_ORDER = r"(?:st|nd|rd|th)"

_RULES: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"```.*?(?:```|\Z)", lambda m: ""),
    (r"!?\[(?P<shown>[^\]\n]*)\]\([^)\n]*\)", lambda m: say(m["shown"])),
    (r"<[a-zA-Z/][^>\n]*>", lambda m: ""),
    (r"(?:https?://|www\.)(?P<url>[^\s)>\]]*[\w/])", lambda m: _address(m["url"])),
    (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", lambda m: _address(m[0])),
    (r"(?m:^[ \t]*(?:[-*+•]|\#{1,6})[ \t]+)", lambda m: ""),
    (r"(?m:^[ \t]*(?P<item>\d{1,2})[.)][ \t]+(?=\S))", lambda m: f"{numbers.cardinal(m['item'])}:"),
    (r"[*_`|\\]+|~~|\#{2,}", lambda m: ""),
    (r"[½⅓⅔¼¾⅛²³]", lambda m: FRACTIONS.get(m[0]) or SYMBOLS[m[0]]),
    (r"(?P<decade>(?:1[1-9]|20)\d0)s\b", lambda m: _decade(int(m["decade"]))),
    (
        r"(?P<year4>\d{4})-(?P<month2>[01]\d)-(?P<day2>[0-3]\d)(?!\d)",
        lambda m: _date(m[0], int(m["day2"]), int(m["month2"]), m["year4"]),
    ),
    (
        rf"(?P<month1>{_MONTH})\.?\ (?P<day1>[0-3]?\d){_ORDER}?(?:,?\ (?P<year1>\d{{4}}))?"
        r"(?![\d:%])",
        lambda m: _date(m[0], int(m["day1"]), _month(m["month1"]), m["year1"]),
    ),
    (
        rf"(?P<day3>[0-3]?\d){_ORDER}?\ (?:of\ )?(?P<month3>{_MONTH})\b\.?"
        r"(?:,?\ (?P<year3>\d{4}))?",
        lambda m: _date(m[0], int(m["day3"]), _month(m["month3"]), m["year3"]),
    ),
    (
        r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)"
        r"(?:\ ?(?P<half>[AaPp])\.?[Mm]\b\.?)?(?![\d:])",
        lambda m: numbers.clock(int(m["hour"]), int(m["minute"]), m["half"] or ""),
    ),
    (
        r"(?P<hour1>1[0-2]|\d)\ ?(?P<half1>[AaPp])\.?[Mm]\b\.?",
        lambda m: numbers.clock(int(m["hour1"]), 0, m["half1"]),
    ),
    (
        rf"(?P<sign>[{re.escape(''.join(MONEY))}])\ ?(?P<amount>{_NUMBER})"
        r"(?:\ ?(?P<large>thousand|million|billion|trillion|bn|[kKmMbB]\b))?",
        lambda m: numbers.money(m["sign"], m["amount"], m["large"] or ""),
    ),
    (
        rf"(?P<minus>(?<![\w.])[-−])?(?P<measured>{_NUMBER})\ ?(?P<unit>{_any(UNITS)})(?![\w/])",
        lambda m: ("minus " if m["minus"] else "") + numbers.measure(m["measured"], m["unit"]),
    ),
    (
        r"\+?\d{1,3}(?:[ -]\d{3}){2,3}(?:[ -]?\d{4})?(?!\d)|\d{3}-\d{4}(?!\d)",
        lambda m: _phone(m[0]),
    ),
    (r"(?P<nth>\d+)(?:st|nd|rd|th)\b", lambda m: numbers.ordinal(int(m["nth"][: numbers.LONGEST]))),
    (
        r"(?P<above>\d{1,2})/(?P<below>[1-9]\d?)(?![\d/])",
        lambda m: _fraction(int(m["above"]), int(m["below"])),
    ),
    (
        r"(?P<least>\d{1,4})\ ?[-–]\ ?(?P<most>\d{1,4})(?![\w-])",
        lambda m: f"{_plain(m['least'])} to {_plain(m['most'])}",
    ),
    (rf"(?<![\w.])[-−](?P<below0>{_NUMBER})", lambda m: f"minus {numbers.cardinal(m['below0'])}"),
    (r"(?<=\d)\ ?[x×]\ ?(?=\d)", lambda m: "by"),
    (_NUMBER, lambda m: _plain(m[0])),
    (r"(?i:No)\.\ ?(?=\d)", lambda m: "number"),
    (r"(?<!\w)St\.\ (?=[A-Z])", lambda m: "Saint"),
    (r"(?<!\w)St\.", lambda m: "Street"),
    (rf"(?i:(?<!\w)(?:{_any(ABBREVIATIONS)})(?!\w))", lambda m: ABBREVIATIONS[m[0].lower()]),
    (r"(?<![\w.])[ap]\.m\.", lambda m: m[0]),
    (r"(?<!\w)(?:[A-Z]\.){2,}(?!\w)", lambda m: " ".join(m[0].replace(".", ""))),
    (
        r"(?P<whose>[A-Z][^\W\d_]*)\ (?P<roman>(?:X{0,3}(?:IX|IV|VI{1,3}|I{2,3})|X{1,3}))\b",
        lambda m: _numbered(m["whose"], numbers.roman(m["roman"])),
    ),
    (_LETTERS, lambda m: m[0].replace("’", "'")),
    (r"\.{2,}|…", lambda m: "…"),
    (r"\s*\n\s*", lambda m: "."),
    (r"\ [-–]\ |—|–", lambda m: "—"),
    (r"[()]", lambda m: ","),
    (r"[,.;:!?]+", lambda m: m[0][0]),
    (r"\s+", lambda m: ""),
]
"""What is looked for at a place of the text, the first that fits is said."""

_PATTERN = re.compile(
    "|".join(f"(?P<_{number}>{rule})" for number, (rule, _) in enumerate(_RULES)), re.DOTALL
)
MARKS = "…—,.;:!?"
"""What ends a piece of speech, or makes a pause in it."""


def spoken(text: str) -> list[Said]:
    """What is said for a text, piece by piece; marks belong to the word before them."""
    found: list[Said] = []
    at = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        end, words = (at + 1, _sign(text[at])) if match is None else (match.end(), _of(match))
        at = end
        if words in MARKS or not words:
            before = found.pop().words if found else ""
            found.append(Said(end, _marked(before, words)))
        else:
            found.append(Said(end, words))
    if found and text.rstrip().endswith("."):
        found[-1] = Said(at, _marked(found[-1].words, "."))
    return found


def _marked(words: str, mark: str) -> str:
    """Words with a mark after them, unless they have one: the dot of an abbreviation is none."""
    last = words[-1:]
    return (
        words + mark if last and (last not in MARKS or (last == "." and mark in ",;:!?")) else words
    )


def say(text: str) -> str:
    """What is said for a text."""
    return " ".join(said.words for said in spoken(text) if said.words)


def _of(match: re.Match[str]) -> str:
    assert match.lastgroup is not None, "every rule is a group"
    _, say_it = _RULES[int(match.lastgroup[1:])]
    return say_it(match)


def _sign(char: str) -> str:
    """What is said for a character that is no part of a word: of most, nothing."""
    if char in SYMBOLS:
        return SYMBOLS[char]
    return char if category(char)[0] == "L" else ""


def _plain(number: str) -> str:
    """A number on its own: one that may be a year is said as one."""
    if len(number) == 4 and number.isdigit() and 1100 <= int(number) < 2100 and number[1:] != "000":
        return numbers.year(int(number))
    return numbers.cardinal(number)


def _date(written: str, day: int, month: int, year: str | None) -> str:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return say(re.sub(r"-", " ", written)) if "-" in written else _plain_words(written)
    return numbers.date(day, month, None if year is None else int(year))


def _plain_words(written: str) -> str:
    return " ".join(_plain(word) if word.isdigit() else word for word in written.split())


def _month(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def _fraction(above: int, below: int) -> str:
    if 0 < above < below <= 20:
        return numbers.fraction(above, below)
    return f"{_plain(str(above))} slash {_plain(str(below))}"


def _phone(written: str) -> str:
    plus = "plus " if written.startswith("+") else ""
    return plus + numbers.digits(written)


def _decade(first: int) -> str:
    said = numbers.year(first)
    return said[:-1] + "ies" if said.endswith("y") else said + "s"


def _numbered(name: str, number: int) -> str:
    if name.lower() in CARDINAL_BEFORE:
        return f"{name} {numbers.cardinal(str(number))}"
    return f"{name} the {numbers.ordinal(number)}"


def _address(written: str) -> str:
    """An address of a page or a mailbox."""
    parts = re.findall(r"\d+|[^\W\d_]+|[./@_-]", written)
    names = {".": "dot", "/": "slash", "@": "at", "_": "underscore", "-": "dash"}
    said = [numbers.digits(part) if part.isdigit() else names.get(part, part) for part in parts]
    return " ".join(said)
