"""What clients write between what is said: who answers it, once, however the input comes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.controls import Ask, Cancel, Clear, Commit, Control, Forget, Hold, Key, Write
from streaming.events import Event, Refused, ReplyDelta, ReplyStarted
from tests.laws import cuts
from tests.streaming.dialogue.test_waiting import replies
from tests.streaming.fakes import TURNS, Echo, Script, converse, pcm, session

ALL = Commit(ref="m", or_ring=True)
"""What a client's `response.create` is."""


class Reader(Echo):
    """Answers what was written before what was said, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed: list[tuple[str, str, str]] = []
        self.later: list[tuple[str, str, str]] = []

    @property
    def is_asked(self) -> bool:
        return bool(self.unanswered or self.later or self.claimed)

    def write(self, ref, role, text, after=None) -> None:  # type: ignore[no-untyped-def]
        if self.is_open and self.reply is not None:
            self.later.append((ref, role, text))
        else:
            super().write(ref, role, text, after)

    def forget(self, key: Key) -> None:
        super().forget(key)
        self.claimed = [text for text in self.claimed if text[0] != key]
        self.later = [text for text in self.later if text[0] != key]

    def claim(self, waits: bool) -> None:
        super().claim(waits)
        replying = self.is_open and self.reply is not None
        if waits:
            self.claimed += [*([] if replying else self.unanswered), *self.later]
            self.written = self.written if replying else []
            self.later.clear()
        elif replying:
            self.later, self.claimed = [*self.claimed, *self.later], []
        else:
            self.written, self.claimed = [*self.written, *self.claimed], []  # type: ignore[list-item]

    def open(self, since, instruction=None, spoken_from=None, *, typed=False, alone=False) -> int:  # type: ignore[no-untyped-def]
        if typed and not alone:
            self.written, self.claimed = [*self.claimed, *self.written], []  # type: ignore[list-item]
        return super().open(since, instruction, spoken_from, typed=typed, alone=alone)

    def ask(self) -> int:
        windows = super().ask()
        assert self.reply is not None
        self.reply.append(" and read " + ",".join(self.answers()))
        return windows

    def answers(self) -> tuple[str, ...]:
        return (*(ref for ref, *_ in self.unanswered), *self.asked)

    def close(self, said: int | None = None) -> None:
        super().close(said)
        self.written, self.later = self.later, []  # type: ignore[assignment]


def answered(events: list[Event]) -> list[tuple[str | None, tuple[str, ...]]]:
    """Who asked for each reply, and what was written that it answers."""
    return [(e.ref, e.answers) for e in events if isinstance(e, ReplyStarted)]


def written(name: str) -> Write:
    return Write(name, ref=name)


def test_all_texts_that_wait_are_answered_and_nobody_needs_to_speak() -> None:
    script: Script = [written("a"), written("b"), ALL, pcm("." * 9), written("c"), ALL]
    events = converse(session(), [*script, pcm("." * 9)])
    assert answered(events) == [("m", ("a", "b")), ("m", ("c",))]


def test_what_is_asked_for_after_all_texts_were_answered_is_about_what_was_heard() -> None:
    listener = Echo()
    converse(session(listener), [written("a"), ALL, pcm("." * 9), ALL, pcm("." * 9)])
    assert listener.diary == ["open 0 a", "answered", "open 0", "answered"]


def test_who_speaks_after_a_text_is_answered_with_it() -> None:
    events = converse(session(Reader()), [written("a"), pcm("...SSSS" + "." * 20)])
    assert answered(events) == [(None, ("a",))]


def test_a_text_in_a_pause_makes_a_reply_begun_in_secret_anew() -> None:
    listener = Reader()
    script: Script = [pcm("...SSSS....."), written("a"), pcm("." * 20)]
    events = converse(session(listener), script)
    assert answered(events) == [(None, ("a",))]
    told = "".join(e.text for e in events if isinstance(e, ReplyDelta))
    assert told.endswith("and read a")
    assert "instructed None" in listener.diary


def test_a_text_that_is_asked_about_while_someone_speaks_is_answered_after_that_and_once() -> None:
    script: Script = [pcm("...SSS"), written("a"), ALL, pcm("S" + "." * 40)]
    events = converse(session(Reader()), script)
    assert answered(events) == [(None, ()), ("m", ("a",))]


def test_a_text_that_is_asked_about_under_a_reply_that_is_interrupted_is_answered_last() -> None:
    script: Script = [
        pcm("...SSSS" + "." * 9), written("a"), ALL, pcm("S" * 8 + "." * 40),
    ]  # fmt: skip
    events = converse(session(Reader(), pace=lambda n: n % 6 == 0), script)
    assert answered(events) == [(None, ()), (None, ()), ("m", ("a",))]


def test_a_question_that_is_taken_back_leaves_its_text_to_whoever_speaks_next() -> None:
    script: Script = [
        pcm("...SSS"), written("a"), ALL, Cancel("c", "m"), pcm("S" + "." * 30),
    ]  # fmt: skip
    events = converse(session(Reader()), script)
    assert answered(events) == [(None, ("a",))]


def test_a_text_that_is_forgotten_is_not_answered() -> None:
    script: Script = [written("a"), written("b"), Forget(ref="a"), ALL, pcm("." * 9)]
    assert answered(converse(session(), script)) == [("m", ("b",))]


def test_a_question_alone_leaves_texts_to_others() -> None:
    listener = Echo()
    alone = Ask("What?", "q", alone=True, kept=False)
    script: Script = [written("a"), alone, pcm("." * 9), ALL, pcm("." * 9)]
    events = converse(session(listener), script)
    assert answered(events) == [("q", ()), ("m", ("a",))]
    assert listener.diary[:2] == ["open 0 What?", "aside"]


def test_a_reply_to_what_was_said_may_be_aside() -> None:
    listener = Echo()
    by_hand: Script = [pcm("S" * 8), Commit(ref="m", kept=False), pcm("." * 9)]
    assert replies(converse(session(listener, by_hand=True), by_hand))
    assert "aside" in listener.diary


def test_a_token_made_ahead_takes_the_place_of_none_that_is_given_out() -> None:
    """The turn is over with `Hold`, and the reply begins in its place: so does its first token."""
    script: Script = [pcm("SSS."), Ask("What?", "q"), Hold("h"), pcm("SSS." + "." * 60)]
    openly = TURNS.model_copy(update={"speculate": False})
    events = converse(session(Reader()), script)
    assert events == converse(session(Reader(), turns=openly), script)


# --- laws

controls = st.sampled_from(
    [
        written("a"), written("b"), Write("n", "system", "n"), Write("s", "assistant", "s"),
        Write("c", ref="c", after="root"), Forget(ref="a"), Forget(0, "question"), ALL,
        Ask("What?", "q"), Ask("Alone?", "r", alone=True, kept=False), Cancel("x"),
        Cancel("x", "m"), Hold("h"), Clear(),
    ]
)  # fmt: skip
runs = st.tuples(st.integers(1, 12), st.integers(1, 16)).map(lambda r: pcm("S" * r[0] + "." * r[1]))
scripts = st.lists(st.one_of(runs, controls), max_size=9)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), script=scripts, by_hand=st.booleans())
def test_texts_are_answered_the_same_however_the_input_is_cut_and_guessed_at(
    data: st.DataObject, script: list[bytes | Control], by_hand: bool
) -> None:
    whole: Script = [*script, pcm("." * 60)]
    recut: Script = []
    for piece in whole:
        if isinstance(piece, bytes):
            recut += [piece[cut] for cut in data.draw(cuts(len(piece)))]
        else:
            recut.append(piece)
    events = converse(session(Reader(), by_hand=by_hand), whole)
    assert converse(session(Reader(), by_hand=by_hand), recut) == events
    openly = TURNS.model_copy(update={"speculate": False})
    assert converse(session(Reader(), turns=openly, by_hand=by_hand), whole) == events


@settings(max_examples=300, deadline=None)
@given(make=st.sampled_from([Echo, Reader]), script=scripts, by_hand=st.booleans())
def test_no_text_is_answered_twice_nor_lost(
    make: type[Echo], script: list[bytes | Control], by_hand: bool
) -> None:
    numbered: Script = []
    for n, piece in enumerate(script):
        if isinstance(piece, Write) and piece.role == "user":
            numbered.append(Write(piece.text, "user", f"{piece.text}{n}", piece.after))
        elif not (isinstance(piece, Write | Forget) or piece == Clear()):
            numbered.append(piece)
    quiet = pcm("." * 60)
    last = Commit(ref="last", or_ring=True)
    events = converse(session(make(), by_hand=by_hand), [*numbered, quiet, last, quiet])
    found = [name for _, names in answered(events) for name in names]
    assert sorted(found) == sorted(p.ref for p in numbered if isinstance(p, Write))
    assert not any(isinstance(e, Refused) and e.code == "context_full" for e in events)
