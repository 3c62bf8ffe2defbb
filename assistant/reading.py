"""What a conversation's LLM has read: the items of its history, and the KV cache after them."""

from collections.abc import Sequence

from assistant.history import History, Key, keys, positions
from assistant.llm.context import Context, Piece
from assistant.llm.llm import LlmCache
from assistant.model import TIDY_POSITIONS, Salmonn
from assistant.open_turn import OpenTurn
from assistant.prompt.items import Item, Put, Said, Spoken, System, Written, is_asked, is_reply
from assistant.prompt.render import Renderer


class Reading:
    """A history and its context: after each change the cache holds the longest beginning of it
    that is still right."""

    def __init__(self, model: Salmonn, system: System, turns_kept: int) -> None:
        """Args:
        model: shared weights.
        system: stands before all turns.
        turns_kept: past turns that stay at most.
        """
        self._model, self._llm = model, model.llm
        self.render = Renderer(model.llm, model.prompt)
        self.history = History(self.render, system, turns_kept)
        self.context = Context(model.llm, self.ready(system))
        self._turns_kept = turns_kept
        self._later: list[Put] = []  # what was written while a reply was made
        self._claimed: list[Written] = []  # by a question that waits
        self._unwanted: set[Key] = set()  # of the open turn
        self.keep()

    def ready(self, system: System) -> tuple[Piece, LlmCache] | None:
        """What stands before all turns under the preset's own instruction, or shows our own
        functions, in a cache that all conversations share; None: there is none."""
        model = self._model
        if system.offer is not None:
            offered = self.render.render([system])[0]
            return offered, model.begun(offered.ids)
        if model.standing is None:
            return None
        instruction, cache = model.standing
        (piece,) = self.render.render([System(instruction)])
        return piece, cache

    @property
    def closing(self) -> int:
        """Positions of what ends a reply, where replies stay."""
        return len(self.render.end) if self._turns_kept else 0

    def keep(self) -> None:
        """Nothing but the history, as far as it is there."""
        self.context.keep(self.history.pieces())

    def show(self) -> None:
        """All of the history, and nothing else."""
        self.context.show(self.history.pieces())

    def show_heard(self, turn: OpenTurn, item: Spoken) -> None:
        """What stands before a turn, and what was heard of it.

        Raises:
            ContextFullError: they are more than the LLM's context holds.
        """
        before = self.render.render(self._before(turn))
        if not self.context.holds(before):  # a part of it was forgotten
            while self._fill(before):
                pass
        self.context.show([*before, *([] if turn.silent else self.render.opening(item))])

    def show_asked(self, turn: OpenTurn, *, called: bool = True) -> None:
        """A turn that is over: its reply comes next.

        Args:
            turn: it.
            called: after what was called in it, and what came of that.

        Raises:
            ContextFullError: it is more than the LLM's context holds.
        """
        done = turn.done if called else ()
        items = [*self._before(turn), *([] if turn.silent else [turn.whole]), *done]
        self.context.show(self.render.render(items, answered=True), asked=True)

    def apart(self, turn: OpenTurn, system: System) -> LlmCache:
        """The same in a cache of the turn's own, under another system message, after no more than
        the last turn that was answered. What it holds of it already is not computed again.

        Raises:
            ContextFullError: it is more than the LLM's context holds.
        """
        _, *items = self.history.items
        replies = [place for place, item in enumerate(items) if is_reply(item)]
        asked = [place for place in range(replies[-1]) if is_asked(items[place])] if replies else []
        before = [] if turn.alone else items[asked[-1] :] if asked else items
        own = [*([] if turn.silent else [turn.whole]), *turn.done]
        if turn.apart is None:
            turn.apart = Context(self._llm, self.ready(system))
        turn.apart.show(self.render.render([system, *before, *own], answered=True), asked=True)
        return turn.apart.cache

    def _before(self, turn: OpenTurn) -> Sequence[Item]:
        system, *items = self.history.items
        return [turn.system or system, *([] if turn.alone else items)]

    def refill(self) -> bool:
        """Fill the cache with the history by a bounded piece; whether there is more."""
        return self._fill(self.history.pieces())

    def _fill(self, pieces: Sequence[Piece]) -> bool:
        limit = self._llm.context
        if limit is not None and positions(pieces) > limit:
            return False  # turns are dropped when one is opened, or it is refused
        return self.context.fill(pieces, TIDY_POSITIONS)

    def make_room(self, needed: int) -> bool:
        """Drop the oldest turns: so many positions must fit; whether any was."""
        return self.history.make_room(self._llm.context, needed)

    def own(self, item: Spoken) -> int:
        """Positions of a turn's template, and of what is asked in it."""
        asked = len(self._llm.ids(item.asked or "")) if self.render.words else 0
        return positions(self.render.around(self.render.instruction(item))) + asked

    # --- changes

    @property
    def is_asked(self) -> bool:
        """Whether something was written that is not answered yet."""
        put = self.history.unanswered or self.history.returned
        return bool(put or self._later or self._claimed)

    def answers(self, turn: OpenTurn) -> tuple[str, ...]:
        """Texts that are answered by a turn's reply, by their `ref`."""
        if turn.is_notice:
            return ()
        before = self.history.unanswered if self.render.words and not turn.alone else []
        return tuple(text.ref for text in (*before, *turn.item.texts))

    def claim(self, waits: bool, turn: OpenTurn | None) -> None:
        """Users' texts wait for a question about them, or wait no longer: replies before it know
        nothing of them; `turn`: the one that is open."""
        replying = turn is not None and turn.reply is not None
        if not waits:
            claimed, self._claimed = self._claimed, []
            if replying:
                self._later[:0] = claimed
            else:
                self.history.add(*claimed)
        else:
            later = [i for i in self._later if isinstance(i, Written) and i.role == "user"]
            self._later = [item for item in self._later if item not in later]
            before = () if replying else self.history.take_unanswered()
            self._claimed += [*before, *later]
        self._changed(turn)

    def take_asked(self) -> tuple[Written, ...]:
        """Users' texts that are not answered; they become a part of something else."""
        claimed, self._claimed = self._claimed, []
        return (*claimed, *self.history.take_unanswered())

    def write(self, written: Put, after: Key | None, turn: OpenTurn | None, needed: int) -> None:
        """What a client wrote is a part of the conversation; while a reply is made, behind it.

        Args:
            written: it.
            after: the item that it follows.
            turn: the one that is open.
            needed: positions for that turn.
        """
        if turn is not None and turn.reply is not None:
            self._later.append(written)
            return
        self.history.put(written, after)
        if turn is not None:
            self.make_room(needed)
        self._changed(turn)

    def forget(self, key: Key, turn: OpenTurn | None) -> None:
        """An item goes; `turn`: the one that is open."""
        self._later = [item for item in self._later if item.ref != key]
        self._claimed = [text for text in self._claimed if text.ref != key]
        if turn is not None and key in keys(turn.item, *_answer(turn)):
            self._unwanted.add(key)
        if self.history.forget(key):
            self._changed(turn)

    def truncate(self, answered: int, characters: int, turn: OpenTurn | None) -> None:
        """Of a reply no more than so many characters stay.

        Args:
            answered: whose reply.
            characters: of its text.
            turn: the one that is open.
        """
        if self.history.truncate(answered, self._llm.detokenizer(), characters):
            self._changed(turn)

    def _changed(self, turn: OpenTurn | None) -> None:
        """The cache follows the history; where a reply was begun, when that is over."""
        if turn is None:
            self.keep()
        elif turn.reply is None:
            self.show_heard(turn, turn.item)

    def close(self, turn: OpenTurn, answer: Sequence[Item], needed: int) -> None:
        """A turn was answered.

        Args:
            turn: it.
            answer: its reply and the calls in it, as far as it was given out.
            needed: positions for the next one.
        """
        # Where texts are not read in their own place, only a typed question answers them.
        waiting = () if self.render.words else self.history.take_unanswered()
        closed = self._closed(turn, answer)
        if turn.is_notice:
            self.history.add_aside(*closed)
        else:
            self.history.add(*closed)
        for key in self._unwanted:
            self.history.forget(key)
        self.history.add(*waiting, *self._later)
        dropped = self.make_room(needed)
        changed = turn.alone or turn.system or dropped or self._unwanted or self._later
        follows = bool(answer) and answer[-1] in closed and not (changed or turn.is_notice)
        self._later, self._unwanted = [], set()
        if follows:
            self.show()
        else:
            self.keep()

    def drop(self) -> None:
        """A turn was not answered."""
        self._unwanted = set()
        self.keep()

    def _closed(self, turn: OpenTurn, answer: Sequence[Item]) -> list[Item]:
        """What stays of a turn."""
        if turn.is_notice:
            return [*answer] if self._turns_kept else []
        whole = turn.whole
        if not turn.kept:
            heard = [whole] if turn.uttered and self._turns_kept else whole.texts
            return [] if turn.alone else [*heard]
        if not self._turns_kept:
            self.history.clear()
            return []
        if turn.alone or turn.silent:
            return [*answer]
        return [whole, *answer] if self._fits(whole) else []

    def _fits(self, question: Spoken) -> bool:
        """Whether what ends a reply fits after a turn's prompt."""
        limit, asked = self._llm.context, positions(self.render.render([question], answered=True))
        return limit is None or self.history.positions + asked + len(self.render.end) <= limit


def _answer(turn: OpenTurn) -> Sequence[Item]:
    return [Said(turn.item.turn, ())] if turn.reply is None else turn.answer(None)
