"""What clients write into a conversation: where the LLM reads it, and that nothing else is kept."""

import pytest
import torch

from assistant.conversation import Conversation
from assistant.errors import ContextFullError
from assistant.model import Salmonn
from assistant.prompt.items import Said
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.prompt.test_words import words_model
from tests.assistant.test_conversation import answer, check_cache, heard, reading, samples, tidy

SYSTEM = "<s>system:Be brief.\nHi.</s>"


@pytest.fixture(scope="module")
def model() -> Salmonn:
    return words_model()


def conversation(model: Salmonn, turns_kept: int = 4) -> Conversation:
    return Conversation(model, "Hi.", turns_kept=turns_kept)


def shown(talk: Conversation) -> str:
    """What the LLM reads of all that is kept and of the open turn, replies as `*`."""
    turn = talk._turn
    star = tuple(talk._llm.ids("*"))
    items = [Said(0, star) if isinstance(i, Said) else i for i in talk._history.items]
    answered = turn is not None
    if turn is not None:
        items = [*(items[:1] if turn.alone else items), *([] if turn.silent else [turn.whole])]
    pieces = talk._reading.render.render(items, answered=answered)
    return "".join(talk._llm.tokenizer.decode(p.ids) for p in pieces)


def typed(talk: Conversation, *texts: str) -> None:
    """Ask these, and be answered."""
    for text in texts:
        talk.write(text, "user", text)
    talk.open(since=talk.heard, typed=True)
    talk.pause()
    answer(talk)
    talk.close(said=1)


def spoken(talk: Conversation, seed: int = 0) -> None:
    """Say something, and be answered."""
    talk.open(since=talk.heard, spoken_from=talk.heard)
    heard(talk, samples(BLOCK, seed))
    talk.pause()
    answer(talk)
    talk.close(said=1)


def user(text: str) -> str:
    return f"\n<s>user:{text}</s>"


def question(text: str) -> str:
    return user(f"(Sounds heard: none.)\n{text}")


REPLY = "\n<s>assistant:*</s>"


def test_what_was_typed_is_read_with_what_is_typed_next(model: Salmonn) -> None:
    talk = conversation(model)
    typed(talk, "My name is Bo.")
    typed(talk, "And I am nine.", "What did I type?")
    first, second = question("My name is Bo."), question("And I am nine.\nWhat did I type?")
    assert shown(talk) == SYSTEM + first + REPLY + second + REPLY
    check_cache(talk, model)


def test_texts_of_every_role_are_read_in_their_order(model: Salmonn) -> None:
    talk = conversation(model)
    for role, text in (
        ("user", "Hello."), ("assistant", "Good day."), ("system", "It is noon."), ("user", "So?"),
    ):  # fmt: skip
        talk.write(text, role, text)  # type: ignore[arg-type]
    note = "\n<s>system:It is noon.</s>"
    before = SYSTEM + user("Hello.") + "\n<s>assistant:Good day.</s>" + note
    assert shown(talk) == before + user("So?")
    talk.open(since=0, typed=True)
    assert talk.answers() == ("So?",)
    assert shown(talk) == before + question("So?") + "\n<s>assistant:"


@pytest.mark.parametrize(
    ("after", "place"), [("root", 0), ("a", 1), ("b", 2), (None, 3), ("unknown", 3)]
)
def test_a_text_stands_where_it_was_put(model: Salmonn, after: str | None, place: int) -> None:
    talk = conversation(model)
    for ref in "abc":
        talk.write(ref, "user", ref)
    talk.write("x", "user", "x", after)
    order = [*"abc"]
    order.insert(place, "x")
    assert shown(talk) == SYSTEM + "".join(map(user, order))


def test_a_text_may_follow_what_was_said_in_a_turn(model: Salmonn) -> None:
    talk = conversation(model)
    typed(talk, "One?")
    typed(talk, "Two?")
    talk.write("x", "system", "x", (0, "answer"))
    note = "\n<s>system:x</s>"
    two = question("Two?") + REPLY
    assert shown(talk) == SYSTEM + question("One?") + REPLY + note + two
    check_cache(talk, model)


