"""What was said in a conversation, as far as it is kept: the one place that owns it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Literal

from assistant.llm.context import Piece
from assistant.llm.detokenizer import Detokenizer
from assistant.prompt.items import (
    Called,
    Item,
    Returned,
    Said,
    Spoken,
    System,
    Written,
    is_reply,
)
from assistant.prompt.render import Renderer

Part = Literal["question", "answer"]
"""Of a turn."""

Key = str | tuple[int, Part]
"""What an item is known by: what a client put there, and a call, by its `ref`, a part of a turn by
the turn's number."""

ROOT = "root"
"""The place before all items but the instruction."""


class History:
    """An ordered list of items, the open turn's apart, and what is read of it."""

    def __init__(self, render: Renderer, system: System, turns_kept: int) -> None:
        """Args:
        render: says what is read of items.
        system: stands before all turns.
        turns_kept: turns that stay at most; a client's texts up to the next reply are one, too.
        """
        self._render, self._most = render, turns_kept
        self.items: list[Item] = [system]
        """The instruction, then what was said and written, the oldest first."""

    def instruct(self, system: System) -> None:
        """From here on this stands before all turns."""
        self.items[0] = system

    def pieces(self) -> list[Piece]:
        """What is read of it all."""
        return self._render.render(self.items)

    @property
    def standing(self) -> int:
        """Positions of what stands before all turns."""
        return positions(self._render.render(self.items[:1]))

    @property
    def positions(self) -> int:
        """Of all that is read."""
        return positions(self.pieces())

    def add(self, *items: Item) -> None:
        """They come after all others."""
        self.items += items

    def add_aside(self, *items: Item) -> None:
        """They come before what is not answered yet, which they do not answer."""
        waiting = self._since_reply()
        place = len(self.items) - len(waiting)
        while any(isinstance(i, Returned) for i in waiting) and isinstance(
            self.items[place - 1], Called
        ):
            place -= 1  # a call and what came of it stay together
        self.items[place:place] = items

    def put(self, item: Item, after: Key | None) -> None:
        """It comes after another one, or after all where there is no such item."""
        place = next((n for n, other in enumerate(self.items) if after in keys(other)), None)
        self.items.insert(len(self.items) if place is None else place + 1, item)

    @property
    def unanswered(self) -> list[Written]:
        """Users' texts that no reply follows."""
        return [i for i in self._since_reply() if isinstance(i, Written) and i.role == "user"]

    @property
    def returned(self) -> bool:
        """Whether what came of a call is the last thing, and no reply follows it."""
        return any(isinstance(item, Returned) for item in self._since_reply())

    def take_unanswered(self) -> tuple[Written, ...]:
        """They become a part of something else."""
        taken = tuple(self.unanswered)
        self.items = [item for item in self.items if item not in taken]
        return taken

    def _since_reply(self) -> list[Item]:
        last = max((n for n, item in enumerate(self.items) if is_reply(item)), default=0)
        return self.items[last + 1 :]

    def forget(self, key: Key) -> bool:
        """Take out an item; whether it was there. Texts that were typed about a turn stay when what
        was heard in it goes, where the LLM reads words."""
        kept: list[Item] = []
        for item in self.items:
            kept += self._without(key, item)
        found, self.items = kept != self.items, kept
        return found

    def _without(self, key: Key, item: Item) -> Iterator[Item]:
        if key not in keys(item):
            yield item
        elif isinstance(item, Spoken) and key == (item.turn, "question"):
            yield from item.texts if self._render.words else ()
        elif isinstance(item, Spoken):
            texts = tuple(text for text in item.texts if text.ref != key)
            if texts or item.question is not None:
                yield replace(item, texts=texts)

    def truncate(self, turn: int, text: Detokenizer, characters: int) -> bool:
        """Leave no more of a reply than so many characters; whether that is less than there was.

        Args:
            turn: whose reply.
            text: fresh; tells the text of tokens.
            characters: of its text.
        """
        for place, item in enumerate(self.items):
            if isinstance(item, Said) and item.turn == turn:
                lengths = accumulate(len(text.push(token)) for token in item.tokens)
                kept = sum(length <= characters for length in lengths)
                self.items[place] = replace(item, tokens=item.tokens[:kept])
                return kept < len(item.tokens)
        return False

    def clear(self) -> None:
        """Nothing of it is kept but the instruction."""
        del self.items[1:]

    def make_room(self, limit: int | None, needed: int) -> bool:
        """Drop the oldest turns, until there are no more than may be kept.

        Args:
            limit: positions that the LLM's context holds; None: any number.
            needed: positions that are needed besides.

        Returns:
            Whether any was dropped.
        """
        dropped = False
        while turns := [*self._turns()]:
            fits = limit is None or self.positions + needed <= limit
            answered = sum(is_reply(turn[-1]) for turn in turns)
            if fits and answered <= self._most:
                break
            del self.items[1 : 1 + len(turns[0])]
            dropped = True
        return dropped

    def _turns(self) -> Iterator[list[Item]]:
        """What was asked, up to its reply and with it; what is not answered yet comes last."""
        turn: list[Item] = []
        for item in self.items[1:]:
            if turn and is_reply(turn[-1]) and not (is_reply(item) or isinstance(item, Returned)):
                yield turn
                turn = []
            turn.append(item)
        if turn:
            yield turn


def keys(*items: Item) -> list[Key]:
    """What items are known by, and what stands in them."""
    found: list[Key] = []
    for item in items:
        match item:
            case System():
                found.append(ROOT)
            case Written(ref=ref) | Called(ref=ref) | Returned(ref=ref):
                found.append(ref)
            case Said(turn):
                found.append((turn, "answer"))
            case Spoken(turn=turn, texts=texts):
                found += [(turn, "question"), *(text.ref for text in texts)]
    return found


def positions(pieces: Sequence[Piece]) -> int:
    """How long pieces of context are together."""
    return sum(map(len, pieces))
