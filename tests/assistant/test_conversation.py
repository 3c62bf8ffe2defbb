"""Turns in a KV cache: what was taken back leaves no trace, history stays."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from assistant.conversation import Conversation
from assistant.model import Salmonn
from assistant.prompt.items import Said, Spoken
from assistant.sound.recording import Samples
from tests.assistant.ear.test_ear import BLOCK, sound

PROMPT = "What is said?"


def samples(n: int, seed: int = 0) -> Samples:
    return sound(n, seed).numpy()


def heard(talk: Conversation, audio: Samples) -> None:
    for start in range(0, len(audio), 320):
        if talk.hear(audio[start : start + 320]):
            talk.prefill()


def answer(talk: Conversation) -> str:
    talk.ask()
    return "".join(t for t in iter(talk.token, None) if isinstance(t, str))


@pytest.mark.parametrize("silent", [[], [1], [3]], ids=["sound", "a gap", "ends in silence"])
def test_an_answer_is_that_of_the_offline_path(tiny: Salmonn, silent: list[int]) -> None:
    audio = samples(3 * BLOCK + 777)
    for block in silent:
        audio[block * BLOCK : (block + 1) * BLOCK] = 0.0
    talk = Conversation(tiny, PROMPT)
    talk.open(since=0)
    heard(talk, audio)
    assert talk.pause() == (3 not in silent)  # windows of the open block
    assert answer(talk) == "".join(tiny.ask(audio, PROMPT)) != ""
    assert talk.token() is None


def test_a_limit_is_of_one_reply(tiny: Salmonn) -> None:
    audio = samples(2 * BLOCK)
    whole = "".join(tiny.ask(audio, PROMPT))
    talk = Conversation(tiny, PROMPT)
    for limit in (3, None):
        talk.open(since=0)
        if limit is not None:
            talk.require(limit)
        if not talk.heard:
            heard(talk, audio)
        talk.pause()
        said = answer(talk)
        assert talk.cut_short()  # the toy never ends by itself
        assert whole.startswith(said)
        assert (said == whole) == (limit is None)
        talk.close()


def check_guesses_leave_no_trace(
    straight: Conversation, guessing: Conversation, audio: Samples
) -> None:
    """Both hear `audio`; one pauses every half block, and sometimes prefills or replies, too."""
    heard(straight, audio)
    for turn, start in enumerate(range(0, len(audio), BLOCK // 2)):
        heard(guessing, audio[start : start + BLOCK // 2])
        guessing.pause()
        if turn % 4 > 1:
            guessing.prefill()
        if turn % 2:
            guessing.ask()
            guessing.token()
        assert guessing.resume() == 0, "all that is final is in the cache already"
    for talk in (straight, guessing):
        talk.pause()
    assert answer(guessing) == answer(straight) != ""


def test_a_guess_taken_back_leaves_no_trace(tiny: Salmonn) -> None:
    audio = samples(5 * BLOCK)
    straight, guessing = Conversation(tiny, PROMPT), Conversation(tiny, PROMPT)
    for talk in (straight, guessing):
        talk.open(since=0)
    check_guesses_leave_no_trace(straight, guessing, audio)


def test_a_pause_leaves_the_prompts_end(tiny: Salmonn) -> None:
    audio = samples(3 * BLOCK + BLOCK // 2)
    answers = []
    for ahead in (False, True):
        talk = Conversation(tiny, PROMPT)
        talk.open(since=0)
        heard(talk, audio)
        windows = talk.pause()
        before = talk._reading.context.cache.length
        if ahead:
            assert talk.prefill() == 6 + windows
            assert (
                talk._reading.context.cache.length == before + windows * tiny.config.aligner.queries
            )
            before = talk._reading.context.cache.length
        talk.ask()
        tail = talk._reading.context.cache.length - before
        assert (tail == len(tiny.prompt.ids(tiny.llm, PROMPT)[1])) == ahead
        assert talk.text_tokens() > tail - windows
        answers.append([talk.token() for _ in range(6)])
    assert answers[0] == answers[1]


def test_what_is_heard_while_paused_waits_until_the_turn_goes_on(tiny: Salmonn) -> None:
    talk = Conversation(tiny, PROMPT)
    talk.open(since=0)
    heard(talk, samples(BLOCK // 2))
    talk.pause()
    assert talk.hear(samples(2 * BLOCK)) == 0
    assert talk.resume() == 4
    assert talk.prefill() == 4


def test_a_turn_holds_what_was_heard_since(tiny: Salmonn) -> None:
    talk = Conversation(tiny, PROMPT)
    talk.hear(samples(4 * BLOCK + 240))
    assert talk.open(since=3 * BLOCK) == 2
    talk.drop()
    assert talk.open(since=3 * BLOCK - 1) == 3
    talk.drop()
    assert talk.open(since=0, instruction="Another?") == 8


def test_turns_do_not_touch_each_other_without_history(tiny: Salmonn) -> None:
    talk, fresh = Conversation(tiny, PROMPT), Conversation(tiny, PROMPT)
    answers = []
    for each in (talk, talk, fresh):
        begin = each.heard
        each.open(since=begin)
        heard(each, samples(2 * BLOCK, seed=3))
        each.pause()
        answers.append(answer(each))
        each.close()
        if each is talk:
            each.hear(torch.zeros(BLOCK - each.heard % BLOCK + 4 * BLOCK).numpy())
    assert answers[0] == answers[2]


def test_history_is_what_was_said(tiny: Salmonn) -> None:
    """A kept turn is in the cache as if its text had been prefilled, the rest forgotten."""
    talk = Conversation(tiny, PROMPT, turns_kept=2)
    talk.open(since=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()
    said = [talk.token() for _ in range(3)]
    talk.close(said=2)
    llm = tiny.llm
    before, after = tiny.prompt.ids(llm, PROMPT)
    tokens = tiny.ear.hear(sound(BLOCK))
    expected = llm.cache()
    expected.extend(torch.cat([llm.embed(before), tokens, llm.embed(after)]))
    ids = [expected.next_token(tiny.config.generation) for _ in range(2)]
    assert talk._reading.context.cache.length == len(before) + len(tokens) + len(
        after
    ) + 2 + 1 + len(llm.ids("\n"))
    assert len(said) == 3
    expected.extend(llm.embed([llm.end_id, *llm.ids("\n")]))
    probe = llm.embed(llm.ids("x"))
    talk._reading.context.cache.extend(probe)
    expected.extend(probe)
    torch.testing.assert_close(
        talk._reading.context.cache.logits(), expected.logits(), atol=1e-4, rtol=0
    )
    assert ids


def tidy(talk: Conversation) -> None:
    while talk.tidy():
        pass


def kept(talk: Conversation) -> list[tuple[int, str]]:
    """Turn and part of what is kept."""
    names: dict[type, str] = {Spoken: "question", Said: "answer"}
    return [(i.turn, names[type(i)]) for i in talk._history.items if isinstance(i, Spoken | Said)]


def reading(talk: Conversation) -> torch.Tensor:
    """What the LLM reads of what is kept, computed anew."""
    llm, pieces = talk._llm, talk._history.pieces()
    parts = [llm.embed(list(p.ids)) if p.tokens is None else llm.take(p.tokens) for p in pieces]
    return torch.cat([llm.embed([]), *parts])


def check_cache(talk: Conversation, tiny: Salmonn) -> None:
    """The cache is that of someone who was told what is kept, and nothing else."""
    tidy(talk)
    whole = reading(talk)
    assert talk._reading.context.cache.length == len(whole)
    fresh = tiny.llm.cache()
    probe = tiny.llm.embed([3])
    for cache in (talk._reading.context.cache, fresh):
        if cache is fresh:
            cache.extend(whole)
        cache.extend(probe)
    torch.testing.assert_close(
        talk._reading.context.cache.logits(), fresh.logits(), atol=1e-4, rtol=0
    )


def two_turns(tiny: Salmonn) -> Conversation:
    talk = Conversation(tiny, PROMPT, turns_kept=3)
    for i in range(2):
        talk.open(since=talk.heard)
        heard(talk, samples(BLOCK + 100, i))
        talk.pause()
        answer(talk)
        talk.close()
    return talk


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("what", ["question", "answer"])
def test_a_part_of_a_turn_leaves_the_context(
    tiny: Salmonn, turn: int, what: Literal["question", "answer"]
) -> None:
    talk = two_turns(tiny)
    parts = kept(talk)
    assert parts == [(0, "question"), (0, "answer"), (1, "question"), (1, "answer")]
    talk.forget((turn, what))
    assert kept(talk) == [part for part in parts if part != (turn, what)]
    check_cache(talk, tiny)


def test_what_stands_before_what_is_forgotten_is_not_computed_again(tiny: Salmonn) -> None:
    talk = two_turns(tiny)
    first = sum(map(len, talk._reading.render.render(talk._history.items[:3])))
    talk.forget((1, "question"))
    assert talk._reading.context.cache.length == first
    talk.forget((0, "question"))
    assert talk._reading.context.cache.length == 0


def test_what_is_forgotten_while_a_turn_is_heard_is_not_in_its_answer(tiny: Salmonn) -> None:
    early, late = two_turns(tiny), two_turns(tiny)
    early.forget((0, "question"))
    for talk in (early, late):
        talk.open(since=talk.heard)
        heard(talk, samples(BLOCK + 50, 7))
        if talk is late:
            talk.forget((0, "question"))
        talk.pause()
    assert answer(early) == answer(late)
    early.close()
    late.close()
    assert kept(early) == kept(late)
    assert torch.equal(reading(early), reading(late))


def test_what_is_forgotten_under_its_answer_goes_when_that_is_over(tiny: Salmonn) -> None:
    talk = two_turns(tiny)
    talk.open(since=talk.heard)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()
    before = talk._reading.context.cache.length
    talk.forget((2, "question"))
    talk.forget((0, "answer"))
    assert talk._reading.context.cache.length == before
    talk.token()
    talk.close(1)
    assert kept(talk) == [(0, "question"), (1, "question"), (1, "answer"), (2, "answer")]
    check_cache(talk, tiny)


def test_a_turn_without_an_answer_was_never_there(tiny: Salmonn) -> None:
    talk = two_turns(tiny)
    before = talk._reading.context.cache.length
    talk.open(since=talk.heard)
    heard(talk, samples(BLOCK))
    talk.pause()
    talk.ask()  # in secret
    talk.token()
    talk.drop()
    assert talk._reading.context.cache.length == before
    assert {turn for turn, _ in kept(talk)} == {0, 1}
    check_cache(talk, tiny)


def test_what_is_unheard_is_in_no_turn(tiny: Salmonn) -> None:
    talk, other = Conversation(tiny, PROMPT), Conversation(tiny, PROMPT)
    for c in (talk, other):
        heard(c, samples(3 * BLOCK + 800))
    window = tiny.ear.spans.window
    talk.unhear(window, BLOCK - 1)
    left = other.open(since=0) - talk.open(since=0)
    assert left == BLOCK // window - 1


def test_how_tokens_are_drawn_can_be_changed(tiny: Salmonn) -> None:
    answers = []
    for temperature in (0.0, 2.0, 2.0, 0.0):
        talk = Conversation(tiny, PROMPT)
        talk.configure(temperature=2.0, top_p=1.0)
        talk.configure(temperature=temperature)
        talk.open(since=0)
        heard(talk, samples(BLOCK))
        talk.pause()
        answers.append(answer(talk))
    greedy = Conversation(tiny, PROMPT)
    greedy.open(since=0)
    heard(greedy, samples(BLOCK))
    greedy.pause()
    assert answers[0] == answers[3] == answer(greedy)
    assert answers[1] == answers[2] != answers[0]


@pytest.fixture(scope="module")
def two_ears(tiny: Salmonn) -> Salmonn:
    aligner = tiny.config.aligner.model_copy(update={"transcript": True})
    return replace(tiny, config=tiny.config.model_copy(update={"aligner": aligner}))


def test_a_second_ear_reads_what_the_offline_path_reads(two_ears: Salmonn) -> None:
    audio = samples(2 * BLOCK + 777)
    talk = Conversation(two_ears, PROMPT)
    talk.open(since=0, spoken_from=0)
    heard(talk, audio)
    talk.pause()
    assert talk._open_turn().item.transcript.strip()
    assert answer(talk) == "".join(two_ears.ask(audio, PROMPT)) != ""
    assert talk.caption(last=True) is None  # nobody asked to see it


def test_what_the_second_ear_read_is_taken_back_too(two_ears: Salmonn) -> None:
    audio = samples(4 * BLOCK)
    straight, guessing = Conversation(two_ears, PROMPT), Conversation(two_ears, PROMPT)
    for talk in (straight, guessing):
        talk.open(since=0, spoken_from=0)
    check_guesses_leave_no_trace(straight, guessing, audio)


def test_a_typed_question_has_no_transcript(two_ears: Salmonn) -> None:
    talk = Conversation(two_ears, PROMPT)
    talk.hear(samples(BLOCK))
    talk.open(since=0, instruction="What?")
    talk.pause()
    assert talk._open_turn().item.transcript == ""
