"""Sessions that write down what is said: as others do, and without the LLM."""

import pytest

from assistant.files.presets import shipped_config
from assistant.llm.llm import LlmCache
from assistant.model import Salmonn
from assistant.sound.recording import load_pcm16
from streaming.build import make_reader, make_session, session_spec
from streaming.config_file import load_config
from streaming.controls import Hold
from streaming.dialogue.session import Session
from streaming.events import Caption, Event, ReplyStarted
from tests.assistant.prompt.test_words import words_model
from tests.docs.test_embedding import ROOT
from tests.streaming.fakes import drain


def told(session: Session, chunk: int) -> list[Event]:
    audio = load_pcm16(ROOT / "demo" / "kitchen.flac")
    for at in range(0, len(audio), chunk):
        session.receive(audio[at : at + chunk])
    session.control(Hold())
    return drain(session)


def words(events: list[Event]) -> str:
    return "".join(event.settled for event in events if isinstance(event, Caption))


@pytest.mark.parametrize("reads", ["audio", "words"])
def test_they_read_what_others_read_and_the_llm_is_given_nothing(
    reads: str, tiny: Salmonn, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny if reads == "audio" else words_model()
    spec = session_spec(model, load_config(shipped_config(), "tiny"), "Hi.")
    turns = spec.turns.model_copy(update={"captions": True, "auto_reply": False})
    expected = words(told(make_session(model, spec.model_copy(update={"turns": turns})), 64_000))
    reader = make_reader(model, spec)

    def extend(*_: object) -> None:
        raise AssertionError("the LLM is run")

    monkeypatch.setattr(LlmCache, "extend", extend)
    events = told(reader, 9_999)
    assert words(events) == expected != ""
    assert not any(isinstance(event, ReplyStarted) for event in events)
