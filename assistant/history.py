"""What was said in a conversation, as far as it is kept: the one place that owns it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Literal

from assistant.llm.context import Piece
from assistant.llm.detokenizer import Detokenizer
from assistant.prompt.items import Item, Said, Spoken, System
from assistant.prompt.render import Renderer

Part = Literal["question", "answer"]
"""Of a turn."""


class History:
    """An ordered list of items, the open turn's apart, and what is read of it."""

    def __init__(self, render: Renderer, instruction: str, turns_kept: int) -> None:
        """Args:
        render: says what is read of items.
        instruction: stands before all turns.
        turns_kept: turns that stay at most.
        """
        self._render, self._most = render, turns_kept
        self.items: list[Item] = [System(instruction)]
        """The instruction, then turns that were answered, the oldest first."""

    def instruct(self, instruction: str) -> None:
        """From here on this stands before all turns."""
        self.items[0] = System(instruction)

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
        """A turn was answered."""
        self.items += items

    def forget(self, turn: int, part: Part) -> bool:
        """Take out a part of a turn; whether it was there."""
        kind = Spoken if part == "question" else Said
        kept = [item for item in self.items if not (isinstance(item, kind) and item.turn == turn)]
        found, self.items = len(kept) < len(self.items), kept
        return found

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

    def make_room(self, limit: int | None, needed: int) -> bool:
        """Drop the oldest turns, until there are no more than may be kept.

        Args:
            limit: positions that the LLM's context holds; None: any number.
            needed: positions that are needed besides.

        Returns:
            Whether any was dropped.
        """
        dropped = False
        while turns := {item.turn for item in self.items if not isinstance(item, System)}:
            fits = limit is None or self.positions + needed <= limit
            if fits and len(turns) <= self._most:
                break
            oldest, dropped = min(turns), True
            self.items = [i for i in self.items if isinstance(i, System) or i.turn != oldest]
        return dropped


def positions(pieces: Sequence[Piece]) -> int:
    """How long pieces of context are together."""
    return sum(map(len, pieces))
