"""An LLM that reads words: what it is given, and that nothing else depends on it."""

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from assistant.config import ModelConfig
from assistant.conversation import Conversation
from assistant.ear.noticing import Sound
from assistant.errors import ConfigError, ContextFullError
from assistant.files.presets import load_preset, shipped_config, validate
from assistant.model import Salmonn, load
from assistant.parts import build
from assistant.parts.tiny import toy_llm
from assistant.prompt.chat import Chat, chat
from assistant.prompt.words import heard as in_words
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.test_conversation import answer, check_guesses_leave_no_trace, heard, samples

CHAT = (
    "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}" + CHAT


def words_config() -> ModelConfig:
    """The toy, whose LLM reads words with a chat template of its own."""
    tiny = load_preset(shipped_config(), "tiny")[1].model_dump()
    tiny["llm"]["lora"] = None
    prompt = {"template": "auto", "system": "Be brief.", "stop": []}
    return validate(ModelConfig, tiny | {"reads": "words", "prompt": prompt}, "words")


def words_model() -> Salmonn:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "toy_llm", lambda seed: (toy_llm(seed)[0], tokenizer(CHAT)))
        return load(words_config())


@pytest.fixture(scope="module")
def model() -> Salmonn:
    return words_model()


def given(talk: Conversation) -> str:
    """What the open turn's LLM will be told."""
    item = talk._open_turn().item
    return in_words(item.sounds, item.until, item.transcript, item.asked)


# --- text -----------------------------------------------------------------------------------------


def test_sounds_are_told_with_how_long_ago_they_were() -> None:
    sounds = [Sound(0, 16_000, "dog barking", 0.9), Sound(40_000, 80_000, "rain", 0.9)]
    told = "(Sounds heard: dog barking, 4 seconds ago; rain, just now.)\n"
    assert in_words(sounds, 80_000, " What was that? ") == told + "What was that?"
    assert in_words(sounds, 80_000, "", "What was it?") == told + "What was it?"
    both = in_words(sounds, 80_000, " Hello.", "Who spoke?")
    assert both == told + '(Speech heard: "Hello.")\nWho spoke?'


def test_what_was_not_heard_is_said_not_to_be() -> None:
    assert in_words([], 0, " ") == "(Sounds heard: none.)\n(Nothing was said.)"


@pytest.mark.parametrize(("end", "ago"), [(56_001, "just now"), (55_999, "2 seconds ago")])
def test_a_sound_is_there_for_a_moment(end: int, ago: str) -> None:
    assert ago in in_words([Sound(0, end, "rain", 0.9)], 80_000, "Hm.")


# --- templates ------------------------------------------------------------------------------------


def tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    made = toy_llm(3)[1]
    made.chat_template = template
    return made


def test_a_template_is_cut_where_something_is_said() -> None:
    shown = [("user", "A"), ("assistant", "B")]
    found = chat(tokenizer(CHAT), "Be brief.", shown)
    system = "<s>system:Be brief.</s>\n<s>user:A</s>\n<s>assistant:B</s>"
    note = "\n<s>system:", "</s>"
    asked, begun = "</s>\n<s>assistant:", "\n<s>assistant:"
    assert found == Chat(system, "\n<s>user:", asked, "</s>", begun, None, ("", "", ""), note)


def test_a_template_without_system_messages_has_it_with_the_user() -> None:
    found = chat(tokenizer(NO_SYSTEM), "Be brief.")
    assert found.system + found.opening == "<s>user:Be brief.\n\n"


@pytest.mark.parametrize(
    ("template", "problem"),
    [(None, "needs an LLM with a chat template"), ("{{ messages[0].content }}", "changes what")],
)
def test_a_template_that_cannot_be_used_is_refused(template: str | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"^prompt\.template: auto.*{problem}"):
        chat(tokenizer(template), "Be brief.")


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": {"mode": "recompute", "block_windows": 4}},
        {"checkpoint": "shipped:nano"},
        {"llm": {"weights": ["toy:3"]}},
    ],
)
def test_words_need_nothing_trained(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="reads: words needs"):
        validate(ModelConfig, words_config().model_dump() | change, "words")


# --- conversations --------------------------------------------------------------------------------


