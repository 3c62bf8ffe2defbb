"""What is being said is read ahead of its end, and what was read stays in the KV cache."""

import pytest
from torch import Tensor

from assistant.conversation import Conversation
from assistant.llm.llm import LlmCache
from assistant.model import Salmonn
from assistant.prompt.words import heard as in_words
from tests.assistant.ear.test_ear import BLOCK
from tests.assistant.prompt.test_words import given, words_model
from tests.assistant.test_conversation import answer, heard, samples


@pytest.fixture(scope="module")
def model() -> Salmonn:
    return words_model()


def test_what_is_read_while_somebody_speaks_is_in_the_cache_at_the_pause(model: Salmonn) -> None:
    audio, talk, late = samples(4 * BLOCK), *(Conversation(model, "Hi.") for _ in range(2))
    for each in (talk, late):
        each.open(since=0, spoken_from=0)
    before = talk._reading.context.cache.length
    heard(talk, audio[: 3 * BLOCK + BLOCK // 2])
    talk.draft()
    talk.prefill()
    draft = talk._open_turn().item
    assert draft.transcript
    read = in_words(draft.sounds, draft.until, draft.transcript)
    assert talk._reading.context.cache.length == before + len(model.llm.ids(read))
    heard(talk, audio[3 * BLOCK + BLOCK // 2 :])
    assert talk._reading.context.cache.length == before + len(model.llm.ids(read))  # it stays
    late.hear(audio)
    for each in (talk, late):
        each.pause()
    assert given(talk) == given(late)
    assert answer(talk) == answer(late) != ""


def prefilled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of each pass of the LLM from here on."""
    passes: list[int] = []
    extend = LlmCache.extend

    def counted(cache: LlmCache, embeds: Tensor) -> None:
        passes.append(len(embeds))
        extend(cache, embeds)

    monkeypatch.setattr(LlmCache, "extend", counted)
    return passes


def test_what_was_read_is_not_read_again_at_the_pause(
    model: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass is left, about what the draft did not have and the prompt's end."""
    talk = Conversation(model, "Hi.")
    talk.open(since=0, spoken_from=0)
    heard(talk, samples(2 * BLOCK + BLOCK // 2))
    talk.draft()
    talk.prefill()
    _, end = model.prompt.turn(model.llm, "Hi.")
    passes = prefilled(monkeypatch)
    talk.pause()
    talk.prefill()
    assert passes == [len(end)]
    talk.ask()
    assert sum(passes) == len(end)
    talk.resume()
    talk.draft()
    talk.prefill()
    assert sum(passes) == len(end), "the transcript is still there"
