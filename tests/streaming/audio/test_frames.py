from streaming.audio.frames import FRAME_BYTES, Frame


def test_samples_are_scaled_to_one() -> None:
    pcm = (b"\x00\x80" + b"\x00\x40" + b"\xff\x7f").ljust(FRAME_BYTES, b"\0")
    assert Frame(0, pcm).samples()[:4].tolist() == [-1.0, 0.5, 32767 / 32768, 0.0]
