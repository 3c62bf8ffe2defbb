"""What an LLM reads of a conversation: a function of its items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from assistant.llm.context import Piece
from assistant.llm.llm import Llm
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
from assistant.prompt.prompt import Prompt
from assistant.prompt.words import heard
from assistant.tools.form import HERMES, Form

REMEMBERED = 8
"""Instructions whose tokens are kept: a session has one, and now and then a question."""


@dataclass(frozen=True, slots=True)
class _Roles:
    """Token ids around texts, where the LLM's own template is followed."""

    closed: Piece
    begun: Piece
    note: tuple[tuple[int, ...], tuple[int, ...]]
    calls: Form
    returned: tuple[str, str, str]


class Renderer:
    """Pieces of context for items; keeps nothing of the items it has seen."""

    def __init__(self, llm: Llm, prompt: Prompt) -> None:
        """Args:
        llm: shared weights and tokenizer.
        prompt: the preset's template.
        """
        self._llm, self._prompt = llm, prompt
        self.words = prompt.words
        """Texts are read in their own place; otherwise only as what is asked about a turn."""

        self._prefix = lru_cache(REMEMBERED)(self._prefix_of)
        self._around = lru_cache(REMEMBERED)(lambda text: _pair(prompt.turn(llm, text)))
        self._roles = lru_cache(REMEMBERED)(self._roles_of)
        closing = [] if prompt.words else llm.ids("\n")
        self.end = Piece((llm.end_id, *closing))
        """Ends a reply."""

    def render(self, items: Sequence[Item], *, answered: bool = False) -> list[Piece]:
        """The context for a conversation.

        Args:
            items: of it, in order.
            answered: a reply comes next.
        """
        pieces: list[Piece] = []
        replies = [*map(is_reply, items), answered]
        instruction = next((item.text for item in items if isinstance(item, System)), "")
        around = zip([None, *items], items, [*items[1:], None], strict=False)
        for n, (before, item, after) in enumerate(around):
            goes_on = isinstance(item, Called) and n and replies[n - 1]
            if replies[n] and self.words and n and not (goes_on or _is_asked(items[n - 1])):
                pieces.append(self._roles(instruction).begun)
            if not isinstance(item, Called | Returned):
                pieces += self._of(item, after, instruction, replies[n + 1])
            elif self.words:
                pieces += self._of_call(before, item, after, instruction)
        if answered and self.words and items and not _is_asked(items[-1]):
            pieces.append(self._roles(instruction).begun)
        return pieces

    def _of(
        self, item: Item, after: Item | None, instruction: str, answered: bool
    ) -> Iterator[Piece]:
        """What is read of an item; `after`: the next one; `answered`: a reply follows it."""
        match item:
            case System():
                yield from self._prefix(item)
            case Spoken():
                yield from self._heard(item)
                yield self._piece(self._text(item))
                yield self._after(self.instruction(item), answered)
            case Said(tokens=tokens):
                yield Piece((*tokens, *self._end(after)))
            case Written() if not self.words:
                return
            case Written(role="user", text=text):
                yield self._around(instruction)[0]
                yield self._piece(text)
                yield self._after(instruction, answered)
            case Written(role="assistant", text=text):
                yield Piece((*self._llm.ids(text), *self._end(after)))
            case Written(text=text):
                begin, end = self._roles(instruction).note
                yield Piece((*begin, *self._llm.ids(text), *end))

    def _of_call(
        self, before: Item | None, item: Called | Returned, after: Item | None, instruction: str
    ) -> Iterator[Piece]:
        """What is read of a call, or of what came of one; those in a row are one message."""
        roles = self._roles(instruction)
        if isinstance(item, Called):
            again = roles.calls.again if before is not None and is_reply(before) else ""
            text = again + roles.calls.written(item.call.name, item.call.arguments)
            yield Piece((*self._llm.ids(text), *self._end(after)))
            return
        first, between, last = roles.returned
        begin = between if isinstance(before, Returned) else first
        yield self._piece(begin + item.output + ("" if isinstance(after, Returned) else last))

    def _end(self, after: Item | None) -> tuple[int, ...]:
        """What ends a reply; a call that follows it is a part of it."""
        return () if self.words and isinstance(after, Called) else self.end.ids

    def around(self, instruction: str) -> tuple[Piece, Piece]:
        """What is read before and after what is heard in a turn."""
        return self._around(instruction)

    def opening(self, item: Spoken) -> list[Piece]:
        """What is read of a turn while it is heard; an LLM that reads words has the transcript as
        it is so far."""
        draft = [self._piece(self._text(item))] if self.words and item.transcript else []
        return [*self._heard(item), *draft]

    def _heard(self, item: Spoken) -> Iterator[Piece]:
        """What stands before a turn, and its audio."""
        before, _ = self._around(self.instruction(item))
        yield before
        yield from (Piece(tokens=window.tokens) for window in item.windows if len(window.tokens))

    def instruction(self, item: Spoken) -> str:
        """What stands in the template around a turn: what is asked about it in place of what is
        asked about every one, unless the LLM is told of it in words."""
        return item.instruction if self.words else item.asked or item.instruction

    def _after(self, instruction: str, answered: bool) -> Piece:
        if answered or not self.words:
            return self._around(instruction)[1]
        return self._roles(instruction).closed

    def _text(self, item: Spoken) -> str:
        """What is read as text of what was heard."""
        if self.words:
            return heard(item.sounds, item.until, item.transcript, item.asked)
        said = item.transcript.strip()
        return f"\n{said}" if said else ""

    def _piece(self, text: str) -> Piece:
        return Piece(tuple(self._llm.ids(text)))

    def _prefix_of(self, system: System) -> list[Piece]:
        """What stands before all turns; where functions of our own are offered, what is asked about
        every turn comes after them, so that what is long is the same in every session."""
        prompt, llm, said = self._prompt, self._llm, system.text
        if system.offer is None:
            ids = prompt.prefix(llm, said, system.tools)
            return [Piece(tuple(ids))] if ids else []
        offered = Piece(tuple(prompt.offering(llm, system.offer, system.tools)))
        if said in ("", prompt.usual):
            return [offered]
        begin, end = self._roles(said).note
        return [offered, Piece((*begin, *llm.ids(said), *end))]

    def _roles_of(self, instruction: str) -> _Roles:
        chat = self._prompt.roles(self._llm, instruction)
        if chat is None:  # a template of the preset's own knows of one turn only
            before, after = self._around(instruction)
            return _Roles(after, Piece(), (before.ids, after.ids), HERMES, ("", "", ""))
        noted, closed = map(self._piece, chat.note)
        around = noted.ids, closed.ids
        form = self._prompt.calls(self._llm) or HERMES
        closed_piece, begun = self._piece(chat.closed), self._piece(chat.begun)
        return _Roles(closed_piece, begun, around, form, chat.returned)


def _is_asked(item: Item) -> bool:
    """Whether what is read of it ends with the beginning of a reply, where one follows."""
    return isinstance(item, Spoken) or (isinstance(item, Written) and item.role == "user")


def _pair(around: tuple[list[int], list[int]]) -> tuple[Piece, Piece]:
    before, after = around
    return Piece(tuple(before)), Piece(tuple(after))
