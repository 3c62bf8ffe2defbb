"""microWakeWord: what it hears, and what is said where it cannot be used."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.errors import ComponentError
from assistant.sound.recording import Samples, to_pcm16
from streaming.audio.wake_word import WakeWord
from streaming.detectors import wake_word as module
from streaming.detectors.wake_word import phrase, wake_word
from tests.streaming.every_key.sessions import said, silence
from tests.streaming.fakes import framed


def found(stage: WakeWord, *parts: Samples) -> list[int]:
    frames = framed(to_pcm16(np.concatenate(parts)))
    return [at for frame in frames for at in stage.push(frame)]


def test_its_phrase_is_heard_and_others_are_not() -> None:
    stage = WakeWord(wake_word("hey_jarvis"))
    spoken = said("Hey Jarvis.")
    (at,) = found(stage, silence(1.0), spoken, silence(1.0))
    assert 16_000 < at <= 16_000 + len(spoken) + 3200
    assert found(stage, said("What was that sound in the kitchen?"), silence(1.0)) == []


def test_after_a_reset_the_same_is_heard_again() -> None:
    stage = WakeWord(wake_word("hey_jarvis"))
    parts = silence(1.0), said("Hey Jarvis."), silence(1.0)
    first = found(stage, *parts)
    found(stage, said("Hey"))
    stage.reset()
    assert found(stage, *parts) == first


@pytest.mark.parametrize(
    ("name", "words"), [("okay_nabu", "Okay Nabu"), ("hey_jarvis", "Hey Jarvis")]
)
def test_models_say_what_they_listen_for(name: str, words: str) -> None:
    assert phrase(name) == words


def test_a_model_of_ones_own_is_a_file(tmp_path: Path) -> None:
    import pymicro_wakeword

    folder = Path(pymicro_wakeword.__file__).parent / "models"
    about = (folder / "hey_jarvis.json").read_text().replace("Hey Jarvis", "Computer")
    (tmp_path / "mine.json").write_text(about)
    with pytest.raises(ComponentError, match=r"wake_word.model: hey_jarvis.tflite is not beside"):
        phrase(str(tmp_path / "mine.json"))
    (tmp_path / "hey_jarvis.tflite").write_bytes((folder / "hey_jarvis.tflite").read_bytes())
    assert phrase(str(tmp_path / "mine.json")) == "Computer"
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ComponentError, match="is no model of microWakeWord"):
        phrase(str(tmp_path / "other.json"))


@pytest.mark.parametrize("spoiled", [b"", b"<html>404</html>", None])
def test_a_file_that_is_no_model_is_told(tmp_path: Path, spoiled: bytes | None) -> None:
    import pymicro_wakeword

    folder = Path(pymicro_wakeword.__file__).parent / "models"
    whole = (folder / "hey_jarvis.tflite").read_bytes()
    (tmp_path / "hey_jarvis.tflite").write_bytes(whole[:9000] if spoiled is None else spoiled)
    (tmp_path / "mine.json").write_text((folder / "hey_jarvis.json").read_text())
    with pytest.raises(ComponentError, match=r"wake_word.model: hey_jarvis.tflite is no model"):
        phrase(str(tmp_path / "mine.json"))


@pytest.mark.parametrize(
    "micro",
    [
        {"probability_cutoff": "0.9", "sliding_window_size": 5},
        {"probability_cutoff": 0.9, "sliding_window_size": 0},
    ],
)
def test_a_model_that_would_fail_in_every_session_is_told(
    tmp_path: Path, micro: dict[str, Any]
) -> None:
    import pymicro_wakeword

    folder = Path(pymicro_wakeword.__file__).parent / "models"
    (tmp_path / "hey_jarvis.tflite").write_bytes((folder / "hey_jarvis.tflite").read_bytes())
    about = {"wake_word": "Computer", "model": "hey_jarvis.tflite", "micro": micro}
    (tmp_path / "mine.json").write_text(json.dumps(about))
    with pytest.raises(ComponentError, match="is no model of microWakeWord"):
        phrase(str(tmp_path / "mine.json"))


def test_one_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ComponentError, match=r"wake_word.model: 'computer' .*alexa, hey_jarvis"):
        wake_word("computer")


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name == "pymicro_wakeword":
            raise ImportError("no such package")
        return usual(name, *args)

    module._package.cache_clear()
    module._file.cache_clear()
    module.phrase.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ComponentError, match=r"^wake_word.model: needs .*salmonn-live\[wake\]"):
        wake_word("hey_jarvis")
