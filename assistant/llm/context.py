"""An LLM's context as a list of pieces, and the KV cache that follows it.

    context.show(pieces)        # the cache holds these: what it had of them is kept
    context.fill(pieces, 32)    # the same, a few positions at a time

Whoever has a conversation says what its context is, as a whole; that what stays is not computed
again is this file's business alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from assistant.llm.llm import Llm, LlmCache


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of the context that stays or goes as a whole."""

    ids: tuple[int, ...] = ()
    """Token ids."""

    tokens: Tensor | None = None
    """Audio tokens in their place, (n, LLM width); the same tensor is the same piece."""

    def __len__(self) -> int:
        return len(self.ids) if self.tokens is None else len(self.tokens)

    def is_as(self, other: "Piece") -> bool:
        """Whether both hold the same."""
        if self.tokens is None and other.tokens is None:
            return self.ids == other.ids
        return self.tokens is other.tokens


class Context:
    """What one conversation's LLM has read, and its KV cache.

    The cache holds a prefix of the pieces that were shown last, and after it, while a reply is
    made, the reply's tokens; whatever is shown next drops those.
    """

    def __init__(self, llm: Llm, ready: tuple[Piece, LlmCache] | None = None) -> None:
        """Args:
        llm: shared weights.
        ready: a first piece, and a cache that holds it, to be copied; None: all is computed here.
        """
        self._llm, self._ready = llm, ready
        self.cache = llm.cache()
        """Keys and values; whoever makes a reply takes its tokens from here."""

        self._held: list[Piece] = []
        self._next: tuple[Piece, int] | None = None  # a piece of which some positions are there

    def holds(self, pieces: Sequence[Piece]) -> bool:
        """Whether all of `pieces` are there, whatever comes after them."""
        return self._common(pieces) == len(pieces)

    def _common(self, pieces: Sequence[Piece]) -> int:
        """How many of `pieces`, from the first on, are there as a whole."""
        count = 0
        for held, wanted in zip(self._held, pieces, strict=False):
            if not held.is_as(wanted):
                break
            count += 1
        return count

    def keep(self, pieces: Sequence[Piece]) -> None:
        """Forget all but the longest beginning of `pieces` that is there."""
        count = self._common(pieces)
        begun = 0
        if self._next is not None and count == len(self._held) < len(pieces):
            piece, filled = self._next
            begun = filled if piece.is_as(pieces[count]) else 0
        self._held = self._held[:count]
        self._next = (pieces[count], begun) if begun else None
        if not count and not begun and self._is_ready(pieces):
            assert self._ready is not None
            self.cache, self._held = self._ready[1].fork(), [pieces[0]]
        else:
            self.cache.truncate(sum(map(len, self._held)) + begun)

    def _is_ready(self, pieces: Sequence[Piece]) -> bool:
        return self._ready is not None and bool(pieces) and pieces[0].is_as(self._ready[0])

    def show(self, pieces: Sequence[Piece]) -> None:
        """Hold `pieces` and nothing else; what is missing goes in together, in one pass, which
        costs much the same for few and for many. A text that begins as the one that stood in its
        place is computed from where it differs on.

        Raises:
            ContextFullError: they are more than the LLM's context holds.
        """
        place = self._common(pieces)
        begun = self._shared(pieces, place)
        if begun:
            self._held, self._next = self._held[:place], None
            self.cache.truncate(sum(map(len, self._held)) + begun)
        else:
            self.keep(pieces)
        assert self._next is None, "fill() comes to its end first"
        missing = pieces[len(self._held) :]
        if missing:
            self.cache.extend(torch.cat([self._embeds(piece) for piece in missing])[begun:])
            self._held += missing

    def _shared(self, pieces: Sequence[Piece], place: int) -> int:
        """Token ids that both texts at a place begin with: the one that is there, and the one that
        is wanted. None are shared at the first place, which `fill` may have in part."""
        if not 0 < place < min(len(self._held), len(pieces)):
            return 0
        pairs = zip(self._held[place].ids, pieces[place].ids, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def fill(self, pieces: Sequence[Piece], most: int) -> bool:
        """Go on towards `pieces` by at most so many positions, none of two pieces together: so
        where a pass begins and ends never depends on when it was done.

        Returns:
            Whether there is more to do.

        Raises:
            ContextFullError: they are more than the LLM's context holds.
        """
        self.keep(pieces)
        if len(self._held) < len(pieces):
            piece = pieces[len(self._held)]
            begun = 0 if self._next is None else self._next[1]
            part = self._embeds(piece)[begun : begun + most]
            self.cache.extend(part)
            begun += len(part)
            self._next = (piece, begun) if begun < len(piece) else None
            if self._next is None:
                self._held.append(piece)
        return len(self._held) < len(pieces)

    def _embeds(self, piece: Piece) -> Tensor:
        if piece.tokens is None:
            return self._llm.embed(list(piece.ids))
        return self._llm.take(piece.tokens)
