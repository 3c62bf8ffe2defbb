"""One session's side of the model: a hearing, and a conversation in a KV cache.

What was heard goes into the cache window by window while the user speaks. A pause is a guess that
the turn is over: what it adds is provisional, and `resume` takes it and everything said on it back,
as if nothing had happened.

A conversation is a list of items (`History`). What the LLM reads is a function of them
(`Renderer`), and the cache follows it (`Reading`): nothing else knows what is in there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from assistant.answering import Answering
from assistant.calling import Calling
from assistant.config import GenerationConfig
from assistant.errors import ContextFullError
from assistant.listening import Listening
from assistant.model import Salmonn
from assistant.noted import Noted
from assistant.open_turn import DRAFT_WINDOWS, OpenTurn
from assistant.own_tools import OwnTools, as_read
from assistant.prompt.items import Spoken, System
from assistant.reply import Recited, Reply, drawn
from assistant.sound.recording import Samples
from assistant.tools.tool import Tool, ToolCall, ToolChoice


class Conversation(Noted):
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
        own: OwnTools | None = None,
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
        own: functions of our own; None: none are offered.

        Raises:
            ConfigError: the preset has no `sound_tagger` to name them with.
        """
        self._model, self._llm = model, model.llm
        self._generation = generation or model.config.generation
        self._instruction, self._turns_kept, self._answered = instruction, turns_kept, 0
        self._words, self._own, self._calling = model.reads_words, own, Calling(model, own)
        self._listening = Listening(model, captions, ring_s, silence_db, sound_events)
        self._hearing = self._listening.hearing
        super().__init__(model, self._system, turns_kept, self._generation.max_new_tokens)
        self._answering = Answering(model, self._calling, self._reading)
        self.draft_samples = DRAFT_WINDOWS * model.ear.spans.window if self._words else 0
        """Samples of speech from one `draft` to the next; 0: the LLM reads none."""

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
        if self._own is not None:
            self._own.hear(self._hearing.noticed)
        return 0 if self._turn is None else self._turn.hear(windows)

    def sounds(self) -> list[tuple[int, int, str, float]]:
        """Sounds that began in what `hear` was given last: begin, end, name, probability."""
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
        self._most = self._generation.max_new_tokens
        if captions is not None:
            self._listening.show_captions(captions)

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
        """Begin a turn about what was heard from stream sample `since` on; windows that wait.

        Args:
            since: windows that end after it belong to the turn.
            instruction: what is asked about it, in place of what is asked about every turn.
            spoken_from: first sample of the utterance; captions begin there.
            typed: what was written and not answered is asked about it, too.
            alone: as if nothing had been said before.

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
        """Put the waiting windows into the KV cache, or what was read last; while paused, the
        provisional windows after them, or all of the prompt for an LLM that reads words; windows
        of this turn in it now.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        if not self._answering.read_ahead(turn, self._instruction):
            if self._words and turn.ahead is not None:
                self._reading.show_asked(turn)  # one pass costs less than two
            else:
                self._reading.show_heard(turn, turn.whole)
        return len(turn.whole.windows)

    def draft(self) -> None:
        """Read what was said so far, which `prefill` then gives to the LLM."""
        self._open_turn().note(self._hearing, read=True)

    def _settle(self, turn: OpenTurn) -> None:
        """Apart from what is provisional: the keys are the same whether there is any or not."""
        if turn.waiting:
            turn.settle()
            self._reading.show_heard(turn, turn.item)

    def pause(self) -> int:
        """The turn may be over: encode the open block as it is; its windows, for now."""
        turn = self._open_turn()
        assert turn.ahead is None, "pause() twice"
        return turn.pause(self._hearing, read=self._listening.reads)

    def finished(self) -> float | None:
        """The probability that the speaker has finished, at the pause; None: nothing can tell."""
        return self._listening.finished(self._open_turn())

    def said(self) -> str:
        """What was said in the open turn, at its pause; empty where nobody reads it."""
        return self._listening.said(self._open_turn())

    def overheard(self, since: int) -> str:
        """What was said from a sample on, under a reply; empty where it is not clear."""
        return self._listening.overheard(since)

    def ask(self) -> int:
        """Prefill what is missing and the prompt's end: the next thing is the first token; windows
        of this turn.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        self._reading.show_asked(turn)
        turn.reply = self._answering.begin(turn, self._generation, self._instruction)
        return len(turn.whole.windows)

    def callable(self) -> tuple[str, ...]:
        """Names of the functions that the open turn's reply may call."""
        return self._calling.names(self._open_turn())

    def text_tokens(self) -> int:
        """Positions of the open turn that are not audio tokens; `ask` was called."""
        turn = self._open_turn()
        if turn.is_notice:
            return 0
        pieces = self._reading.render.render([turn.whole], answered=True)
        return sum(len(piece) for piece in pieces if piece.tokens is None)

    def resume(self) -> int:
        """The turn goes on: take back what `pause`, `ask` and `token` did; windows that wait to be
        prefilled."""
        turn = self._open_turn()
        turn.resume()
        self._reading.show_heard(turn, turn.item)
        return len(turn.waiting)

    def token(self) -> str | ToolCall | None:
        """The text of the reply's next token, empty while a character or a call is incomplete; the
        call that it completes; None when there are no more."""
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
        self._turn, self._answered = None, self._answered + 1
        following, most = Spoken(self._answered, self._instruction, ()), self._hearing.most_windows
        self._reading.close(turn, turn.answer(said), self._needed(following, most))

    def drop(self) -> None:
        """The turn is over without an answer, and was never there."""
        self._open_turn()
        self._turn = None
        self._reading.drop()

    # --- functions of our own

    def whose(self, name: str) -> Literal["client", "session", "shell"]:
        """Who runs a function that the open turn's reply calls."""
        return self._calling.whose(self._open_turn(), name)

    def only_ours(self) -> bool:
        """Whether the open turn's reply may call no functions but our own."""
        return self._calling.only_ours(self._open_turn())

    def run(self, call: ToolCall) -> tuple[str, str | None]:
        """Do what a call of ours asks; see `Outcome`."""
        assert self._own is not None, "none is offered"
        came = self._own.run(call, self.heard)
        return came.output, came.say

    def go_on(self, results: Sequence[tuple[str, str]], say: str | None) -> None:
        """The open turn's reply, which called functions of ours, goes on with what came of that.

        Args:
            results: by the ids of the calls, for the LLM to read.
            say: what is said; None: the LLM says it.
        """
        turn = self._open_turn()
        told = say is None and self._calling.reads(turn, turn.answer(None))
        turn.go_on(as_read(results, told=told))
        if say is not None:
            turn.reply = Recited(self._llm, say)
            return
        try:
            turn.reply = self._answering.tell(turn, self._generation, self._instruction)
        except ContextFullError as full:
            turn.reply = Recited(self._llm, f"{full}.")

    def notices(self) -> list[tuple[str, str, str]]:
        """What has to be told from now on: kind, name and text of each; see `Notice`."""
        found = [] if self._own is None else self._own.notices(self.heard)
        return [(notice.kind, notice.name, notice.text) for notice in found]

    def announce(self, text: str) -> None:
        """Begin a turn whose reply is `text`: it is about nothing, and answers nothing."""
        item = Spoken(self._answered, self._instruction, (), self.heard)
        self._turn = OpenTurn(item, 0, ahead=(), silent=True, is_notice=True)
        self._turn.reply = Recited(self._llm, text)

    def tell_time(self, local: str) -> None:
        """It is this local time, in ISO 8601."""
        if self._own is not None:
            self._own.start(local, self.heard)

    def unhear(self, since: int, until: int) -> None:
        """Stream samples that no turn from now on is about."""
        self._hearing.forget(since, until)

    def tidy(self) -> bool:
        """Go on filling the cache with what was said, after another instruction was given or the
        oldest turns were dropped: a bounded piece of it, the same ones whenever it is done; whether
        there is more to do. `open` does what is left."""
        self._history.instruct(self._system)
        return self._reading.refill()

    @property
    def _system(self) -> System:
        return System(self._instruction, *self._calling.shown)

    def _reply(self) -> Reply | Recited:
        reply = self._open_turn().reply
        assert reply is not None, "ask() comes first"
        return reply