def test_what_someone_says_after_it_answers_it_too(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "I am in Rome.")
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()
    assert talk.answers() == ("a",)
    assert shown(talk).startswith(SYSTEM + user("I am in Rome.") + "\n<s>user:(Sounds heard: ")
    talk.close(said=0)
    assert not talk.is_asked
    check_cache(talk, model)


def test_a_text_that_comes_while_someone_speaks_stands_before_that(model: Salmonn) -> None:
    early, late = conversation(model), conversation(model)
    early.write("a", "user", "I am in Rome.")
    answers = []
    for talk in (early, late):
        talk.open(since=0, spoken_from=0)
        heard(talk, samples(BLOCK))
        if talk is late:
            talk.write("a", "user", "I am in Rome.")
        talk.pause()
        answers.append(answer(talk))
        talk.close()
    assert answers[0] == answers[1] != ""
    assert torch.equal(reading(early), reading(late))


def test_a_text_that_comes_under_a_reply_stands_behind_it(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "One?")
    talk.open(since=0, typed=True)
    talk.pause()
    talk.ask()
    talk.token()
    talk.write("b", "user", "Two?")
    assert talk.is_asked
    talk.close(said=1)
    assert shown(talk) == SYSTEM + question("One?") + REPLY + user("Two?")
    assert talk.is_asked
    check_cache(talk, model)


@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_text_that_is_erased_leaves_the_context(model: Salmonn, gone: str) -> None:
    talk = conversation(model)
    typed(talk, "a", "b")
    spoken(talk)
    talk.forget(gone)
    left = "b" if gone == "a" else "a"
    assert shown(talk).startswith(SYSTEM + question(left) + REPLY)
    check_cache(talk, model)
    talk.forget(left)
    assert shown(talk).startswith(SYSTEM + REPLY), "the reply alone is left, in its role"
    check_cache(talk, model)


def test_a_text_that_is_erased_under_its_reply_goes_when_that_is_over(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "One?")
    talk.open(since=0, typed=True)
    talk.pause()
    talk.ask()
    talk.token()
    talk.write("b", "user", "Two?")
    talk.forget("a")
    talk.forget("b")
    talk.close(said=1)
    assert shown(talk) == SYSTEM + REPLY
    check_cache(talk, model)


def test_a_text_stays_when_what_was_heard_beside_it_goes(model: Salmonn) -> None:
    talk = conversation(model)
    typed(talk, "One?")
    talk.forget((0, "question"))
    assert shown(talk) == SYSTEM + user("One?") + REPLY
    talk.forget((0, "answer"))
    assert shown(talk) == SYSTEM + user("One?")
    assert talk.is_asked, "it is not answered any more"
    check_cache(talk, model)


def test_texts_wait_for_the_question_that_claims_them(model: Salmonn) -> None:
    talk, other = conversation(model), conversation(model)
    for each in (talk, other):
        each.open(since=0, spoken_from=0)
        heard(each, samples(BLOCK))
    talk.write("a", "user", "And?")
    talk.claim(waits=True)
    for each in (talk, other):
        each.pause()
    assert answer(talk) == answer(other), "who speaks is answered as if nothing had been written"
    assert talk.answers() == ()
    talk.write("b", "user", "Well?")
    talk.close()
    other.close()
    tidy(talk)
    talk.open(since=talk.heard, typed=True)
    assert talk.answers() == ("a", "b")
    talk.drop()


@pytest.mark.parametrize("replying", [False, True])
def test_texts_that_wait_for_nothing_any_more_are_asked_again(
    model: Salmonn, replying: bool
) -> None:
    talk = conversation(model)
    talk.open(since=0, spoken_from=0)
    talk.pause()
    if replying:
        talk.ask()
        talk.token()
    talk.write("a", "user", "And?")
    talk.claim(waits=True)
    talk.claim(waits=False)
    assert talk.is_asked
    if not replying:
        talk.ask()
    talk.close(said=0)
    assert talk.is_asked is replying
    check_cache(talk, model)


