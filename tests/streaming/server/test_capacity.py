import numpy as np

from assistant.rates import SAMPLE_RATE
from streaming.dialogue.session import Session
from streaming.server.capacity import MOST, SHARE, streams, talk
from tests.streaming.fakes import pcm, session


def new_session() -> Session:
    return session(pace=None)


def test_as_many_streams_as_the_work_of_one_leaves_room_for() -> None:
    audio = pcm("SSSSS" + "." * 45)  # a second
    assert len(audio) == 2 * SAMPLE_RATE

    def held(works_s: float) -> int:
        times = iter([0.0, works_s])
        return streams(new_session, audio, lambda: next(times))

    assert SHARE == 0.7
    assert [held(seconds) for seconds in (0.125, 0.5, 2.0, 0.0)] == [5, 1, 1, MOST]


def test_without_a_voice_it_is_noise() -> None:
    samples = np.frombuffer(talk(None), "<i2")
    assert samples[: 5 * SAMPLE_RATE].std() > 1000
    assert not samples[-2 * SAMPLE_RATE :].any()
