"""What an LLM reads of a conversation: a function of its items."""

from collections.abc import Iterable
from functools import lru_cache

from assistant.llm.context import Piece
from assistant.llm.llm import Llm
from assistant.prompt.items import Item, Said, Spoken, System
from assistant.prompt.prompt import Prompt
from assistant.prompt.words import heard

REMEMBERED = 8
"""Instructions whose tokens are kept: a session has one, and now and then a question."""


class Renderer:
    """Pieces of context for items; keeps nothing of the items it has seen."""

    def __init__(self, llm: Llm, prompt: Prompt) -> None:
        """Args:
        llm: shared weights and tokenizer.
        prompt: the preset's template.
        """
        self._llm, self._words = llm, prompt.words
        self._prefix = lru_cache(REMEMBERED)(lambda text: Piece(tuple(prompt.prefix(llm, text))))
        self._around = lru_cache(REMEMBERED)(lambda text: _pair(prompt.turn(llm, text)))
        closing = [] if prompt.words else llm.ids("\n")
        self.end = Piece((llm.end_id, *closing))
        """Ends a reply."""

    def render(self, items: Iterable[Item]) -> list[Piece]:
        """The context for a conversation."""
        return [piece for item in items for piece in self._of(item)]

    def _of(self, item: Item) -> list[Piece]:
        match item:
            case System(text):
                prefix = self._prefix(text)
                return [prefix] if len(prefix) else []
            case Spoken():
                return [*self.opening(item), *self.asking(item)]
            case Said(tokens=tokens):
                return [Piece((*tokens, *self.end.ids))]

    def around(self, instruction: str) -> tuple[Piece, Piece]:
        """What is read before and after what is heard in a turn."""
        return self._around(instruction)

    def opening(self, item: Spoken) -> list[Piece]:
        """What is read of a turn while it is heard."""
        before, _ = self._around(item.instruction)
        return [before, *(Piece(tokens=window.tokens) for window in item.windows)]

    def asking(self, item: Spoken) -> list[Piece]:
        """What is read of a turn once it is over; its reply comes next."""
        _, after = self._around(item.instruction)
        return [Piece(tuple(self._llm.ids(self._text(item)))), after]

    def _text(self, item: Spoken) -> str:
        """What is read as text of what was heard."""
        if self._words:
            return heard(item.sounds, item.until, item.transcript, item.question)
        said = item.transcript.strip()
        return f"\n{said}" if said else ""


def _pair(around: tuple[list[int], list[int]]) -> tuple[Piece, Piece]:
    before, after = around
    return Piece(tuple(before)), Piece(tuple(after))
