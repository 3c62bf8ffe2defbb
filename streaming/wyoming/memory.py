"""What was heard a moment ago, and what was said in conversations: both for a while, and bounded.

Home Assistant hears with one connection and asks with another, and gives the second nothing but the
text that the first one made. So a session that has read a text is kept until the question comes.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from streaming.server.places import Places
from streaming.wyoming.messages import Ids
from streaming.wyoming.place import Place

HEARD_S = 15.0
"""Seconds that a session is kept after it has read a text."""

TALK_S = 300.0
"""Seconds that a conversation is remembered after its last answer, as in Home Assistant."""

TALKS = 64
"""Most conversations that are remembered; the one that was silent longest goes first."""

TURNS = 12
"""Most questions of a conversation that are remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    place: Place
    text: str
    ids: Ids


class Heard:
    """Sessions whose text may be asked about."""

    def __init__(
        self, places: Places, later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        """Args:
        places: which the sessions have; whoever needs one may take the oldest's.
        later: calls something in so many seconds.
        """
        self._places, self._later = places, later
        places.lend(self._spare)
        self._kept: list[_Kept] = []  # the oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, place: Place, ids: Ids, text: str) -> None:
        """Keep a session for a while.

        Args:
            place: the session's.
            ids: whose words these were, as far as that is known.
            text: what it has read.
        """
        kept = _Kept(place, _plain(text), ids)
        self._kept.append(kept)
        self._later(HEARD_S, partial(self._expire, kept))
        self._places.look_again()

    def claim(self, text: str, ids: Ids) -> Place | None:
        """The session that has read a text, which is kept no longer; None: there is none.

        Of several, the one that shares most ids with the question, and of those the one that waited
        longest: satellites in two rooms may be asked the same at once. One with another id is not
        meant.
        """
        plain = _plain(text)
        fit = [k for k in self._kept if k.text == plain and _shared(k.ids, ids) is not None]
        if not fit:
            return None
        best = max(fit, key=lambda kept: _shared(kept.ids, ids) or 0)
        self._kept.remove(best)
        return best.place

    def _expire(self, kept: _Kept) -> None:
        """Give up the place of a session that nobody asked about in time."""
        if kept in self._kept:
            self._kept.remove(kept)
            kept.place.leave()

    def _spare(self, free: bool) -> bool:
        """Whether a session is kept; with `free`, the oldest one is given up."""
        if not self._kept:
            return False
        if free:
            self._kept.pop(0).place.leave()
        return True


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _shared(one: Ids, other: Ids) -> int | None:
    """How many ids both have; None: one of them differs."""
    pairs = zip(one.model_dump().values(), other.model_dump().values(), strict=True)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return None if any(a != b for a, b in both) else len(both)


class Talks:
    """What was asked and answered in conversations."""

    def __init__(self) -> None:
        self._talks: OrderedDict[str, tuple[float, deque[tuple[str, str]]]] = OrderedDict()

    def said(self, name: str | None, now: float) -> list[tuple[str, str]]:
        """Questions and answers of a conversation, the oldest first."""
        while self._talks and next(iter(self._talks.values()))[0] <= now:
            self._talks.popitem(last=False)
        _, turns = self._talks.get(name or "", (now, ()))
        return list(turns)

    def add(self, name: str | None, question: str, answer: str, now: float) -> None:
        """Remember a question and its answer, where the conversation has a name."""
        if not name:
            return
        _, turns = self._talks.pop(name, (now, deque(maxlen=TURNS)))
        turns.append((question, answer))
        self._talks[name] = now + TALK_S, turns
        if len(self._talks) > TALKS:
            self._talks.popitem(last=False)
