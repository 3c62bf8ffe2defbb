"""What an LLM reads is a function of the conversation's items."""

from dataclasses import replace

import pytest
import torch

from assistant.ear.hearing import Window
from assistant.ear.noticing import Sound
from assistant.llm.context import Piece
from assistant.model import Salmonn
from assistant.prompt.items import Item, Said, Spoken, System
from assistant.prompt.render import Renderer
from tests.assistant.prompt.test_words import words_model


def window(at: int, width: int, count: int) -> Window:
    return Window(at, torch.full((count, width), float(at)), torch.zeros(16, 4))


@pytest.fixture(scope="module")
def words() -> Salmonn:
    return words_model()


def text(model: Salmonn, pieces: list[Piece]) -> str:
    """What is read as text."""
    return "".join(model.llm.tokenizer.decode(piece.ids) for piece in pieces)


def two_turns(instruction: str, windows: tuple[Window, ...]) -> list[Item]:
    sounds = (Sound(0, 16_000, "rain", 0.9),)
    return [
        System(instruction),
        Spoken(0, instruction, windows[:1], until=16_000, transcript=" Hello. ", sounds=sounds),
        Said(0, (7, 8)),
        Spoken(1, instruction, windows[1:], until=32_000, question="What was that?"),
    ]


def test_turns_with_audio_tokens_follow_the_presets_template(tiny: Salmonn) -> None:
    llm = tiny.llm
    render = Renderer(llm, tiny.prompt)
    windows = tuple(window(at, llm.width, 2) for at in (0, 5120, 10240))
    before, after = tiny.prompt.turn(llm, "Hm?")
    typed, asked = tiny.prompt.turn(llm, "What was that?")
    found = [p for p in render.render(two_turns("Hm?", windows)) if len(p)]
    assert [p.ids for p in found if p.tokens is None] == [
        tuple(before), tuple(llm.ids("\nHello.")), tuple(after),
        (7, 8, llm.end_id, *llm.ids("\n")),
        tuple(typed), tuple(asked),
    ]  # fmt: skip
    sounds = [(n, p.tokens) for n, p in enumerate(found) if p.tokens is not None]
    assert [n for n, _ in sounds] == [1, 6, 7]
    assert all(tokens is w.tokens for (_, tokens), w in zip(sounds, windows, strict=True))


def test_roles_are_those_of_the_llms_own_template(words: Salmonn) -> None:
    windows = tuple(window(at, words.llm.width, 0) for at in (0, 5120))
    items = two_turns("Answer.", windows)
    items[2] = Said(0, tuple(words.llm.ids("Hi.")))
    assert text(words, Renderer(words.llm, words.prompt).render(items, answered=True)) == (
        "<s>system:Be brief.\nAnswer.</s>"
        "\n<s>user:(Sounds heard: rain, just now.)\nHello.</s>\n<s>assistant:Hi.</s>"
        "\n<s>user:(Sounds heard: none.)\nWhat was that?</s>\n<s>assistant:"
    )


def test_what_is_read_of_a_turn_while_it_is_heard_stays_when_it_is_over(tiny: Salmonn) -> None:
    render = Renderer(tiny.llm, tiny.prompt)
    windows = tuple(window(at, tiny.llm.width, 2) for at in (0, 5120))
    item = Spoken(0, "Hm?", windows)
    whole = render.render([item])
    for heard in (render.opening(replace(item, windows=windows[:1])), render.opening(item)):
        assert all(a.is_as(b) for a, b in zip(heard, whole, strict=False))


def test_the_same_items_are_read_the_same_by_whomever(words: Salmonn) -> None:
    items = two_turns("Answer.", ())
    first, second = (Renderer(words.llm, words.prompt) for _ in range(2))
    first.render([System("Else."), Spoken(9, "Else.", ())])
    pairs = zip(first.render(items), second.render(items), strict=True)
    assert all(one.is_as(other) for one, other in pairs)