def test_what_stands_before_all_turns_stays_in_the_cache(model: Salmonn) -> None:
    talk = Conversation(model, "Answer.")
    while talk.tidy():
        pass
    before = model.prompt.prefix(model.llm, "Answer.")
    assert talk._reading.context.cache.length == len(before) > 0
    for _ in range(2):
        talk.open(since=0, spoken_from=0)
        heard(talk, samples(BLOCK))
        talk.pause()
        answer(talk)
        talk.close()
        assert talk._reading.context.cache.length == len(before)
    talk.configure(instruction="Answer in French.")
    talk.open(since=0)
    other = model.prompt.prefix(model.llm, "Answer in French.")
    opening, _ = model.prompt.turn(model.llm, "Answer in French.")
    assert talk._reading.context.cache.length == len(other) + len(opening)


def test_what_stands_before_all_turns_is_copied_from_the_models(model: Salmonn) -> None:
    assert model.standing is not None
    instruction, _ = model.standing
    answers = []
    for copied in (True, False):
        fresh = replace(model)
        if not copied:
            fresh.__dict__["standing"] = None
        talk = Conversation(fresh, instruction)
        assert bool(talk._reading.context.cache.length) == copied
        assert talk.tidy() != copied
        talk.open(since=0, spoken_from=0)
        heard(talk, samples(BLOCK))
        talk.pause()
        answers.append((answer(talk), talk._reading.context.cache.length))
    assert answers[0] == answers[1]


def test_a_typed_question_is_about_all_that_was_heard(model: Salmonn) -> None:
    audio = samples(3 * BLOCK + 777)
    talk = Conversation(model, "")
    heard(talk, audio)
    talk.open(since=0, instruction="What was that?")
    talk.pause()
    told = given(talk)
    assert told.endswith("\nWhat was that?")
    assert 'Speech heard: "' in told
    assert answer(talk) == "".join(model.ask(audio, "What was that?")) != ""
    assert talk.text_tokens() > len(told)  # a token a byte; windows have none


def test_a_guess_taken_back_leaves_no_trace(model: Salmonn) -> None:
    straight, guessing = Conversation(model, "Hi."), Conversation(model, "Hi.")
    for talk in (straight, guessing):
        talk.open(since=0, spoken_from=0)
    check_guesses_leave_no_trace(straight, guessing, samples(4 * BLOCK))


