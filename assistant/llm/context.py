"""An LLM's context as a list of pieces, and the KV cache that follows it.

    context.show(pieces)        # the cache holds these; the common prefix is not computed again
    context.fill(pieces, 32)    # the same, at most 32 positions at a time

Callers always state the whole context; reusing the cache is the business of this file alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from assistant.llm.llm import Llm, LlmCache


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of the context that is kept or dropped as a whole."""

    ids: tuple[int, ...] = ()
    """Token ids of a piece of text."""

    tokens: Tensor | None = None
    """Audio tokens, (n, LLM width), instead of `ids`; pieces are the same if their tensor object
    is."""

    def __len__(self) -> int:
        return len(self.ids) if self.tokens is None else len(self.tokens)

    def is_as(self, other: "Piece") -> bool:
        """Whether both pieces have the same contents."""
        if self.tokens is None and other.tokens is None:
            return self.ids == other.ids
        return self.tokens is other.tokens


class Context:
    """The context of one conversation, and its KV cache.

    The cache holds a prefix of the pieces that were last shown. While a reply is made, the reply's
    tokens follow it; the next `show` or `fill` drops them.
    """

    def __init__(self, llm: Llm, ready: tuple[Piece, LlmCache] | None = None) -> None:
        """Args:
        llm: shared weights.
        ready: a first piece, and a cache that holds it and is copied; None: it is computed here.
        """
        self._llm, self._ready = llm, ready
        self.cache = llm.cache()
        """The KV cache, from which a reply takes its tokens."""

        self._held: list[Piece] = []
        self._next: tuple[Piece, int] | None = None  # a piece of which some positions are there

    def holds(self, pieces: Sequence[Piece]) -> bool:
        """Whether the cache begins with all of `pieces`."""
        return self._common(pieces) == len(pieces)

    def _common(self, pieces: Sequence[Piece]) -> int:
        """How many of the first `pieces` the cache holds, as a whole each."""
        count = 0
        for held, wanted in zip(self._held, pieces, strict=False):
            if not held.is_as(wanted):
                break
            count += 1
        return count

    def keep(self, pieces: Sequence[Piece]) -> None:
        """Cut the cache back to its longest common prefix with `pieces`."""
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

    def show(self, pieces: Sequence[Piece], *, asked: bool = False) -> None:
        """Hold exactly `pieces`. Missing ones are prefilled in one pass, since one long pass costs
        less than several short ones. A text that begins as the one that stood in its place is
        computed from where it differs on.

        Args:
            pieces: the whole context.
            asked: what comes next is wanted: the last piece is computed again where a reply, or
                anything else, has followed it.

        Raises:
            ContextFullError: they are longer than the LLM's context.
        """
        place = self._common(pieces)
        begun = self._shared(pieces, place)
        if begun:
            self._held, self._next = self._held[:place], None
            self.cache.truncate(sum(map(len, self._held)) + begun)
        else:
            self.keep(pieces)
        assert self._next is None, "fill() comes to its end first"
        if asked and len(self._held) == len(pieces) and not self.cache.is_read:
            self.keep(pieces[:-1])
            begun = 0
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
        """Prefill at most `most` positions towards holding `pieces`, all of one piece. So the
        passes are the same whenever they are made, and so are the results.

        Returns:
            Whether there is more to do.

        Raises:
            ContextFullError: the pieces are longer than the LLM's context.
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
