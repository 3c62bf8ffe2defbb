"""One session's side of the model: a hearing, and turns in a KV cache.

What was heard goes into the cache window by window while the user speaks. A pause is a guess that
the turn is over: what it adds is provisional, and `resume` takes it and everything said on it back,
as if nothing had happened.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from assistant.captions.captioner import Captioner
from assistant.config import GenerationConfig
from assistant.ear.hearing import Hearing, Sound, Window
from assistant.ear.tagger import Tagger
from assistant.errors import ConfigError
from assistant.llm.detokenizer import Detokenizer
from assistant.model import TIDY_POSITIONS, Salmonn
from assistant.prompt.words import heard
from assistant.sound.recording import Samples


@dataclass(frozen=True, slots=True)
class _Past:
    """Embeddings of a turn that was answered, (n, LLM width)."""

    number: int
    question: Tensor
    answer: Tensor

    def __len__(self) -> int:
        return len(self.question) + len(self.answer)


@dataclass(slots=True)
class _Turn:
    """The turn being heard or answered."""

    since: int
    """Sample of the stream from which on it is about what was heard."""

    asked_about: str | None
    """A typed question, or how to answer this turn; for an LLM that reads words."""

    begun: int
    """Cache length before it."""

    tail: list[int]
    """The prompt's end, token ids."""

    taken: list[Window] = field(default_factory=list)
    """Final windows in the cache."""

    waiting: list[Window] = field(default_factory=list)
    """Final windows that are not in it yet."""

    windows: int = 0
    """Windows in the cache, provisional ones too."""

    settled: tuple[int, int] = 0, 0
    """Cache length and windows without what is provisional."""

    ahead: list[Window] | None = None
    """While paused: provisional windows of the block that was open."""

    later: list[Window] = field(default_factory=list)
    """Windows that became final while paused."""

    asked: int | None = None
    """Cache length with the prompt's end, once it is there."""

    said: list[int] = field(default_factory=list)
    """Tokens of the reply."""

    most: int = 0
    """Tokens that the reply may have."""

    cut_short: bool = False
    """The reply had as many tokens as it may."""

    text: Detokenizer | None = None
    random: torch.Generator | None = None
    done: bool = False
    """The reply has come to its end."""

    transcript: str = ""
    """What the second ear read at the pause."""

    noticed: list[Sound] = field(default_factory=list)
    """Sounds up to the pause."""

    paused_at: int = 0
    """Samples heard by then."""

    captioner: Captioner | None = None
    spoken_from: int = 0
    """Windows before this sample are not read."""

    @property
    def missing(self) -> list[Window]:
        """Provisional windows that are not in the cache."""
        return (self.ahead or []) if self.windows == self.settled[1] else []

    def take(self, windows: list[Window]) -> None:
        """Windows of this turn that became final."""
        self.waiting += windows
        if self.captioner is not None:
            self.captioner.hear([w for w in windows if w.at >= self.spoken_from])


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
        self._events = sound_events
        self._hearing = Hearing(model.ear, ring_s, silence_db, self._tagger(sound_events))
        self._cache = model.llm.cache()
        self._past: deque[_Past] = deque()  # the turns kept
        self._answered = 0  # turns
        self._unwanted: set[tuple[int, Literal["question", "answer"]]] = set()
        self._now = torch.zeros(0, model.llm.width)  # of the turn in the cache
        self._behind = self._now  # of the turns kept, what is not in the cache yet
        self._turn: _Turn | None = None
        closing = [] if self._words else model.llm.ids("\n")
        self._end = [model.llm.end_id, *closing]  # of a reply in the context
        self._two_ears = self._words or model.config.aligner.transcript
        # A transcript has no more tokens than windows, about.
        self._per_window = model.ear.aligner.per_window or 1
        self._captions = model.captions if captions or self._two_ears else None
        self._shown = captions
        self._standing = instruction  # what is asked about every turn, in the cache
        self._prefix = self._now  # its embeddings, before all turns
        self._last_opened: tuple[int, int] | None = None  # a turn's beginning, and its utterance's
        self._stand(instruction)

    def _tagger(self, events: bool) -> Tagger | None:
        """An LLM that reads words is told of sounds whether a client is or not."""
        if events and self._model.tagger is None:
            raise ConfigError("turns.sound_events: the preset has no sound_tagger")
        return self._model.tagger if events or self._words else None

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
        if self._turn is None:
            return 0
        if self._turn.ahead is not None:
            self._turn.later += windows
            return 0
        self._turn.take(windows)
        return len(self._turn.waiting)

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
        wanted: dict[str, float | None] = {"max_new_tokens": max_new_tokens, "top_p": top_p}
        if temperature is not None:
            wanted |= {"sample": temperature > 0, "temperature": temperature or None}
        changes = {name: value for name, value in wanted.items() if value is not None}
        self._generation = self._generation.model_copy(update=changes)
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
        self._stand(self._instruction)
        asked = instruction if self._words else None
        standing = self._instruction if instruction is None or self._words else instruction
        before, after = self._model.prompt.turn(self._llm, standing)
        if self._words:
            spoken_from = self._spoken_since(since, spoken_from)
        length = self._model.ear.spans.window
        recent = [w for w in self._hearing.windows if w.at + length > since]
        own = len(before) + len(after) + len(self._llm.ids(asked or ""))
        self._llm.room(len(self._prefix) + own)
        self._make_room(own + len(recent) * self._per_window)
        while self.tidy():
            pass
        self._turn = _Turn(
            since, asked, self._cache.length, after, most=self._generation.max_new_tokens
        )
        if self._captions is not None and spoken_from is not None:
            self._turn.captioner = Captioner(self._captions)
            self._turn.spoken_from = spoken_from - length
        self._turn.take(recent)
        self._extend([self._llm.embed(before)])
        self._turn.settled = self._cache.length, 0
        return len(recent)

    def _spoken_since(self, since: int, spoken_from: int | None) -> int:
        """Where what is read begins: a turn that is opened again goes on with the utterance that it
        was opened with, and a typed question is about everything."""
        if spoken_from is None:
            return since
        if self._last_opened is not None and self._last_opened[0] == since:
            spoken_from = min(spoken_from, self._last_opened[1])
        self._last_opened = since, spoken_from
        return spoken_from

    def instruct(self, instruction: str | None) -> None:
        """Ask something else about the open turn: the same windows, in another prompt.

        Args:
            instruction: replaces the one it was opened with; None: the same again, a reply that was
                begun is forgotten.

        Raises:
            ContextFullError: the prompt and the windows are more than the LLM's context holds.
        """
        turn = self._open_turn()
        turn.asked, turn.said, turn.done, turn.cut_short = None, [], False, False
        if instruction is not None and self._words:
            turn.asked_about = instruction
        if instruction is None or self._words:
            length, turn.windows = turn.settled
            self._truncate(turn, length)
            return
        before, turn.tail = self._model.prompt.turn(self._llm, instruction)
        self._truncate(turn, turn.begun)
        turn.waiting, turn.taken = [*turn.taken, *turn.waiting], []
        self._extend([self._llm.embed(before)])
        turn.windows, turn.settled = 0, (self._cache.length, 0)

    def limit(self, max_new_tokens: int) -> None:
        """Tokens of the open turn's reply, in place of the session's; before `ask`."""
        turn = self._open_turn()
        assert turn.asked is None, "limit() comes before ask()"
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
        ahead = turn.missing
        self._extend([w.tokens for w in ahead])
        turn.windows += len(ahead)
        return turn.windows

    def _settle(self, turn: _Turn) -> None:
        """Apart from what is provisional: the keys are the same whether there is any or not."""
        if turn.waiting:
            self._extend([w.tokens for w in turn.waiting])
            turn.windows += len(turn.waiting)
            turn.taken += turn.waiting
            turn.waiting = []
            turn.settled = self._cache.length, turn.windows

    def pause(self) -> int:
        """The turn may be over: encode the open block as it is. What is heard next is not in it.

        Returns:
            Provisional windows.
        """
        turn = self._open_turn()
        assert turn.ahead is None, "pause() twice without resume()"
        turn.ahead = self._hearing.peek()
        if turn.captioner is not None and self._two_ears:
            turn.transcript = turn.captioner.peek(self._spoken(turn.ahead))
        turn.paused_at = self._hearing.heard
        turn.noticed = [sound for sound in self._hearing.peeked if sound.end > turn.since]
        return len(turn.ahead)

    def ask(self) -> int:
        """Prefill what is missing and the prompt's end: the next thing is the first token.

        Returns:
            Windows of this turn.

        Raises:
            ContextFullError: the LLM's context is full.
        """
        turn = self._open_turn()
        self._settle(turn)
        ahead = turn.missing
        self._extend([*(w.tokens for w in ahead), self._in_words(turn), self._llm.embed(turn.tail)])
        turn.windows += len(ahead)
        turn.asked = self._cache.length
        turn.text = self._llm.detokenizer()
        turn.random = torch.Generator(self._llm.device).manual_seed(self._generation.seed)
        return turn.windows

    def _in_words(self, turn: _Turn) -> Tensor:
        """Embeddings of what the LLM is given as text."""
        if not self._words:
            return self._model.transcript(turn.transcript)
        text = heard(turn.noticed, turn.paused_at, turn.transcript, turn.asked_about)
        return self._llm.embed(self._llm.ids(text))

    def text_tokens(self) -> int:
        """Positions of the open turn that are not audio tokens; `ask` was called."""
        turn = self._open_turn()
        assert turn.asked is not None, "text_tokens() needs ask() before it"
        audio = turn.windows * self._model.ear.aligner.per_window
        return turn.asked - turn.begun - audio

    def resume(self) -> int:
        """The turn goes on: take back what `pause`, `ask` and `token` did.

        Returns:
            Windows that wait to be prefilled.
        """
        turn = self._open_turn()
        length, turn.windows = turn.settled
        self._truncate(turn, length)
        turn.take(turn.later)
        turn.ahead, turn.later, turn.asked, turn.said = None, [], None, []
        turn.done, turn.cut_short, turn.transcript = False, False, ""
        self._forget_unwanted()
        return len(turn.waiting)

    def token(self) -> str | None:
        """The next token of the reply.

        Returns:
            Its text, empty while a character is incomplete; None when there are no more.
        """
        turn = self._open_turn()
        assert turn.text is not None, "token() needs ask() before it"
        if turn.done:
            return None
        # What ends a reply that is kept has to fit, too.
        needed = self._cache.length + (len(self._end) if self._turns_kept else 0)
        full = self._llm.context is not None and needed >= self._llm.context
        if full or len(turn.said) >= turn.most:
            turn.done = turn.cut_short = True
            return turn.text.flush() or None
        token = self._cache.next_token(self._generation, turn.random)
        if token in self._llm.stop_ids:
            turn.done = True
            return turn.text.flush() or None
        turn.said.append(token)
        return turn.text.push(token)

    def cut_short(self) -> bool:
        """Whether the reply ended at its limit, or at that of the LLM's context."""
        return self._open_turn().cut_short

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        """Read what is said in this turn.

        Args:
            last: the turn is over.

        Returns:
            Text that came to be settled, and what follows it for now; None without captions.
        """
        turn = self._open_turn()
        if turn.captioner is None or not self._shown:
            return None
        caption = turn.captioner.read(self._spoken(turn.ahead or []), last=last)
        return caption.settled, caption.tentative

    def close(self, said: int | None = None) -> None:
        """The turn was answered.

        Args:
            said: how many tokens of the reply were given out, when it was interrupted; the others
                are forgotten.
        """
        turn = self._open_turn()
        assert turn.asked is not None, "close() needs ask() before it"
        limit = self._llm.context
        if not self._turns_kept or (limit is not None and turn.asked + len(self._end) > limit):
            self.drop()  # or there is no room to keep it
        else:
            self._turn = None
            self._truncate(turn, turn.asked)
            self._extend([self._llm.embed([*turn.said[:said], *self._end])])
            question = turn.asked - turn.begun
            self._past.append(_Past(self._answered, self._now[:question], self._now[question:]))
            before, after = self._model.prompt.turn(self._llm, self._instruction)
            ring = self._hearing.most_windows * self._per_window
            self._make_room(len(before) + len(after) + ring)
            self._now = self._now[:0]
        self._answered += 1
        self._forget_unwanted()

    def drop(self) -> None:
        """The turn is over without an answer, and was never there."""
        turn = self._open_turn()
        self._truncate(turn, turn.begun)
        self._turn = None
        self._forget_unwanted()

    def forget(self, turn: int, part: Literal["question", "answer"]) -> None:
        """Take a part of a turn out of the LLM's context, and of the KV cache.

        While a reply is made, it is done when that is over.

        Args:
            turn: which of those that were answered, counted from 0; the one that is being answered
                counts.
            part: of it.
        """
        self._unwanted.add((turn, part))
        self._forget_unwanted()

    def unhear(self, since: int, until: int) -> None:
        """Stream samples that no turn from now on is about."""
        self._hearing.forget(since, until)

    def _forget_unwanted(self) -> None:
        turn = self._turn
        if turn is not None and turn.asked is not None:
            return  # its prompt is what it is
        none = self._now[:0]
        kept = [
            _Past(
                past.number,
                none if (past.number, "question") in self._unwanted else past.question,
                none if (past.number, "answer") in self._unwanted else past.answer,
            )
            for past in self._past
        ]
        changed = sum(map(len, kept)) < sum(map(len, self._past))
        self._unwanted = {w for w in self._unwanted if w[0] >= self._answered}
        if not changed:
            return
        self._past = deque(past for past in kept if len(past))
        self._fill_anew()
        if turn is not None:
            while self.tidy():
                pass
            moved = self._cache.length - turn.begun
            turn.begun += moved
            turn.settled = turn.settled[0] + moved, turn.settled[1]
            self._cache.extend(self._now)

    def _stand(self, instruction: str) -> None:
        """What is asked about every turn stands before all of them, where the prompt has it so."""
        if self._standing == instruction and len(self._prefix):
            return
        self._standing = instruction
        ids = self._model.prompt.prefix(self._llm, instruction)
        if ids or len(self._prefix):
            self._prefix = self._llm.embed(ids)
            self._fill_anew()

    def _fill_anew(self) -> None:
        """The cache is to hold what stands before all turns, the turns kept, and no more."""
        parts = [part for past in self._past for part in (past.question, past.answer)]
        standing = self._model.standing
        if standing is not None and standing[0] == self._standing:
            self._cache = standing[1].fork()
        else:
            self._cache.truncate(0)
            parts = [self._prefix, *parts]
        self._behind = torch.cat([self._now[:0], *parts])

    def tidy(self) -> bool:
        """Go on filling the cache with what stands before all turns and those that are kept, after
        another instruction was given or the oldest were dropped.

        A bounded piece of it, the same pieces whenever it is done.

        Returns:
            Whether there is more to do. `open` does what is left.
        """
        if self._turn is None:
            self._stand(self._instruction)
        limit = self._llm.context
        if limit is not None and self._cache.length + len(self._behind) > limit:
            return False  # `open` drops turns, or refuses
        if len(self._behind):
            ahead = len(self._prefix) - self._cache.length  # filled by itself, as the model's is
            size = min(ahead, TIDY_POSITIONS) if ahead > 0 else TIDY_POSITIONS
            self._cache.extend(self._behind[:size])
            self._behind = self._behind[size:]
        return len(self._behind) > 0

    def _spoken(self, windows: list[Window]) -> list[Window]:
        """Those of the utterance, not of what was heard before it."""
        return [w for w in windows if w.at >= self._open_turn().spoken_from]

    def _open_turn(self) -> _Turn:
        assert self._turn is not None, "no turn is open"
        return self._turn

    def _extend(self, parts: list[Tensor]) -> None:
        """Several pieces in one pass, which costs much the same for few and for many."""
        if parts:
            embeds = torch.cat([self._llm.take(part) for part in parts])
            self._cache.extend(embeds)
            if self._turns_kept:
                self._now = torch.cat([self._now.to(embeds), embeds])

    def _truncate(self, turn: _Turn, length: int) -> None:
        self._cache.truncate(length)
        self._now = self._now[: length - turn.begun]

    def _make_room(self, needed: int) -> None:
        """Drop the oldest turns: no more than may be kept, and a turn and its reply must fit."""
        limit = self._llm.context
        wanted = len(self._prefix) + needed + self._generation.max_new_tokens
        before = len(self._past)
        while len(self._past) > self._turns_kept or (
            self._past and limit is not None and sum(map(len, self._past)) + wanted > limit
        ):
            self._past.popleft()
        if len(self._past) < before:
            self._fill_anew()