def test_sounds_heard_after_the_pause_are_not_in_its_answer(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.")
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(BLOCK // 2))
    talk.pause()
    told = given(talk)
    talk.hear(samples(3 * BLOCK, 1))
    assert given(talk) == told
    talk.resume()
    talk.pause()
    assert given(talk) != told


def noticed(talk: Conversation) -> list[tuple[int, int, str]]:
    return [(sound.begin, sound.end, sound.name) for sound in talk._open_turn().item.sounds]


def test_sounds_before_an_utterance_belong_to_its_turn_as_far_as_it_reaches(
    model: Salmonn,
) -> None:
    talk = Conversation(model, "Hi.")
    heard(talk, samples(2 * BLOCK))
    silence = samples(4 * BLOCK) * 0
    heard(talk, silence)
    assert talk.sounds() == []  # nobody asked for events
    for since, known in ((0, True), (2 * BLOCK - 1, True), (2 * BLOCK, False)):
        talk.open(since, spoken_from=5 * BLOCK)
        talk.pause()
        assert bool(noticed(talk)) == known
        talk.drop()
    talk.unhear(0, 2 * BLOCK)
    talk.open(0, spoken_from=5 * BLOCK)
    talk.pause()
    assert noticed(talk) == []


def test_a_sound_that_goes_on_is_one_sound(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.")
    heard(talk, samples(4 * BLOCK))
    talk.open(0, spoken_from=0)
    talk.pause()
    found = noticed(talk)
    assert found
    assert len({name for _, _, name in found}) == len(found)
    assert max(end for _, end, _ in found) == 4 * BLOCK


def test_an_utterance_that_goes_on_is_read_from_where_it_began(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.")
    heard(talk, samples(3 * BLOCK))
    talk.open(BLOCK // 2, spoken_from=BLOCK)
    talk.drop()
    talk.open(BLOCK // 2, spoken_from=2 * BLOCK)  # after a pause that was taken for its end
    whole = talk._open_turn().spoken_from
    talk.drop()
    talk.open(BLOCK, spoken_from=2 * BLOCK)  # another one
    assert talk._open_turn().spoken_from > whole


def test_turns_that_are_kept_stand_between(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.", turns_kept=1)
    texts = []
    for _ in range(2):
        talk.open(since=talk.heard, spoken_from=talk.heard)
        heard(talk, samples(BLOCK))
        talk.pause()
        texts.append(given(talk))
        answer(talk)
        talk.close(said=0)
    llm, prompt = model.llm, model.prompt
    opening, asked = prompt.turn(llm, "Hi.")
    ids = prompt.prefix(llm, "Hi.")
    for text in texts[-1:]:
        ids = [*ids, *opening, *llm.ids(text), *asked, llm.end_id]
    expected = llm.cache()
    expected.extend(llm.embed(ids))
    while talk.tidy():
        pass
    assert talk._reading.context.cache.length == expected.length
    torch.testing.assert_close(
        talk._reading.context.cache.logits(), expected.logits(), atol=1e-4, rtol=0
    )


def test_captions_can_be_shown_beside(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.", captions=True)
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    shown = talk.caption(last=True)
    assert shown is not None
    assert shown[0].strip() == talk._open_turn().item.transcript.strip()


def test_without_a_tagger_no_sound_is_named(model: Salmonn) -> None:
    talk = Conversation(replace(model, tagger=None), "Hi.")
    heard(talk, samples(BLOCK))
    talk.open(since=0, spoken_from=0)
    talk.pause()
    assert given(talk).startswith("(Sounds heard: none.)")


# --- other words about an open turn, sounds, and contexts that are too small


def held(talk: Conversation, instruction: str | None = None) -> Conversation:
    """A second of speech that was paused at, and asked for in secret."""
    talk.open(since=0, instruction=instruction, spoken_from=0)
    heard(talk, samples(BLOCK + 999))
    talk.pause()
    answer(talk)
    return talk


def test_other_words_about_a_held_turn_are_as_if_it_had_been_opened_with_them(
    model: Salmonn,
) -> None:
    straight, instructed = (
        held(Conversation(model, "Hi."), "Who?"),
        held(Conversation(model, "Hi.")),
    )
    instructed.instruct("Who?")
    assert given(instructed) == given(straight)
    straight.instruct(None)
    assert answer(instructed) == answer(straight) != ""
    assert instructed._reading.context.cache.length == straight._reading.context.cache.length
    assert instructed.text_tokens() == straight.text_tokens()


def test_the_same_words_again_after_another_limit(model: Salmonn) -> None:
    talk = held(Conversation(model, "Hi."))
    talk.instruct(None)
    talk.require(1)
    talk.ask()
    while talk.token() is not None:
        pass
    assert talk.cut_short()


def test_sounds_are_known_whether_events_are_wished_or_not(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.", sound_events=True)
    heard(talk, samples(BLOCK))
    talk.configure(sound_events=False)
    talk.hear(samples(2 * BLOCK, 1))
    assert talk.sounds() == []
    talk.open(0, spoken_from=0)
    talk.pause()
    assert max(end for _, end, _ in noticed(talk)) == talk.heard
    talk.drop()
    talk.configure(sound_events=True)
    talk.hear(samples(BLOCK, 5))
    assert len(talk.sounds()) == len(talk._hearing.sounds)


def test_a_sound_that_goes_on_after_what_was_cleared_begins_anew(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.")
    heard(talk, samples(4 * BLOCK)[: 2 * BLOCK + talk._model.ear.ahead])
    assert talk._hearing.noticed
    talk.unhear(0, talk.heard)
    assert talk._hearing.noticed == []
    talk.hear(samples(4 * BLOCK)[2 * BLOCK + talk._model.ear.ahead :])
    talk.open(0, spoken_from=0)
    talk.pause()
    assert noticed(talk)
    assert min(begin for begin, _, _ in noticed(talk)) >= 2 * BLOCK


def test_what_no_context_holds_is_refused_when_a_turn_is_opened(model: Salmonn) -> None:
    talk = Conversation(model, "word " * 3000, turns_kept=1)
    assert not talk.tidy()
    for _ in range(2):
        with pytest.raises(ContextFullError):
            talk.open(since=0)
    talk.configure(instruction="Hi.")
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    assert answer(talk) == answer(held_like(model))


def held_like(model: Salmonn) -> Conversation:
    talk = Conversation(model, "Hi.")
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(BLOCK))
    talk.pause()
    return talk


def test_another_instruction_is_prefilled_before_anyone_speaks(model: Salmonn) -> None:
    talk = Conversation(model, "Hi.")
    talk.configure(instruction="Answer in French.")
    while talk.tidy():
        pass
    assert talk._reading.context.cache.length == len(
        model.prompt.prefix(model.llm, "Answer in French.")
    )
