import numpy as np
import pytest

from assistant.errors import ConfigError
from assistant.voice.choose import check, load_voice, names
from assistant.voice.voice import NONE, VOICE_RATE, Voice


@pytest.fixture(scope="module")
def heart() -> Voice:
    found = load_voice("heart")
    assert found is not None
    return found


def test_the_same_text_is_the_same_audio_to_the_bit(heart: Voice) -> None:
    text = "It is 7:30 pm, and Dr. Smith is here. "
    first = heart.speak(text)
    heart.speak("Something else.")
    assert heart.speak(text) == first


def test_words_have_their_places(heart: Voice) -> None:
    text = "It is 7:30 pm, and Dr. Smith paid $3.50.\n"
    speech = heart.speak(text)
    ends = [word.end for word in speech.words]
    said = [text[a:b].strip() for a, b in zip([0, *ends], ends, strict=False)]
    assert said == ["It", "is", "7:30 pm,", "and", "Dr.", "Smith", "paid", "$3.50."]
    begins = [word.begin for word in speech.words]
    assert begins == sorted(begins)
    assert 0 <= begins[0] < 0.15 * VOICE_RATE
    assert begins[-1] < len(speech.pcm) // 2
    assert ends[-1] == len(text)


def test_a_word_begins_where_it_is_heard(heart: Voice) -> None:
    """A stop before it is silent: the sound of "two" comes after its place and not before."""
    speech = heart.speak("One, two.")
    samples = np.abs(np.frombuffer(speech.pcm, "<i2").astype(np.float32))
    first, second = (word.begin for word in speech.words)
    loud = samples > 0.1 * samples.max()
    assert loud[first : first + VOICE_RATE // 4].any()
    assert loud[second : second + VOICE_RATE // 4].any()
    assert not loud[second - VOICE_RATE // 50 : second].all()


def test_little_silence_is_left_around_speech(heart: Voice) -> None:
    samples = np.abs(np.frombuffer(heart.speak("Hello there.").pcm, "<i2").astype(np.int32))
    loud = np.flatnonzero(samples > 0.02 * samples.max())
    assert loud[0] <= 0.03 * VOICE_RATE + 1
    assert len(samples) - loud[-1] <= 0.3 * VOICE_RATE


@pytest.mark.parametrize("text", ["", "   ", "```code```", "😀", "***"])
def test_where_there_is_nothing_to_say_there_is_no_sound(heart: Voice, text: str) -> None:
    speech = heart.speak(text)
    assert (speech.pcm, speech.words) == (b"", ())


def test_what_is_longer_than_the_model_takes_is_spoken_in_parts(heart: Voice) -> None:
    text = "1234567890 " * 12
    speech = heart.speak(text)
    assert len(speech.words) == 12
    assert [word.end for word in speech.words] == [11 * n for n in range(1, 13)]
    assert len(speech.pcm) > 2 * 12 * 2 * VOICE_RATE


def test_faster_is_shorter(heart: Voice) -> None:
    usual, fast = heart.speak("Nothing is as it was."), heart.speak("Nothing is as it was.", 1.5)
    assert 0.55 < len(fast.pcm) / len(usual.pcm) < 0.85


def test_a_voice_that_is_not_there_is_an_error_with_those_that_are() -> None:
    assert "heart" in names()
    check("heart")
    check(NONE)
    for name in ("emma", "nobody", "heart "):
        with pytest.raises(
            ConfigError, match=r"^voice\.name: no voice .*there are: heart.*, none$"
        ):
            check(name)
    assert load_voice(NONE) is None