def test_a_question_alone_knows_nothing_of_what_was_said(model: Salmonn) -> None:
    talk = conversation(model)
    typed(talk, "One?")
    before = shown(talk)
    talk.write("a", "user", "Two?")
    talk.open(since=0, instruction="Which?", alone=True)
    assert shown(talk) == SYSTEM + question("Which?") + "\n<s>assistant:"
    talk.pause()
    talk.require(kept=False)
    answer(talk)
    talk.close()
    assert shown(talk) == before + user("Two?"), "and nothing is kept of it"
    check_cache(talk, model)
    talk.open(since=0, instruction="Which?", alone=True)
    talk.pause()
    answer(talk)
    talk.close(said=1)
    assert shown(talk) == before + user("Two?") + REPLY
    check_cache(talk, model)


def test_an_answer_aside_leaves_questions_as_they_were(model: Salmonn) -> None:
    talk = conversation(model)
    talk.write("a", "user", "One?")
    talk.open(since=0, instruction="Sort it.", typed=True)
    talk.pause()
    talk.require(kept=False)
    answer(talk)
    talk.close()
    assert shown(talk) == SYSTEM + user("One?")
    assert talk.is_asked
    check_cache(talk, model)


def test_the_oldest_go_first_whoever_put_them_there(
    model: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = conversation(model, turns_kept=2)
    for n in range(3):
        talk.write(f"q{n}", "user", f"q{n}")
        talk.write(f"a{n}", "assistant", f"a{n}")
    talk.write("last", "user", "last")
    talk.open(since=0, typed=True)
    assert "q0" not in shown(talk)
    assert shown(talk).endswith(
        user("q1") + "\n<s>assistant:a1</s>" + user("q2") + "\n<s>assistant:a2</s>"
        + question("last") + "\n<s>assistant:"
    )  # fmt: skip
    talk.pause()
    talk.ask()
    talk.close(said=0)
    held = talk._history.positions
    talk.write("b", "user", "b")
    monkeypatch.setattr(type(model.llm), "context", held + 20)
    talk.open(since=talk.heard, typed=True)
    assert "q2" not in shown(talk)
    assert question("b") in shown(talk)


def test_a_text_that_never_fits_is_refused_and_asked_no_more(
    model: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = conversation(model)
    monkeypatch.setattr(type(model.llm), "context", 400)
    talk.write("a", "user", "word " * 500)
    assert not talk.tidy()
    with pytest.raises(ContextFullError):
        talk.open(since=0, typed=True)
    assert not talk.is_asked
    talk.open(since=0, spoken_from=0)
    talk.write("b", "user", "word " * 500)  # under what is being heard: it is not kept
    talk.pause()
    talk.ask()
    assert talk.answers() == ()


def test_nothing_written_is_kept_where_no_turns_are(model: Salmonn) -> None:
    talk = conversation(model, turns_kept=0)
    talk.write("note", "system", "It is noon.")
    typed(talk, "One?")
    assert shown(talk) == SYSTEM
    check_cache(talk, model)


@pytest.mark.parametrize("turns_kept", [0, 2])
def test_an_llm_that_hears_is_asked_the_texts_and_a_spoken_turn_does_not_answer_them(
    tiny: Salmonn, turns_kept: int
) -> None:
    written, asked = (Conversation(tiny, "Hi.", turns_kept=turns_kept) for _ in range(2))
    written.write("a", "user", "What is")
    written.write("n", "assistant", "")
    written.write("b", "user", "What was")
    written.write("c", "user", "that?")
    answers = []
    for talk in (written, asked):
        spoken(talk)
        assert talk.is_asked is (talk is written)
        if talk is written:
            talk.open(since=0, typed=True)
            assert talk.answers() == ("b", "c")
        else:
            talk.open(since=0, instruction="What was\nthat?")
        talk.pause()
        answers.append(answer(talk))
        talk.close(said=2)
    assert answers[0] == answers[1] != ""
    assert torch.equal(reading(written), reading(asked))
    written.forget("b")
    written.forget("c")
    assert len(written._history.items) == (1 if turns_kept == 0 else len(asked._history.items) - 1)
