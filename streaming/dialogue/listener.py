"""The interfaces through which a session uses the model and the endpointer."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.tools.tool import Tool, ToolCall, ToolChoice
from streaming.audio.endpointer import Change
from streaming.audio.frames import Frame
from streaming.audio.stage import Stage
from streaming.controls import Key, Role
from streaming.events import Runner


class Listener(Protocol):
    """The model's side of one conversation; implemented in `assistant`.

    Only arrays, numbers and strings cross this line.
    """

    @property
    def turn(self) -> int:
        """Turns answered so far: the number of the open one, counted from 0, if it is answered."""

    def hear(self, samples: NDArray[np.float32]) -> int:
        """Take samples of the stream; windows of the open turn that wait to be prefilled."""

    def sounds(self) -> list[tuple[int, int, str, float]]:
        """Sounds that began in what `hear` was given last: from, until, name, probability."""

    def write(self, ref: str, role: Role, text: str, after: Key | None = None) -> None:
        """Put a text into the conversation, after another item; under a reply, behind that."""

    def note_call(self, ref: str, call: ToolCall, after: Key | None = None) -> None:
        """The same with a call of a function."""

    def note_result(self, ref: str, call: str, output: str, after: Key | None = None) -> None:
        """The same with what came of the call with an id."""

    def forget(self, key: Key) -> None:
        """Take an item out of the conversation."""

    def claim(self, waits: bool) -> None:
        """What was written and is not answered waits for a question about it, which comes later,
        and no reply before that knows of it; or it waits no longer."""

    @property
    def is_asked(self) -> bool:
        """Whether something was written that is not answered yet."""

    def answers(self) -> tuple[str, ...]:
        """What was written and is answered by the open turn's reply."""

    def callable(self) -> tuple[str, ...]:
        """Names of the functions that the open turn's reply may call."""

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        """Begin a turn about what was heard from sample `since` on, and about what was written
        (`typed`), maybe as if nothing had been said before (`alone`); windows that wait. What is
        refused because the context has no room for it is asked no more."""

    def instruct(self, instruction: str | None) -> None:
        """Ask something else about the open turn, or the same again (None): a reply that was begun
        is forgotten, and what the turn is about stays what it is, paused or not."""

    def require(
        self,
        max_new_tokens: int | None = None,
        *,
        kept: bool = True,
        tools: tuple[Tool, ...] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> None:
        """How the open turn's reply is to be made, where that is not as the session has it: how
        long it may be, whether it becomes a part of the conversation, what it may call; before
        `ask`."""

    def prefill(self) -> int:
        """Put the waiting windows into the KV cache, and what `pause` encoded, for now; windows of
        the turn in it."""

    @property
    def draft_samples(self) -> int:
        """Samples of speech from one `draft` to the next; 0: there are none."""

    def draft(self) -> None:
        """Read what was said so far; `prefill` puts it into the KV cache, for now."""

    def pause(self) -> int:
        """The turn may be over: encode the block that is open, for now; its windows."""

    def finished(self) -> float | None:
        """The probability that the speaker has finished, once `pause` was called; None: nothing can
        tell."""

    def said(self) -> str:
        """At the pause: what was said in the turn, in words; empty where nobody reads it."""

    def overheard(self, since: int) -> str:
        """What was said from a sample on, under a reply; empty where it is not clear, or nobody can
        read it."""

    def resume(self) -> int:
        """It was not over: take back what `pause`, `ask` and `token` did; windows that wait."""

    def ask(self) -> int:
        """Prefill what is missing and the rest of the prompt; windows of the turn."""

    def text_tokens(self) -> int:
        """LLM tokens of the turn's prompt, audio apart, once `ask` was called."""

    def token(self) -> str | ToolCall | None:
        """Text of the reply's next token, maybe empty, or the call that it completes; None when
        there are no more."""

    def cut_short(self) -> bool:
        """Whether there are no more because of a limit."""

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        """Text of the turn that came to be settled, and what follows it for now."""

    def configure(
        self,
        instruction: str | None,
        max_new_tokens: int | None,
        captions: bool | None,
        sound_events: bool | None,
        temperature: float | None,
        top_p: float | None,
        tools: tuple[Tool, ...] | None,
        tool_choice: ToolChoice | None,
    ) -> None:
        """Other settings for the turns to come; None leaves one as it is. Temperature 0 takes the
        likeliest token, always."""

    def whose(self, name: str) -> Runner:
        """Who runs a function that the open turn's reply calls."""

    def only_ours(self) -> bool:
        """Whether the open turn's reply may call no functions but our own: neither a client's nor a
        user's."""

    def run(self, call: ToolCall) -> tuple[str, str | None]:
        """Do what a call asks that the session runs: what came of it, and what is said of that;
        None: the LLM says it."""

    def go_on(self, results: Sequence[tuple[str, str]], say: str | None) -> None:
        """The open turn's reply, which called functions, goes on with what came of that, by the
        calls' ids: `token` gives more. `say`: see `run`."""

    def notices(self) -> list[tuple[str, str, str]]:
        """What has to be told from now on: kind, name and text of each; told once."""

    def announce(self, text: str) -> None:
        """Begin a turn that is about nothing, whose reply is `text`; `token` and `close` follow."""

    def tell_time(self, local: str) -> None:
        """It is this local time, in ISO 8601."""

    def tidy(self) -> bool:
        """A piece of the work that a closed turn left for later; whether there is more."""

    def close(self, said: int | None = None) -> None:
        """The turn was answered; of an interrupted reply `said` tokens were given out."""

    def drop(self) -> None:
        """The turn is over without an answer."""

    def truncate(self, turn: int, characters: int) -> None:
        """Of a reply's text no more than so much was heard: the rest leaves the LLM's context."""

    def unhear(self, since: int, until: int) -> None:
        """Exclude these samples from all later turns."""


class SpeechFinder(Stage[Frame, Change], Protocol):
    """Finds utterances."""

    speech_end: int
    """One past the last sample of speech."""

    def after_word(self) -> None:
        """Start anew, after a word that belongs to no utterance."""

    def judge(self, finished: float | None) -> None:
        """At a pause: the probability that the speaker has finished; None: nothing can tell."""
