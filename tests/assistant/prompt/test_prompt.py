import pytest

from assistant.config import PromptConfig
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, shipped_config
from assistant.llm.llm import Llm
from assistant.parts.build import build_llm
from assistant.prompt.prompt import Prompt, instruction, tasks

SALMONNS_TASKS = [
    "asr",
    "asr_zh",
    "asr_de",
    "translation_ec",
    "translation_en2ja",
    "translation_en2de",
    "audiocaption",
    "audiocaption_v2",
    "QA",
    "gender_QA",
    "phone_recognition",
    "speech_query",
    "emotion_recognition",
    "lyrics_recognition",
    "audio_speech_description",
    "fluent_speech_audio",
    "speaker_verification",
    "speech_separation",
    "audio_story_telling",
    "speech_audio_query",
    "speech_audio_coreasoning",
    "slot_filling",
    "music_description",
    "keywords",
    "speaker_diarization_asr",
]
ASKING = {"QA", "gender_QA", "slot_filling"}


@pytest.fixture(scope="module")
def llm() -> Llm:
    return build_llm(load_preset(shipped_config(), "tiny")[1])


def test_the_tasks_are_salmonns_25_and_two_of_ours() -> None:
    assert len(SALMONNS_TASKS) == 25
    assert list(tasks()) == ["listen", "talk", *SALMONNS_TASKS]
    assert all(words.strip() for words in tasks().values())


def test_only_the_asking_tasks_have_a_slot_for_the_question() -> None:
    assert {name for name, words in tasks().items() if "{" in words} == ASKING


@pytest.mark.parametrize("task", SALMONNS_TASKS)
def test_every_task_gives_an_instruction_with_nothing_left_to_fill_in(task: str) -> None:
    asked = instruction(None, task, "city name")
    assert "{" not in asked
    assert ("city name" in asked) == (task in ASKING)


@pytest.mark.parametrize("task", sorted(ASKING))
def test_an_asking_task_without_a_question_is_an_error(task: str) -> None:
    with pytest.raises(ConfigError, match=f"'{task}' needs a question"):
        instruction(None, task, None)


def test_a_question_is_taken_as_it_stands() -> None:
    assert instruction(None, "QA", "What is {question}, {audio}?") == "What is {question}, {audio}?"


def test_free_words_are_the_instruction_and_transcribing_is_the_default() -> None:
    assert instruction("Who speaks?", None, None) == "Who speaks?"
    assert instruction("", None, None) == ""
    assert instruction(None, None, None) == tasks()["asr"]
    assert instruction(None, None, None, default="listen") == tasks()["listen"]


def test_words_and_a_task_together_are_an_error() -> None:
    with pytest.raises(ConfigError, match="not both"):
        instruction("Who speaks?", "asr", None)


def test_an_unknown_task_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown task 'Asr'; known: listen, talk, asr, .*keywords"
    ):
        instruction(None, "Asr", None)


TEMPLATES = [
    ("USER: <Speech>{audio}</Speech> {instruction}\nA:", "USER: <Speech>", "</Speech> Hi!\nA:"),
    ("{instruction} {audio}\n", "Hi! ", "\n"),
    ("{audio}{instruction}", "", "Hi!"),
    ("{instruction}{audio}", "Hi!", ""),
]


@pytest.mark.parametrize(("template", "before", "after"), TEMPLATES)
def test_the_template_is_cut_at_the_audio(template: str, before: str, after: str) -> None:
    prompt = Prompt(PromptConfig(template=template))
    assert prompt.pieces("Hi!") == (before, after)


@pytest.mark.parametrize("template", [template for template, _, _ in TEMPLATES])
def test_slots_named_in_an_instruction_are_plain_words(template: str) -> None:
    asked = "say {audio} and {instruction}"
    pieces = Prompt(PromptConfig(template=template)).pieces(asked)
    assert "".join(pieces) == template.replace("{audio}", "").replace("{instruction}", asked)


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize(("template", "before", "after"), TEMPLATES)
def test_ids_are_the_pieces_tokenised_apart_after_one_bos_if_configured(
    llm: Llm, template: str, before: str, after: str, bos: bool
) -> None:
    def tokens(text: str) -> list[int]:  # the toy vocabulary: <s>, </s>, one token per byte
        return [llm.tokenizer.convert_tokens_to_ids(t) for t in llm.tokenizer.tokenize(text)]

    prompt = Prompt(PromptConfig(template=template, bos=bos))
    assert prompt.ids(llm, "Hi!") == ([0] * bos + tokens(before), tokens(after))
    assert len(tokens(before) + tokens(after)) == len((before + after).encode())


def test_a_tokenizer_without_bos_begins_with_the_text() -> None:
    llm = build_llm(load_preset(shipped_config(), "tiny")[1])
    llm.tokenizer.bos_token = None
    prompt = Prompt(PromptConfig(template="{instruction}{audio}", bos=True))
    assert prompt.ids(llm, "a") == (llm.ids("a"), [])
