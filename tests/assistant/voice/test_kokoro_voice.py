"""The second engine: only where its voices are on the machine."""

from pathlib import Path

import pytest

from assistant.voice import choose, kokoro_voice
from assistant.voice.kokoro_voice import FOLDER, KokoroVoice


@pytest.mark.skipif("am_adam" not in kokoro_voice.names(), reason=f"{FOLDER} has no voices")
def test_it_speaks_and_tells_where_words_are() -> None:
    voice = KokoroVoice("am_adam")
    text = "It is 7:30 pm. "
    speech = voice.speak(text)
    assert voice.speak(text) == speech
    ends = [word.end for word in speech.words]
    said = [text[a:b].strip() for a, b in zip([0, *ends], ends, strict=False)]
    assert said == ["It", "is", "7:30 pm."]
    assert len(speech.pcm) > 2 * 24_000


def test_its_voices_are_those_of_the_folder_that_speak_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("am_one", "bf_two", "jf_three", "readme"):
        (tmp_path / f"{name}.bin").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(kokoro_voice, "find_spec", lambda part: object())
    assert kokoro_voice.names() == ["am_one", "bf_two"]
    assert choose.names() == ["heart", "am_one", "bf_two"]
    choose.check("bf_two")
    monkeypatch.setattr(kokoro_voice, "find_spec", lambda part: None)
    assert kokoro_voice.names() == []
    monkeypatch.delenv(FOLDER)
    assert kokoro_voice.names() == []
