"""What is said under a reply, and in a turn, in words."""

import pytest
import torch

from assistant.captions.captioner import Captioner
from assistant.conversation import Conversation
from assistant.errors import ComponentError
from assistant.listening import SHORT
from assistant.model import Salmonn
from tests.assistant.prompt.test_words import words_model

BLOCK = 8 * 5120
SPOKEN = BLOCK + 5000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is read is clear, and tells how many windows it is about."""
    read: list[int] = []

    def hear(self: Captioner, windows: list[object]) -> None:
        self._features += len(windows)

    def peek(self: Captioner, ahead: list[object]) -> str:
        read.append(self._features + len(ahead))
        self.is_clear = True
        return f"{read[-1]} windows"

    monkeypatch.setattr(Captioner, "hear", hear)
    monkeypatch.setattr(Captioner, "peek", peek)
    return read


def heard(model: Salmonn, samples: int, *, captions: bool = False) -> Conversation:
    talk = Conversation(model, "Hi.", captions=captions)
    talk.hear((0.1 * torch.randn(samples, generator=torch.manual_seed(1))).numpy())
    return talk


def test_what_is_overheard_begins_where_it_was_said(tiny: Salmonn, read: list[int]) -> None:
    talk = heard(tiny, SPOKEN + 8000)
    window = tiny.ear.spans.window
    first = (SPOKEN - window) // window + 1
    assert talk.overheard(SPOKEN) == f"{-(-(SPOKEN + 8000) // window) - first} windows"


def test_what_is_not_clear_was_not_overheard(
    tiny: Salmonn, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Captioner, "peek", lambda *_: "Thank you.")
    assert heard(tiny, SPOKEN).overheard(0) == ""


def test_overhearing_changes_nothing_of_the_turn(tiny: Salmonn) -> None:
    talks = [heard(tiny, SPOKEN) for _ in range(2)]
    replies = []
    for n, talk in enumerate(talks):
        talk.open(0, spoken_from=1000)
        talk.prefill()
        if n:
            talk.overheard(2000)
        talk.pause()
        talk.ask()
        replies.append([talk.token() for _ in range(5)])
    assert replies[0] == replies[1]


def test_without_a_decoder_nothing_is_read(tiny: Salmonn, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Salmonn) -> None:
        raise ComponentError("no decoder")

    monkeypatch.setattr(Salmonn, "captions", property(missing))
    assert heard(tiny, SPOKEN).overheard(0) == ""


@pytest.mark.parametrize("captions", [True, False])
@pytest.mark.parametrize(("samples", "is_read"), [(SHORT, True), (SHORT + 1, False)])
def test_where_the_llm_reads_no_words_short_turns_are_read(
    tiny: Salmonn, read: list[int], captions: bool, samples: int, is_read: bool
) -> None:
    talk = heard(tiny, BLOCK + samples, captions=captions)
    talk.open(0, spoken_from=BLOCK)
    talk.prefill()
    talk.pause()
    assert talk.said().endswith("windows") == is_read


def test_a_turn_that_goes_on_is_as_long_as_all_of_it(tiny: Salmonn, read: list[int]) -> None:
    """What was said before it was taken for over is no less a part of it."""
    talk = heard(tiny, 2 * BLOCK)
    talk.open(0, spoken_from=1000)
    talk.drop()
    talk.open(0, spoken_from=2 * BLOCK - 6000)
    talk.pause()
    assert talk.said() == ""


def test_an_llm_that_reads_words_is_asked_for_them(read: list[int]) -> None:
    talk = heard(words_model(), 2 * BLOCK)
    talk.open(0, spoken_from=1000)
    assert talk.said() == ""
    talk.pause()
    assert talk.said().endswith("windows")


def test_a_typed_question_has_no_spoken_words(tiny: Salmonn, read: list[int]) -> None:
    talk = heard(tiny, BLOCK)
    talk.open(0, "What was that?")
    talk.pause()
    assert talk.said() == ""
