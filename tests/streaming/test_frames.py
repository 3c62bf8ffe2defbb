from hypothesis import given
from hypothesis import strategies as st

from streaming.frames import FRAME_BYTES, FRAME_SAMPLES, Framer
from tests.laws import check_stage_laws, cuts, run


@given(data=st.data(), audio=st.binary(max_size=5000))
def test_framer_obeys_the_stage_laws(data: st.DataObject, audio: bytes) -> None:
    chunks = [audio[cut] for cut in data.draw(cuts(len(audio)))]
    check_stage_laws(Framer, audio, chunks)


@given(st.binary(max_size=5000))
def test_framer_loses_nothing(audio: bytes) -> None:
    frames = run(Framer(), [audio])
    heard = b"".join(frame.pcm for frame in frames)
    assert heard.startswith(audio)
    assert len(heard) - len(audio) < FRAME_BYTES
    assert [frame.at for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]


def test_samples_are_scaled_to_one() -> None:
    pcm = (b"\x00\x80" + b"\x00\x40" + b"\xff\x7f").ljust(FRAME_BYTES, b"\0")
    samples = Framer().push(pcm)[0].samples()
    assert samples[:4].tolist() == [-1.0, 0.5, 32767 / 32768, 0.0]
