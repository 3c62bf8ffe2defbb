"""One session's side of the model: a hearing, and a conversation in a KV cache.

What was heard goes into the cache window by window while the user speaks. A pause is a guess that
the turn is over: what it adds is provisional, and `resume` takes it and everything said on it back,
as if nothing had happened.

A conversation is a list of items (`History`). What the LLM reads is a function of them
(`Renderer`), and the cache follows it (`Reading`): nothing else knows what is in there.
"""

from dataclasses import replace

from assistant.calling import Calling
from assistant.config import GenerationConfig
from assistant.history import Key
from assistant.listening import Listening
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.prompt.items import Called, Put, Returned, Role, Spoken, System, Written
from assistant.reading import Reading
from assistant.reply import Reply, drawn
from assistant.sound.recording import Samples
from assistant.tools.tool import Tool, ToolCall, ToolChoice


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
        self._calling = Calling(model)
        self._listening = Listening(model, captions, ring_s, silence_db, sound_events)
        self._hearing = self._listening.hearing
        self._reading = Reading(model, instruction, turns_kept)
        self._history = self._reading.history
        self._answered = 0  # turns
        self._turn: OpenTurn | None = None
        # A transcript has no more tokens than windows, about.
        self._per_window = model.ear.aligner.per_window or 1

    @property
    def turn(self) -> int:
        """Turns answered so far: the number of the open one, counted from 0, if it is answered."""
        return self._answered

    @property
    def heard(self) -> int:
        """Samples of the stream so far."""
        return self._hearing.heard

    def hear(self, samples: Samples) -> int:
        """Take samples of the stream and encode the blocks they complete; windows of the open turn
        that wait to be prefilled."""
        windows = self._listening.hear(samples)
        return 0 if self._turn is None else self._turn.hear(windows)

    def sounds(self) -> list[tuple[int, int, str, float]]:
        """Sounds that began in what `hear` was given last: first sample, one past the last, name,
        probability."""
        return self._listening.sounds()

    def configure(
        self,
        instruction: str | None = None,
        max_new_tokens: int | None = None,
        captions: bool | None = None,
        sound_events: bool | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        tools: tuple[Tool, ...] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> None:
        """Other settings for the turns to come; None leaves one as it is.

        Args:
            instruction: what is asked about every turn.
            max_new_tokens: of a reply.
            captions: read what is said, too.
            sound_events: name sounds as they begin.
            temperature: of sampling; 0 takes the likeliest token, always.
            top_p: probability mass sampled from, over 0 and at most 1.
            tools: functions that replies may call.
            tool_choice: whether they call one.

        Raises:
            ComponentError: captions are wished, and the preset's Whisper has no decoder.
            ConfigError: sounds are to be named, and the preset has no `sound_tagger`.
            ToolError: a tool has a schema that no call can be held to, or the LLM calls none.
        """
        if sound_events is not None:
            self._listening.name_sounds(sound_events)
        if tools is not None or tool_choice is not None:
            self._calling.declare(tools, tool_choice)
        if instruction is not None:
            self._instruction = instruction
        self._generation = drawn(self._generation, max_new_tokens, temperature, top_p)
        if captions is not None:
            self._listening.show_captions(captions)

    # --- what is written

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

    # --- turns

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        """Begin a turn about what was heard from stream sample `since` on.

        Args:
            since: windows that end after it belong to the turn.
            instruction: what is asked about it, in place of what is asked about every turn.
            spoken_from: first sample of the utterance; captions begin there.
            typed: what was written and not answered is asked about it, too.
            alone: as if nothing had been said before.

        Returns:
            Windows that wait to be prefilled.

        Raises:
            ContextFullError: the prompt alone is more than the LLM's context holds.
        """
        self._history.instruct(self._system)
        texts = self._reading.take_asked() if typed and not alone else ()
        item = Spoken(
            self._answered, self._instruction, (), since, question=instruction, texts=texts
        )
        # What came of a call is answered by itself, without what was heard meanwhile.
        silent = typed and self._history.returned and not (alone or texts or instruction)
        recent = [] if silent else self._listening.since(since)
        self._llm.room(self._history.standing + self._reading.own(item))
        self._reading.make_room(self._needed(item, len(recent)))
        while self.tidy():
            pass
        uttered, most = spoken_from is not None, self._generation.max_new_tokens
        turn = OpenTurn(item, most, uttered=uttered, alone=alone, silent=silent)
        turn.captioner, turn.spoken_from = self._listening.reader(since, spoken_from)
        turn.take(recent)
        self._reading.show_heard(turn, item)
        self._turn = turn
        return len(recent)

    def _needed(self, item: Spoken, windows: int) -> int:
        """Positions for a turn and its reply."""
        own = self._reading.own(item) + windows * self._per_window
        return own + self._generation.max_new_tokens

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
        if instruction is not None:
            turn.item = replace(turn.item, question=instruction)
            if not self._words:  # it stands before them
                turn.waiting = [*turn.item.windows, *turn.waiting]
                turn.item = replace(turn.item, windows=())
        self._reading.show_heard(turn, turn.item)

    def require(
        self,
        max_new_tokens: int | None = None,
        *,
        kept: bool = True,
        tools: tuple[Tool, ...] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> None:
        """How the open turn's reply is to be made; before `ask`. None: as the session has it.

        Args:
            max_new_tokens: tokens that it may have.
            kept: it becomes a part of the conversation.
            tools: functions that it may call.
            tool_choice: whether it calls one.

        Raises:
            ToolError: see `configure`.
        """
        turn = self._open_turn()
        assert turn.reply is None, "require() comes before ask()"
        turn.kept = kept
        if max_new_tokens is not None:
            turn.most = max_new_tokens
        if tools is not None or tool_choice is not None:
            self._calling.check(tools, tool_choice)
            turn.tools, turn.choice = tools, tool_choice
            turn.system = None if tools is None else System(self._instruction, tools)

    def prefill(self) -> int:
        """Put the waiting windows into the KV cache; while paused, the provisional ones after them.

        An LLM that reads words is given the transcript as it is so far. It may change, but seldom
        where it begins: little is left to read when the turn is over.

        Returns:
            Windows of this turn in it now.

        Raises:
            ContextFullError: as for `ask`.
        """
        turn = self._open_turn()
        self._settle(turn)
        if self._words and turn.ahead is None:
            turn.note([], self._hearing.heard, self._hearing.noticed, read=True)
        whole = turn.whole
        self._reading.show_heard(turn, whole)
        return len(whole.windows)

    def _settle(self, turn: OpenTurn) -> None:
        """Apart from what is provisional: the keys are the same whether there is any or not."""
        if turn.waiting:
            turn.settle()
            self._reading.show_heard(turn, turn.item)

    def pause(self) -> int:
        """The turn may be over: encode the open block as it is; its windows, which are provisional.
        What is heard next is not in it."""
        turn = self._open_turn()
        assert turn.ahead is None, "pause() twice without resume()"
        ahead = self._hearing.peek()
        read = self._listening.reads
        turn.pause(ahead, self._hearing.heard, self._hearing.peeked, read=read)
        return len(ahead)

    def finished(self) -> float | None:
        """The probability that the speaker has finished, at a pause that was prefilled; None:
        nothing here can tell."""
        turn, judge = self._open_turn(), self._model.end_of_turn
        if judge is None:
            return None
        features = self._listening.latest(turn.ahead or ())
        expected = self._reading.expected(turn) if judge.reads_words else None
        if not len(features) or (judge.reads_words and expected is None):
            return None
        return judge.probability(features, expected)

    def ask(self) -> int:
        """Prefill what is missing and the prompt's end: the next thing is the first token; windows
        of this turn.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        self._reading.show_asked(turn)
        # What ends a reply has to fit where it is kept.
        end = len(self._reading.render.end) if self._turns_kept else 0
        cache = self._reading.context.cache
        writing = self._calling.writing(turn)
        turn.reply = Reply(self._llm, cache, self._generation, turn.most, end, writing)
        return len(turn.whole.windows)

    def callable(self) -> tuple[str, ...]:
        """Names of the functions that the open turn's reply may call."""
        return self._calling.names(self._open_turn())

    def text_tokens(self) -> int:
        """Positions of the open turn that are not audio tokens; `ask` was called."""
        pieces = self._reading.render.render([self._open_turn().whole], answered=True)
        return sum(len(piece) for piece in pieces if piece.tokens is None)

    def resume(self) -> int:
        """The turn goes on: take back what `pause`, `ask` and `token` did; windows that wait to be
        prefilled."""
        turn = self._open_turn()
        turn.resume()
        self._reading.show_heard(turn, turn.item)
        return len(turn.waiting)

    def token(self) -> str | ToolCall | None:
        """The next token of the reply: its text, empty while a character or a call is incomplete,
        or the call that it completes; None when there are no more."""
        return self._reply().token(self._answered)

    def cut_short(self) -> bool:
        """Whether the reply ended at its limit, or at that of the LLM's context."""
        return self._reply().cut_short

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        """Read what is said in this turn, which is over with the `last` caption: text that came to
        be settled, and what follows it for now; None without captions."""
        turn = self._open_turn()
        return turn.caption(last=last) if self._listening.shown else None

    def close(self, said: int | None = None) -> None:
        """The turn was answered; `said`: tokens of the reply that were given out, when it was
        interrupted: the others are forgotten."""
        turn = self._open_turn()
        answer = self._reply().items(self._answered, said)
        self._turn, self._answered = None, self._answered + 1
        next_one = Spoken(self._answered, self._instruction, ())
        self._reading.close(turn, answer, self._needed(next_one, self._hearing.most_windows))

    def drop(self) -> None:
        """The turn is over without an answer, and was never there."""
        self._open_turn()
        self._turn = None
        self._reading.drop()

    def forget(self, key: Key) -> None:
        """Take an item out of the LLM's context, and of the KV cache; while a reply is made, the
        cache follows when that is over. The turn that is being answered counts."""
        self._reading.forget(key, self._turn)

    def truncate(self, turn: int, characters: int) -> None:
        """Take what is beyond so many characters of an answered turn's reply out of the context."""
        self._reading.truncate(turn, characters, self._turn)

    def unhear(self, since: int, until: int) -> None:
        """Stream samples that no turn from now on is about."""
        self._hearing.forget(since, until)

    def tidy(self) -> bool:
        """Go on filling the cache with what was said, after another instruction was given or the
        oldest turns were dropped: a bounded piece of it, the same ones whenever it is done; whether
        there is more, which `open` would do."""
        self._history.instruct(self._system)
        return self._reading.refill()

    @property
    def _system(self) -> System:
        return System(self._instruction, self._calling.tools)

    def _open_turn(self) -> OpenTurn:
        assert self._turn is not None, "no turn is open"
        return self._turn

    def _reply(self) -> Reply:
        reply = self._open_turn().reply
        assert reply is not None, "ask() comes first"
        return reply
