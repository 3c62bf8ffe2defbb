"""Times of day and dates, as people say and write them, from a given now."""

import re
from datetime import date, datetime, timedelta
from fractions import Fraction

from assistant.rates import SAMPLE_RATE
from assistant.toolbox.durations import seconds
from assistant.toolbox.numbers import number
from assistant.toolbox.own import RefusedError

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
]  # fmt: skip

_ORDINALS = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
    "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
    "seventeenth", "eighteenth", "nineteenth", "twentieth",
]  # fmt: skip

ORDINALS = {word: place for place, word in enumerate(_ORDINALS, start=1)} | {"thirtieth": 30}

MORNING, EVENING = ("am", "morning"), ("pm", "afternoon", "evening", "tonight", "night")

FILLER = {"at", "on", "the", "in", "of", "for", "o'clock", "oclock", "clock", "this", "coming"}

_TOKEN = re.compile(r"\d+(?::\d{2}){0,2}|[a-z']+")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::\d{2})?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[t ].*)?")


def local(started: datetime | None, at: int) -> datetime:
    """Local time at sample `at` of a stream whose first sample was heard at `started`.

    Raises:
        RefusedError: nobody has told when that was.
    """
    if started is None:
        raise RefusedError("I have not been told what time it is.")
    return started + timedelta(microseconds=at * 1_000_000 // SAMPLE_RATE)


def when(text: str, now: datetime) -> datetime | None:
    """The next time, after `now`, that a text says: `7:30 am`, `half past six`, `tomorrow at 8`.

    Args:
        text: of a time of day, with or without a day.
        now: local time.

    Returns:
        None where it says none.
    """
    plain = text.strip().lower().replace("a.m.", "am").replace("p.m.", "pm")
    day, rest = _day_in(plain, now.date())
    words = _TOKEN.findall(re.sub(r"(?<=\d)(am|pm)\b", r" \1", rest))
    half = next((h for h, said in ((0, MORNING), (12, EVENING)) if {*said} & {*words}), None)
    night = "night" in words
    words = [w for w in words if w not in (*MORNING, *EVENING, *FILLER)]
    found = _time_of_day(words)
    if found is None:
        return None
    hour, minute, certain = found
    hours = [hour] if certain else [hour % 12, hour % 12 + 12]
    if half is not None and hour <= 12 and not _named(words):
        early = night and hour % 12 < 5  # three at night is not three in the afternoon
        hours = [hour % 12 + (0 if early else half)]
    days = [day] if day else [now.date() + timedelta(days=n) for n in range(2)]
    times = [datetime.combine(d, datetime.min.time()) + timedelta(hours=h, minutes=minute)
             for d in days for h in hours]  # fmt: skip
    later = [time for time in times if time > now.replace(tzinfo=None)]
    return later[0] if later else None


def _named(words: list[str]) -> bool:
    return bool({"noon", "midday", "midnight"} & {*words})


def _time_of_day(words: list[str]) -> tuple[int, int, bool] | None:
    """Hour, minute, and whether it can be one hour of the day alone."""
    if len(words) == 1 and _named(words):
        return (0 if words[0] == "midnight" else 12), 0, True
    for joint, sign in (("past", 1), ("after", 1), ("to", -1), ("before", -1)):
        if joint in words:
            place = words.index(joint)
            minutes, hour = _minutes(words[:place]), _whole(words[place + 1 :])
            if minutes is None or hour is None or not 0 <= hour <= 24:
                return None
            at = (60 * hour + sign * minutes) % 1440
            return at // 60, at % 60, hour > 12
    if len(words) == 1 and (clock := _CLOCK.fullmatch(words[0])):
        hour, minute = int(clock[1]), int(clock[2] or 0)
        certain = hour > 12 or hour == 0 or words[0].startswith("0")
        return (hour % 24, minute, certain) if hour <= 24 and minute < 60 else None
    for split in range(len(words), 0, -1):
        hour, minutes = _whole(words[:split]), _whole(words[split:]) if words[split:] else 0
        if hour is not None and minutes is not None and hour <= 24 and 0 <= minutes < 60:
            return hour % 24, minutes, hour > 12 or hour == 0
    return None


def _minutes(words: list[str]) -> int | None:
    named = {"half": 30, "quarter": 15}
    words = [word for word in words if word not in ("a", "minutes", "minute")]
    return named[words[0]] if len(words) == 1 and words[0] in named else _whole(words)


def _whole(words: list[str]) -> int | None:
    if len(words) == 2 and words[0] in ("oh", "o"):
        words = words[1:]
    found = number(words)
    return int(found) if found is not None and found.denominator == 1 else None


def day(text: str, today: date) -> date | None:
    """The day that a text says, such as `tomorrow`, `next friday`, `24 december`, `in 3 weeks`.

    Returns:
        None where it says none.
    """
    found, rest = _day_in(text.strip().lower(), today)
    return found if not {*_TOKEN.findall(rest)} - FILLER else None


def _day_in(text: str, today: date) -> tuple[date | None, str]:
    """The day that is said in a text, and the text without it."""
    if iso := _ISO.fullmatch(text):
        try:
            return date(*map(int, iso.groups())), text[10:].replace("t", " ")
        except ValueError:
            return None, text
    near = {"the day after tomorrow": 2, "day after tomorrow": 2, "tomorrow": 1, "today": 0,
            "tonight": 0, "the day before yesterday": -2, "yesterday": -1}  # fmt: skip
    for name, distance in near.items():
        if re.search(rf"\b{name}\b", text):
            rest = text if name == "tonight" else re.sub(rf"\b{name}\b", " ", text)
            return today + timedelta(days=distance), rest
    if named := re.search(rf"\b(next |last |this |on )?({'|'.join(DAYS)})\b", text):
        ahead = (DAYS.index(named[2]) - today.weekday()) % 7 or 7
        back = ahead - 7 if ahead < 7 else -7
        distance = back if named[1] == "last " else ahead
        return today + timedelta(days=distance), text.replace(named[0], " ")
    return _counted(text, today) or _in_a_year(text, today) or (None, text)


def _counted(text: str, today: date) -> tuple[date, str] | None:
    """`in three weeks`, `ten days ago`, `two days from now`."""
    found = re.fullmatch(r"(in )?(.*?)( ago| from (?:now|today))?", text)
    if not found or not (found[1] or found[3]):
        return None
    length = seconds(found[2])
    if length is None or length % 86_400 or length > 86_400 * 40_000:
        return None
    sign = -1 if found[3] == " ago" else 1
    try:
        return today + timedelta(days=sign * int(length / 86_400)), ""
    except OverflowError:
        return None


def _in_a_year(text: str, today: date) -> tuple[date, str] | None:
    """`24 december`, `december the 24th`, `march 3 2027`."""
    found = re.search(rf"\b({'|'.join(f'{m}|{m[:3]}' for m in MONTHS)})\b\.?", text)
    if not found:
        return None
    month = next(i for i, name in enumerate(MONTHS, 1) if name.startswith(found[1]))
    words = _TOKEN.findall(re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text.replace(found[0], " ")))
    years = [int(w) for w in words if re.fullmatch(r"\d{4}", w)]
    rest = [w for w in words if w not in FILLER and not re.fullmatch(r"\d{4}", w)]
    of_month = _ordinal(rest)
    try:
        if years:
            return date(years[0], month, of_month or 1), ""
        this = date(today.year, month, of_month or 1)
        return (this if this >= today else this.replace(year=today.year + 1)), ""
    except ValueError:
        return None


def _ordinal(words: list[str]) -> int | None:
    if words and words[-1] in ORDINALS:
        before = number(words[:-1]) if words[:-1] else Fraction(0)
        return None if before is None else int(before) + ORDINALS[words[-1]]
    return _whole(words)


def said(moment: datetime) -> str:
    """A time of day in words, such as `7:30 am`."""
    half = "am" if moment.hour < 12 else "pm"
    return f"{moment.hour % 12 or 12}:{moment.minute:02} {half}"


def said_day(of: date) -> str:
    """A day in words, such as `Saturday, 28 November 2026`."""
    return f"{DAYS[of.weekday()].title()}, {of.day} {MONTHS[of.month - 1].title()} {of.year}"
