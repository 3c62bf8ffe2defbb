"""One session's side of the model: a hearing, and a conversation in a KV cache.

What was heard goes into the cache window by window while the user speaks. A pause is a guess that
the turn is over: what it adds is provisional, and `resume` takes it and everything said on it back,
as if nothing had happened.

A conversation is a list of items (`History`). What the LLM reads is a function of them
(`Renderer`), and the cache follows it (`Context`): nothing else knows what is in there.
"""

from dataclasses import replace

import torch

from assistant.captions.captioner import Captioner
from assistant.config import GenerationConfig
from assistant.ear.hearing import Hearing
from assistant.ear.tagger import Tagger
from assistant.errors import ConfigError
from assistant.history import History, Part, positions
from assistant.llm.context import Context, Piece
from assistant.llm.llm import LlmCache
from assistant.model import TIDY_POSITIONS, Salmonn
from assistant.open_turn import FirstUtterance, OpenTurn
from assistant.prompt.items import Item, Said, Spoken, System
from assistant.prompt.render import Renderer
from assistant.reply import Reply, drawn
from assistant.sound.recording import Samples


class Conversation:
    """Hears a stream and answers turns about it; weights are the shared `Salmonn`'s."""

    def __init__(
        self,
        model: Salmonn,
        instruction: str,
        generation: GenerationConfig | None = None,
        *,
        turns_kept: int = 0,
        captions: bool = False,
        ring_s: float = 30.0,
        silence_db: float = -65.0,
        sound_events: bool = False,
    ) -> None:
        """Args:
        model: shared weights.
        instruction: what is asked about every turn.
        generation: replaces the preset's; beams are not searched, since a streamed answer cannot
            take words back.
        turns_kept: past turns that stay in the cache.
        captions: read what is said, too.
        ring_s: seconds of what was heard that are kept.
        silence_db: see `Hearing`.
        sound_events: name sounds as they begin.

        Raises:
            ConfigError: the preset has no `sound_tagger` to name them with.
        """
        self._model, self._llm = model, model.llm
        self._generation = generation or model.config.generation
        self._instruction, self._turns_kept = instruction, turns_kept
        self._words = model.config.reads == "words"
        self._events, self._shown = sound_events, captions
        self._hearing = Hearing(model.ear, ring_s, silence_db, self._tagger(sound_events))
        self._render = Renderer(model.llm, model.prompt)
        self._context = Context(model.llm, self._ready())
        self._history = History(self._render, instruction, turns_kept)
        self._answered = 0  # turns
        self._unwanted: set[Part] = set()  # of the open turn
        self._turn: OpenTurn | None = None
        self._two_ears = self._words or model.config.aligner.transcript
        # A transcript has no more tokens than windows, about.
        self._per_window = model.ear.aligner.per_window or 1
        self._captions = model.captions if captions or self._two_ears else None
        self._utterance = FirstUtterance()
        self._context.keep(self._history.pieces())

    def _ready(self) -> tuple[Piece, LlmCache] | None:
        """What stands before all turns under the preset's own instruction, in a cache."""
        if self._model.standing is None:
            return None
        instruction, cache = self._model.standing
        (piece,) = self._render.render([System(instruction)])
        return piece, cache

    def _tagger(self, events: bool) -> Tagger | None:
        """An LLM that reads words is told of sounds whether a client is or not."""
        if events and self._model.tagger is None:
            raise ConfigError("turns.sound_events: the preset has no sound_tagger")
        return self._model.tagger if events or self._words else None

    @property
    def turn(self) -> int:
        """Turns answered so far: the number of the open one, counted from 0, if it is answered."""
        return self._answered

    @property
    def heard(self) -> int:
        """Samples of the stream so far."""
        return self._hearing.heard

    def hear(self, samples: Samples) -> int:
        """Take samples of the stream and encode the blocks they complete.

        Returns:
            Windows of the open turn that wait to be prefilled.
        """
        windows = self._hearing.push(torch.from_numpy(samples))
        return 0 if self._turn is None else self._turn.hear(windows)

    def sounds(self) -> list[tuple[int, int, str, float]]:
        """Sounds that began in what `hear` was given last: first sample, one past the last, name,
        probability."""
        if not self._events:
            return []
        return [(s.begin, s.end, s.name, round(s.probability, 3)) for s in self._hearing.sounds]

    def configure(
        self,
        instruction: str | None = None,
        max_new_tokens: int | None = None,
        captions: bool | None = None,
        sound_events: bool | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
    ) -> None:
        """Other settings for the turns to come; None leaves one as it is.

        Args:
            instruction: what is asked about every turn.
            max_new_tokens: of a reply.
            captions: read what is said, too.
            sound_events: name sounds as they begin.
            temperature: of sampling; 0 takes the likeliest token, always.
            top_p: probability mass sampled from, over 0 and at most 1.

        Raises:
            ComponentError: captions are wished, and the preset's Whisper has no decoder.
            ConfigError: sounds are to be named, and the preset has no `sound_tagger`.
        """
        if sound_events is not None:
            self._hearing.name_sounds(self._tagger(sound_events))
            self._events = sound_events
        if instruction is not None:
            self._instruction = instruction
        self._generation = drawn(self._generation, max_new_tokens, temperature, top_p)
        if captions is not None:
            self._shown = captions
            self._captions = self._model.captions if captions or self._two_ears else None

    def open(
        self, since: int, instruction: str | None = None, spoken_from: int | None = None
    ) -> int:
        """Begin a turn about what was heard from stream sample `since` on.

        Args:
            since: windows that end after it belong to the turn.
            instruction: replaces the session's, as a typed question does.
            spoken_from: first sample of the utterance; captions begin there.

        Returns:
            Windows that wait to be prefilled.

        Raises:
            ContextFullError: the prompt alone is more than the LLM's context holds.
        """
        self._history.instruct(self._instruction)
        asked = instruction if self._words else None
        wanted = self._instruction if instruction is None or self._words else instruction
        if self._words:
            spoken_from = self._utterance.since(since, spoken_from)
        length = self._model.ear.spans.window
        recent = [w for w in self._hearing.windows if w.at + length > since]
        item = Spoken(self._answered, wanted, (), since, question=asked)
        own = positions(self._render.around(wanted)) + len(self._llm.ids(asked or ""))
        self._llm.room(self._history.standing + own)
        self._make_room(own + len(recent) * self._per_window)
        while self.tidy():
            pass
        turn = OpenTurn(item, self._generation.max_new_tokens)
        if self._captions is not None and spoken_from is not None:
            turn.captioner, turn.spoken_from = Captioner(self._captions), spoken_from - length
        turn.take(recent)
        self._context.show([*self._history.pieces(), *self._render.opening(item)])
        self._turn, self._unwanted = turn, set()
        return len(recent)

    def instruct(self, instruction: str | None) -> None:
        """Ask something else about the open turn: the same windows, in another prompt.

        Args:
            instruction: replaces the one it was opened with; None: the same again, a reply that was
                begun is forgotten.

        Raises:
            ContextFullError: the prompt and the windows are more than the LLM's context holds.
        """
        turn = self._open_turn()
        turn.reply = None
        if instruction is not None and self._words:
            turn.item = replace(turn.item, question=instruction)
        elif instruction is not None:
            turn.waiting = [*turn.item.windows, *turn.waiting]
            turn.item = replace(turn.item, instruction=instruction, windows=())
        self._show_heard(turn)

    def limit(self, max_new_tokens: int) -> None:
        """Tokens of the open turn's reply, in place of the session's; before `ask`."""
        turn = self._open_turn()
        assert turn.reply is None, "limit() comes before ask()"
        turn.most = max_new_tokens

    def prefill(self) -> int:
        """Put the waiting windows into the KV cache; while paused, the provisional ones after them.

        Returns:
            Windows of this turn in it now.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        whole = turn.whole
        self._context.show([*self._history.pieces(), *self._render.opening(whole)])
        return len(whole.windows)

    def _settle(self, turn: OpenTurn) -> None:
        """Apart from what is provisional: the keys are the same whether there is any or not."""
        if turn.waiting:
            turn.settle()
            self._show_heard(turn)

    def _show_heard(self, turn: OpenTurn) -> None:
        """The context is what was heard of the turn, without what is provisional."""
        if not self._context.holds(self._history.pieces()):  # a part of it was forgotten
            while self._refill():
                pass
        self._context.show([*self._history.pieces(), *self._render.opening(turn.item)])

    def pause(self) -> int:
        """The turn may be over: encode the open block as it is. What is heard next is not in it.

        Returns:
            Provisional windows.
        """
        turn = self._open_turn()
        assert turn.ahead is None, "pause() twice without resume()"
        ahead = self._hearing.peek()
        turn.pause(ahead, self._hearing.heard, self._hearing.peeked, read=self._two_ears)
        return len(ahead)

    def ask(self) -> int:
        """Prefill what is missing and the prompt's end: the next thing is the first token.

        Returns:
            Windows of this turn.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        self._context.show([*self._history.pieces(), *self._render.render([turn.whole])])
        end = len(self._render.end) if self._turns_kept else 0  # has to fit where a reply is kept
        cache = self._context.cache
        turn.reply = Reply(self._llm, cache, self._generation, turn.most, end)
        return len(turn.whole.windows)

    def text_tokens(self) -> int:
        """Positions of the open turn that are not audio tokens; `ask` was called."""
        pieces = self._render.render([self._open_turn().whole])
        return sum(len(piece) for piece in pieces if piece.tokens is None)

    def resume(self) -> int:
        """The turn goes on: take back what `pause`, `ask` and `token` did.

        Returns:
            Windows that wait to be prefilled.
        """
        turn = self._open_turn()
        turn.resume()
        self._show_heard(turn)
        return len(turn.waiting)

    def token(self) -> str | None:
        """The next token of the reply.

        Returns:
            Its text, empty while a character is incomplete; None when there are no more.
        """
        return self._reply().token()

    def cut_short(self) -> bool:
        """Whether the reply ended at its limit, or at that of the LLM's context."""
        return self._reply().cut_short

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        """Read what is said in this turn.

        Args:
            last: the turn is over.

        Returns:
            Text that came to be settled, and what follows it for now; None without captions.
        """
        turn = self._open_turn()
        return turn.caption(last=last) if self._shown else None

    def close(self, said: int | None = None) -> None:
        """The turn was answered; `said`: tokens of the reply that were given out, when it was
        interrupted: the others are forgotten."""
        turn = self._open_turn()
        answer = Said(self._answered, tuple(self._reply().said[:said]))
        question = turn.whole
        self._turn, self._answered = None, self._answered + 1
        if self._turns_kept and self._fits(question):
            parts: dict[Part, Item] = {"question": question, "answer": answer}
            self._history.add(*(parts[name] for name in parts if name not in self._unwanted))
            ring = self._hearing.most_windows * self._per_window
            dropped = self._make_room(positions(self._render.around(self._instruction)) + ring)
            if not dropped and not self._unwanted:
                self._context.show(self._history.pieces())
                return
        self._context.keep(self._history.pieces())

    def _fits(self, question: Spoken) -> bool:
        """Whether what ends a reply fits after a turn's prompt."""
        limit, asked = self._llm.context, positions(self._render.render([question]))
        end = len(self._render.end)
        return limit is None or self._history.positions + asked + end <= limit

    def drop(self) -> None:
        """The turn is over without an answer, and was never there."""
        self._open_turn()
        self._turn = None
        self._context.keep(self._history.pieces())

    def forget(self, turn: int, part: Part) -> None:
        """Take a part of a turn out of the LLM's context; the KV cache follows, after a reply that
        is being made.

        Args:
            turn: which of those that were answered, counted from 0; the one that is being answered
                counts.
            part: of it.
        """
        if turn == self._answered:
            self._unwanted.add(part)
        if self._history.forget(turn, part):
            self._follow_history()

    def _follow_history(self) -> None:
        if self._turn is None:
            self._context.keep(self._history.pieces())
        elif self._turn.reply is None:  # otherwise the prompt is what it is
            self._show_heard(self._turn)

    def truncate(self, turn: int, characters: int) -> None:
        """Take what is beyond so many characters of an answered turn's reply out of the context."""
        if self._history.truncate(turn, self._llm.detokenizer(), characters):
            self._follow_history()

    def unhear(self, since: int, until: int) -> None:
        """Stream samples that no turn from now on is about."""
        self._hearing.forget(since, until)

    def tidy(self) -> bool:
        """Go on filling the cache with what was said, after another instruction was given or the
        oldest turns were dropped: a bounded piece of it, the same ones whenever it is done.

        Returns:
            Whether there is more to do. `open` does what is left.
        """
        self._history.instruct(self._instruction)
        return self._refill()

    # --- the context

    def _refill(self) -> bool:
        """Fill the cache with what was said by a bounded piece; whether there is more."""
        limit = self._llm.context
        if limit is not None and self._history.positions > limit:
            return False  # `open` drops turns, or refuses
        return self._context.fill(self._history.pieces(), TIDY_POSITIONS)

    def _make_room(self, needed: int) -> bool:
        """Drop the oldest turns: so many positions and a reply must fit; whether any was."""
        wanted = needed + self._generation.max_new_tokens
        return self._history.make_room(self._llm.context, wanted)

    def _open_turn(self) -> OpenTurn:
        assert self._turn is not None, "no turn is open"
        return self._turn

    def _reply(self) -> Reply:
        reply = self._open_turn().reply
        assert reply is not None, "ask() comes first"
        return reply
