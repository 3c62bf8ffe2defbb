"""The reply that is given out: token by token, with calls of functions, and aloud."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from assistant.tools.tool import ToolCall
from streaming.config import TurnsConfig
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.listener import Listener
from streaming.dialogue.turn import (
    About,
    Draft,
    Ending,
    Guessed,
    Held,
    Quiet,
    Replying,
    Run,
    Speaking,
    State,
)
from streaming.dialogue.work import Job, Work
from streaming.events import (
    Caption,
    Event,
    ReplyDelta,
    ReplyStarted,
    ToolCalled,
    ToolReturned,
)


class GivingOut:
    """The state of the open turn, and what is done with it once its reply was begun; `Floor` has
    the rest."""

    def __init__(self, listener: Listener, turns: TurnsConfig, aloud: Aloud) -> None:
        """Args:
        listener: hears and answers.
        turns: what belongs to a turn.
        aloud: speaks replies.
        """
        self.listener, self.turns = listener, turns
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

        self.released = 0
        """Tokens given out, clauses spoken, and ends of replies."""

    @property
    def about(self) -> About | None:
        """What the open turn is about."""
        return None if isinstance(self.state, Quiet) else self.state.about

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

    def _caption(self, *, last: bool = False) -> list[Event]:
        found = self.listener.caption(last=last)
        if found is None or not (last or any(found)):
            return []
        assert self.about is not None
        return [Caption(*found, last, self.about.spoken_from or 0)]
