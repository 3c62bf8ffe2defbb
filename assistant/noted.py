"""The written side of a conversation: what clients put into it, and take out again."""

from assistant.history import Key
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.prompt.items import Called, Put, Returned, Role, Spoken, System, Written
from assistant.reading import Reading
from assistant.tools.tool import ToolCall


class Noted:
    """A conversation's items beside those that are heard and said; `Conversation` has the rest."""

    def __init__(self, model: Salmonn, system: System, turns_kept: int, most: int) -> None:
        """Args:
        model: shared weights.
        system: stands before all turns.
        turns_kept: past turns that stay in the cache.
        most: tokens of a reply.
        """
        self._reading = Reading(model, system, turns_kept)
        self._history = self._reading.history
        self._most = most
        self._turn: OpenTurn | None = None
        # A transcript has no more tokens than windows, about.
        self._per_window = model.ear.aligner.per_window or 1

    def write(self, ref: str, role: Role, text: str, after: Key | None = None) -> None:
        """Put a client's text into the conversation, known by `ref`, `after` another item; while a
        reply is made, or where there is no such item, behind all."""
        self._put(Written(ref, role, text), after)

    def note_call(self, ref: str, call: ToolCall, after: Key | None = None) -> None:
        """The same with a call of a function."""
        self._put(Called(ref, call), after)

    def note_result(self, ref: str, call: str, output: str, after: Key | None = None) -> None:
        """The same with what came of the call with an id."""
        self._put(Returned(ref, call, output), after)

    def _put(self, item: Put, after: Key | None) -> None:
        needed = 0 if self._turn is None else self._needed(self._turn.item, self._turn.windows)
        self._reading.write(item, after, self._turn, needed)

    def _needed(self, item: Spoken, windows: int) -> int:
        """Positions for a turn and its reply."""
        return self._reading.own(item) + windows * self._per_window + self._most

    def claim(self, waits: bool) -> None:
        """What was written and is not answered waits for a question about it, or no longer."""
        self._reading.claim(waits, self._turn)

    @property
    def is_asked(self) -> bool:
        """Whether something was written that is not answered yet."""
        return self._reading.is_asked

    def answers(self) -> tuple[str, ...]:
        """What was written and is answered by the open turn's reply, by its `ref`."""
        return self._reading.answers(self._open_turn())

    def forget(self, key: Key) -> None:
        """Take an item out of the LLM's context, and of the KV cache; while a reply is made, the
        cache follows when that is over. The turn that is being answered counts."""
        self._reading.forget(key, self._turn)

    def truncate(self, turn: int, characters: int) -> None:
        """Take what is beyond so many characters of an answered turn's reply out of the context."""
        self._reading.truncate(turn, characters, self._turn)

    def _open_turn(self) -> OpenTurn:
        assert self._turn is not None, "no turn is open"
        return self._turn
