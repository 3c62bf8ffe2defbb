"""The open turn, and the model's work on it: opened, guessed at, held, answered, closed."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from assistant.errors import ContextFullError
from assistant.rates import SAMPLE_RATE
from assistant.tools.tool import ToolCall
from streaming.config import TurnsConfig
from streaming.controls import Called, Key, Returned, Write
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.asked import Asked, open_turn, require
from streaming.dialogue.listener import Listener
from streaming.dialogue.turn import (
    About,
    Draft,
    Ending,
    Guessed,
    Held,
    Listening,
    Quiet,
    Replying,
    Run,
    Speaking,
    State,
)
from streaming.dialogue.work import Work
from streaming.events import (
    AudioPrefilled,
    Caption,
    EndOfReply,
    Event,
    Refused,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    ToolCalled,
    ToolReturned,
)

Job = tuple[Work, Callable[[], list[Event]]]


class Floor:
    """Whose turn it is: its state, and the steps that have to be done for it, in order.

    Only `Dialogue` decides what is done with it; this knows how.
    """

    def __init__(
        self,
        listener: Listener,
        turns: TurnsConfig,
        aloud: Aloud,
        prepared: Callable[[int], list[Event]],
    ) -> None:
        """Args:
        listener: hears and answers.
        turns: what belongs to a turn.
        aloud: speaks replies.
        prepared: called when a reply can be given out, with the windows that were there in time.
        """
        self.listener, self.turns, self._prepared = listener, turns, prepared
        self.aloud = aloud
        """The reply as it is spoken."""

        self.state: State = Quiet()
        self.speaker: Speaking | None = None
        """The speech that is going on, whether a turn is about it or not."""

        self.jobs: deque[Job] = deque()
        """Jobs that come before any further input."""

        self.heard = 0
        """Number of samples processed."""

        self.answered = 0
        """Samples before this belong to turns that were answered."""

        self.last: tuple[int, int, int] | None = None
        """Begin, end and number of the last turn that silence ended."""

        self.silent_since: int | None = None
        """Nobody has spoken since this sample, the end of a reply."""

        self.untidy = True
        """A closed turn may have left something to do; the beginning has."""

        self.released = 0
        """Tokens given out, clauses spoken, and ends of replies."""

    @property
    def about(self) -> About | None:
        """What the open turn is about."""
        return None if isinstance(self.state, Quiet) else self.state.about

    @property
    def ring(self) -> float:
        """Samples that the ring holds."""
        return self.turns.ring_s * SAMPLE_RATE

    @property
    def is_too_old(self) -> bool:
        """Whether the open turn is about more than the ring holds twice over."""
        return self.about is not None and self.heard - self.about.since > 2 * self.ring

    # --- opening

    def open(self, since: int, spoken_from: int | None = None, asked: Asked | None = None) -> bool:
        """Open a turn; whether the LLM's context has room for it, otherwise that is told.

        Args:
            since: first sample that it is about.
            spoken_from: first sample of its utterance.
            asked: what asked for it, in which words.
        """
        try:
            waiting = open_turn(self.listener, since, spoken_from, asked)
        except ContextFullError as full:
            ref = None if asked is None else asked.ref
            self.jobs.append((Work.CONTROL, partial(_refused, str(full), ref)))
            return False
        self.state, self.untidy = Listening(About(since, spoken_from)), False
        if waiting:
            self.jobs.append((Work.PREFILL, self._prefill))
        return True

    def open_at(self, at: int) -> None:
        """Open the turn of an utterance: a new one, or the last one again."""
        if self.last is not None:
            begun, end, turn = self.last
            rejoins = 0 < at - end <= self.turns.rejoin_s * SAMPLE_RATE
            if rejoins and not self.is_too_far(begun, at):
                # What was taken for an end was a pause: there has been no turn yet.
                if turn < self.listener.turn:  # it was answered
                    self.listener.forget((turn, "question"))
                    self.listener.forget((turn, "answer"))
                self.open(begun, spoken_from=at)
                return
        self.open(self.with_context(at), spoken_from=at)

    def is_too_far(self, begun: int, at: int) -> bool:
        """A turn with both would be about more than the ring holds."""
        return at - begun >= self.ring

    def with_context(self, at: int) -> int:
        """First sample that an utterance's turn is about."""
        context = round(self.turns.context_s * SAMPLE_RATE)
        return max(self.answered, at - context, 0)

    def hear_more(self) -> None:
        """Windows wait to be put into the KV cache."""
        self.jobs.append((Work.PREFILL, self._prefill))

    def instruct(self, instruction: str | None) -> None:
        """Answer the open turn in other words, or within another limit (None).

        Raises:
            ContextFullError: they are more than the LLM's context holds.
        """
        if isinstance(self.state, Guessed | Held):
            self.state = replace(self.state, draft=None)
        if instruction is not None:
            self._now_about(prefilled=())
        self.listener.instruct(instruction)

    def put(self, item: Write | Called | Returned) -> None:
        """What a client wrote becomes a part of the conversation."""
        self._change()
        match item:
            case Write(text, role, ref, after):
                self.listener.write(ref, role, text, after)
            case Called(call, ref, after):
                self.listener.note_call(ref, call, after)
            case Returned(call_id, output, ref, after):
                self.listener.note_result(ref, call_id, output, after)

    def forget(self, key: Key) -> None:
        """An item leaves the conversation."""
        self._change()
        self.listener.forget(key)

    def truncate(self, turn: int, characters: int) -> None:
        """Of a reply no more than so many characters were heard."""
        self._change()
        self.listener.truncate(turn, characters)

    def claim(self, *, waits: bool) -> None:
        """What was written waits for a question about it, and no reply before that knows of it; or
        it waits no longer."""
        if self.listener.is_asked or not waits:
            self._change()
            self.listener.claim(waits)

    def _change(self) -> None:
        """The conversation changes: a reply that was begun and is not given out is made again."""
        self.untidy = self.untidy or self.about is None
        if isinstance(self.state, Guessed | Held) and self.state.draft is not None:
            self.state = replace(self.state, draft=None)
            self.listener.instruct(None)

    # --- over, or not

    def guess(self) -> None:
        """The utterance may be over: compute all but the prompt's end while that is unsure."""
        assert isinstance(self.state, Listening)
        self.state = Guessed(self.state.about, self.heard)
        self.jobs += [(Work.ENCODE, self._pause), (Work.PREFILL, self._prefill_ahead)]
        if self.turns.speculate and self.turns.auto_reply:
            self.jobs.append((Work.ASK, self._ask))

    def resume(self) -> None:
        """The turn goes on: take back what was guessed."""
        assert isinstance(self.state, Guessed | Held)
        self.state = Listening(self.state.about)
        if self.listener.resume():
            self.hear_more()

    def hold(self) -> None:
        """The turn is over; its reply will be asked for."""
        about, paused_at, draft, captioned = self._paused()
        self.state = Held(about, paused_at, draft, captioned or self.turns.captions)
        if self.turns.captions and not captioned:
            self.jobs.append((Work.CAPTION, partial(self._caption, last=True)))

    def answer(self, until: int, asked: Asked | None = None) -> None:
        """The turn is over, and its reply follows.

        Args:
            until: one past the last sample of speech, or what was heard when it was asked for.
            asked: what asked for it; None: an endpoint did.
        """
        about, paused_at, draft, captioned = self._paused()
        ref, aloud = (None, None) if asked is None else (asked.ref, asked.aloud)
        self.state = Ending(about, paused_at, draft, captioned, ref, aloud)
        if asked is not None:
            require(self.listener, asked)
        if draft is None:  # otherwise that was done speculatively
            self.jobs.append((Work.ASK, self._ask))
        cached = about.windows_prefilled(until)
        self.jobs.append((Work.DECODE, partial(self._prepared, cached)))

    def _paused(self) -> tuple[About, int, Draft | None, bool]:
        """What is known of a turn that is over; the block that is open is encoded."""
        match self.state:
            case Listening(about):
                self.jobs.append((Work.ENCODE, self._pause))
                return about, self.heard, None, False
            case Guessed(about, paused_at, draft):
                return about, paused_at, draft, False
            case Held(about, paused_at, draft, captioned):
                return about, paused_at, draft, captioned
            case _:
                raise AssertionError(f"no turn is being heard: {self.state}")

    # --- steps

    def _now_about(self, prefilled: tuple[AudioPrefilled, ...]) -> None:
        assert not isinstance(self.state, Quiet)
        about = replace(self.state.about, prefilled=prefilled)
        self.state = replace(self.state, about=about)

    def _prefill(self) -> list[Event]:
        done = AudioPrefilled(self.heard, self.listener.prefill())
        assert self.about is not None
        self._now_about(prefilled=(*self.about.prefilled, done))
        if self.turns.captions and not isinstance(self.state, Ending):
            self.jobs.append((Work.CAPTION, self._caption))
        return [done]

    def _prefill_ahead(self) -> list[Event]:
        self.listener.prefill()
        return []

    def _pause(self) -> list[Event]:
        self.listener.pause()
        return []

    def _ask(self) -> list[Event]:
        assert isinstance(self.state, Guessed | Held | Ending)
        if self.state.draft is None:  # it may have been asked for twice in one frame
            self.state = replace(self.state, draft=Draft(self.listener.ask()))
        return []

    def _caption(self, *, last: bool = False) -> list[Event]:
        found = self.listener.caption(last=last)
        if found is None or not (last or any(found)):
            return []
        assert self.about is not None
        return [Caption(*found, last, self.about.spoken_from or 0)]

    # --- replying

    def give_out(self, cached: int) -> list[Event]:
        """Begin to give the reply out; `cached`: windows that were there in time."""
        assert isinstance(self.state, Ending)
        assert self.state.draft is not None
        about, ref, draft = self.state.about, self.state.ref, self.state.draft
        due = self.turns.captions and not self.state.captioned
        self.answered = self.state.paused_at
        self.aloud.begin(self.state.aloud)
        turn, text_tokens = self.listener.turn, self.listener.text_tokens()
        self.state = Replying(about, turn, ref, draft.tokens, due)
        answers, tools = self.listener.answers(), self.listener.callable()
        return [ReplyStarted(draft.windows, text_tokens, cached, ref, turn, answers, tools)]

    @property
    def can_speak(self) -> bool:
        """Whether a token can be made, or given out, or a clause be spoken."""
        match self.state:
            case Replying() as state:  # held back while someone speaks, who may be interrupting
                held = self.speaker is not None and self.turns.barge_in_frames is not None
                more = not (self.aloud.is_written or state.waits)
                return not held and (more or self.clause_is_due)
            case Guessed(draft=Draft() as draft) | Held(draft=Draft() as draft):
                return not draft.finished
            case _:
                return False

    @property
    def clause_is_due(self) -> bool:
        """Whether a clause waits to be spoken, and not enough was spoken for now."""
        return self.aloud.waits and not self.aloud.is_ahead(self.heard)

    def speak_ahead(self) -> None:
        """Make a token that is not given out."""
        assert isinstance(self.state, Guessed | Held)
        assert self.state.draft is not None
        tokens = *self.state.draft.tokens, self.listener.token()
        self.state = replace(self.state, draft=replace(self.state.draft, tokens=tokens))

    def next_token(self) -> str | ToolCall | None:
        """The text of the reply's next token, or the call that it completes; None where there are
        no more."""
        assert isinstance(self.state, Replying)
        self.released += 1
        if not self.state.made:
            return self.listener.token()
        text, *made = self.state.made
        self.state = replace(self.state, made=tuple(made))
        return text

    def say(self, text: str | ToolCall) -> list[Event]:
        """Give out the text of a token, or the call that it completes."""
        assert isinstance(self.state, Replying)
        self.state = replace(self.state, said=self.state.said + 1)
        if isinstance(text, ToolCall):
            return self._called(text)
        self.aloud.take(text)
        if text:
            self._caption_soon()
        return [ReplyDelta(text)] if text else []

    def _called(self, call: ToolCall) -> list[Event]:
        """A function is called; what the session runs is done now."""
        assert isinstance(self.state, Replying)
        by = self.listener.whose(call.name)
        told = ToolCalled(call.id, call.name, call.arguments, by)
        if by == "client":
            return [told]
        self.state = replace(self.state, runs=(*self.state.runs, Run(call.id)))
        return [
            told,
            *(self.returned(call.id, *self.listener.run(call)) if by == "session" else ()),
        ]

    def returned(self, call: str, output: str, say: str | None) -> list[Event]:
        """A function that was called gave something; ignored if its reply is over.

        Args:
            call: its id.
            output: what it gave.
            say: what is said of it; None: the LLM says it.
        """
        if not (isinstance(self.state, Replying) and Run(call) in self.state.runs):
            return []
        runs = [Run(call, output, say) if run == Run(call) else run for run in self.state.runs]
        self.state = replace(self.state, runs=tuple(runs))
        if self.state.waits:
            self.end_text()
        return [ToolReturned(call, output)]

    def end_text(self) -> None:
        """The reply's text has come to its end; it goes on if it called functions, when what they
        give is there."""
        assert isinstance(self.state, Replying)
        runs = self.state.runs
        if not runs:
            self.aloud.finish()
        elif any(run.output is None for run in runs):
            self.state = replace(self.state, waits=True)
        else:
            self.state = replace(self.state, runs=(), made=(), waits=True)
            self.jobs.append((Work.ASK, partial(self._go_on, runs)))

    def _go_on(self, runs: Sequence[Run]) -> list[Event]:
        assert isinstance(self.state, Replying)
        said = [run.say for run in runs if run.say is not None]
        results = [(run.call, run.output or "") for run in runs]
        self.listener.go_on(results, " ".join(said) if len(said) == len(runs) else None)
        self.state = replace(self.state, waits=False)
        return []

    def announce(self, text: str, ref: str) -> None:
        """Tell something that nobody asked for; `ref`: of the reply."""
        self.listener.announce(text)
        about = About(self.heard)
        self.last, self.untidy = None, False
        self.state = Ending(about, self.answered, Draft(0), True, ref, is_notice=True)
        self.jobs.append((Work.DECODE, partial(self._prepared, 0)))

    def speak_clause(self) -> list[Event]:
        """Speak the clause that waits."""
        self.released += 1
        spoken = self.aloud.speak(self.heard)
        self._caption_soon()
        return [spoken]

    def _caption_soon(self) -> None:
        """The last caption comes after the first text, or sound: neither waits for it."""
        assert isinstance(self.state, Replying)
        if self.state.caption_due and not self.jobs and self.aloud.is_begun:
            self.jobs.append((Work.CAPTION, self._last_caption))

    def _last_caption(self) -> list[Event]:
        if not (isinstance(self.state, Replying) and self.state.caption_due):
            return []
        self.state = replace(self.state, caption_due=False)
        return self._caption(last=True)

    # --- closing

    def stop(self, reason: EndOfReply) -> list[Event]:
        """The reply is over; the turn is closed."""
        assert isinstance(self.state, Replying)
        events, said = self._last_caption(), self.state.said
        self.listener.close(None if reason in ("complete", "limit") else said)
        self.silent_since = self.heard if self.speaker is None else None
        self.aloud.stop()
        self._close()
        return [*events, ReplyEnded(said, reason)]

    def give_up(self) -> None:
        """Close the open turn, which was not answered."""
        self.listener.drop()
        self._close()

    def _close(self) -> None:
        """The turn is closed, with what was still to be done for it."""
        self.state, self.untidy = Quiet(), True
        self.jobs.clear()


def _refused(why: str, ref: str | None) -> list[Event]:
    return [Refused(why, ref, "context_full")]
