"""The open turn, and the model's work on it: opened, guessed at, held, answered, closed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from assistant.errors import ContextFullError
from assistant.rates import SAMPLE_RATE
from streaming.config import TurnsConfig
from streaming.controls import Called, Key, Returned, Write
from streaming.dialogue.aloud import Aloud
from streaming.dialogue.asked import Asked, open_turn, require
from streaming.dialogue.giving import GivingOut
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
)
from streaming.dialogue.work import Work, silently
from streaming.events import (
    AudioPrefilled,
    EndOfReply,
    Event,
    Refused,
    ReplyEnded,
)


class Floor(GivingOut):
    """Whose turn it is: its state, and the steps that have to be done for it, in order.

    Only `Dialogue` decides what is done with it; this knows how.
    """

    def __init__(
        self,
        listener: Listener,
        turns: TurnsConfig,
        aloud: Aloud,
        prepared: Callable[[int], list[Event]],
        judged: Callable[[float | None], None],
    ) -> None:
        """Args:
        listener: hears and answers.
        turns: what belongs to a turn.
        aloud: speaks replies.
        prepared: called when a reply can be given out, with the windows that were there in time.
        judged: called at a pause, with the probability that the speaker has finished.
        """
        super().__init__(listener, turns, aloud)
        self._prepared, self._judged = prepared, judged
        self.last: tuple[int, int, int] | None = None
        """Begin, end and number of the last turn that silence ended."""

        self.silent_since: int | None = None
        """Nobody has spoken since this sample, the end of a reply."""

        self.untidy = True
        """A closed turn may have left something to do; the beginning has."""

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

    def open_about_ring(self, asked: Asked) -> bool:
        """Open a turn about everything in the ring; see `open`."""
        return self.open(max(0, self.heard - round(self.ring)), asked=asked)

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

    def draft(self) -> None:
        """What was said so far is read, in two short steps."""
        self._add_silent(Work.DRAFT, self.listener.draft)
        self._add_silent(Work.DRAFT, self.listener.prefill)

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

    def announce(self, text: str, ref: str) -> None:
        """Tell something that nobody asked for; `ref`: of the reply."""
        self.listener.announce(text)
        about = About(self.heard)
        self.last, self.untidy = None, False
        self.state = Ending(about, self.answered, Draft(0), True, ref, is_notice=True)
        self.jobs.append((Work.DECODE, partial(self._prepared, 0)))

    # --- over, or not

    def guess(self) -> None:
        """The utterance may be over: compute all but the prompt's end while that is unsure."""
        assert isinstance(self.state, Listening)
        self.state = Guessed(self.state.about, self.heard)
        self._add_silent(Work.ENCODE, self._pause)
        self._add_silent(Work.PREFILL, self.listener.prefill)
        if self.turns.speculate and self.turns.auto_reply:
            self.jobs.append((Work.ASK, self._ask))
            if self.turns.stop_words:
                self.jobs.append((Work.CAPTION, self._read))

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

    def answer_at_once(self, asked: Asked | None = None) -> None:
        """The open turn is over, and its reply follows; see `answer`."""
        self.last, self.silent_since = None, None
        if self.about is not None:  # otherwise the context has no room for it, which is told
            self.answer(self.heard, asked)

    def _paused(self) -> tuple[About, int, Draft | None, bool]:
        """What is known of a turn that is over; the block that is open is encoded."""
        match self.state:
            case Listening(about):
                self._add_silent(Work.ENCODE, self.listener.pause)
                return about, self.heard, None, False
            case Guessed(about, paused_at, draft):
                return about, paused_at, draft, False
            case Held(about, paused_at, draft, captioned):
                return about, paused_at, draft, captioned
            case _:
                raise AssertionError(f"no turn is being heard: {self.state}")

    # --- steps

    def _add_silent(self, work: Work, step: Callable[[], int | None]) -> None:
        """A step that clients are not told of comes next but for those that wait."""
        self.jobs.append((work, partial(silently, step)))

    def _now_about(self, prefilled: tuple[AudioPrefilled, ...]) -> None:
        assert not isinstance(self.state, Quiet)
        about = replace(self.state.about, prefilled=prefilled)
        self.state = replace(self.state, about=about)

    def _pause(self) -> None:
        self.listener.pause()
        self._judged(self.listener.finished())

    def _read(self) -> list[Event]:
        """Before it is needed."""
        self.listener.said()
        return []

    def _prefill(self) -> list[Event]:
        done = AudioPrefilled(self.heard, self.listener.prefill())
        assert self.about is not None
        self._now_about(prefilled=(*self.about.prefilled, done))
        if self.turns.captions and not isinstance(self.state, Ending):
            self.jobs.append((Work.CAPTION, self._caption))
        return [done]

    def _ask(self) -> list[Event]:
        assert isinstance(self.state, Guessed | Held | Ending)
        if self.state.draft is None:  # it may have been asked for twice in one frame
            self.state = replace(self.state, draft=Draft(self.listener.ask()))
        return []

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

    def dismiss(self) -> list[Event]:
        """The turn is over without an answer; its last caption is given."""
        assert isinstance(self.state, Ending)
        due = self.turns.captions and not self.state.captioned
        events = self._caption(last=True) if due else []
        self.answered = self.state.paused_at
        self.give_up()
        return events

    def drop(self) -> None:
        """Close the open turn, if one is, which was not answered."""
        if self.about is not None:
            self.give_up()

    def _close(self) -> None:
        """The turn is closed, with what was still to be done for it."""
        self.state, self.untidy = Quiet(), True
        self.jobs.clear()


def _refused(why: str, ref: str | None) -> list[Event]:
    return [Refused(why, ref, "context_full")]
