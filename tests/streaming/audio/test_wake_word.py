"""Where a wake word was said: once, wherever its frames are cut, and anew after a reset."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wake_word import Hears, WakeWord
from tests.streaming.fakes import framed, loudness, pcm


def after_three() -> Hears:
    """Recognises three loud frames in a row, for as long as it is loud."""
    row = 0

    def hears(frame: Frame) -> bool:
        nonlocal row
        row = row + 1 if loudness(frame) else 0
        return row >= 3

    return hears


def found(stage: WakeWord, script: str) -> list[int]:
    return [at // FRAME_SAMPLES for frame in framed(pcm(script)) for at in stage.push(frame)]


def test_it_is_told_once_and_again_when_it_is_said_again() -> None:
    assert found(WakeWord(after_three), "..SS.SSSSS..SSS.") == [8, 15]


@given(st.text("S.", max_size=30), st.text("S.", max_size=30), st.booleans())
def test_after_flush_and_reset_it_is_as_new(before: str, script: str, flush: bool) -> None:
    stage = WakeWord(after_three)
    found(stage, before)
    if flush:
        assert stage.flush() == []
    else:
        stage.reset()
    assert found(stage, script) == found(WakeWord(after_three), script)
