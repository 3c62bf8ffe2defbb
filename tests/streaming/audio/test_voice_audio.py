"""Speech in the formats that clients ask for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.audio.voice_audio import OutputEncoder
from streaming.audio.wire_audio import InputDecoder, InputFormat
from tests.laws import cuts

FORMATS = [
    InputFormat("pcm16", 24_000), InputFormat("pcm16", 16_000), InputFormat("mulaw", 8_000),
    InputFormat("alaw", 8_000),
]  # fmt: skip


def tone(samples: int) -> bytes:
    wave = 9000 * np.sin(2 * np.pi * 440 * np.arange(samples) / 24_000)
    return wave.astype("<i2").tobytes()


def encoded(format_: InputFormat, chunks: list[bytes]) -> bytes:
    encoder = OutputEncoder(format_)
    return b"".join(map(encoder.push, chunks)) + encoder.flush()


@pytest.mark.parametrize("format_", FORMATS)
@given(data=st.data(), samples=st.integers(0, 3000))
def test_it_does_not_depend_on_how_it_was_cut(
    format_: InputFormat, data: st.DataObject, samples: int
) -> None:
    pcm = tone(samples)
    chunks = [pcm[2 * cut.start : 2 * cut.stop] for cut in data.draw(cuts(samples))]
    whole = encoded(format_, [pcm])
    assert encoded(format_, chunks) == whole
    assert len(whole) == -(-samples * format_.rate // 24_000) * format_.sample_bytes


def test_after_flush_it_is_as_new() -> None:
    encoder = OutputEncoder(FORMATS[1])
    encoder.push(tone(700))
    encoder.flush()
    assert encoder.push(tone(1000)) + encoder.flush() == encoded(FORMATS[1], [tone(1000)])


def test_its_own_format_is_left_as_it_is() -> None:
    assert encoded(FORMATS[0], [tone(999)]) == tone(999)


@pytest.mark.parametrize("format_", FORMATS[2:])
def test_every_code_is_its_own(format_: InputFormat) -> None:
    """Decoded by the input's tables, which follow ITU-T G.711, and encoded again."""
    codes = bytes(range(256))
    decoder = InputDecoder(format_)
    decoder._bytes = bytearray(codes)
    values = decoder._take(256)
    from streaming.audio import voice_audio

    again = voice_audio._codes(format_.encoding)[values.view(np.uint16)]
    zeros = {0x7F, 0xFF}  # mu-law has two
    pairs = zip(codes, again.tolist(), strict=True)
    assert all(a == b or {a, b} == zeros for a, b in pairs)


@pytest.mark.parametrize(("format_", "worst"), [*zip(FORMATS, (0, 40, 400, 400), strict=True)])
def test_it_sounds_as_it_did(format_: InputFormat, worst: int) -> None:
    """A tone is one after it, at the new rate."""
    samples = encoded(format_, [tone(24_000)])
    if format_.encoding == "pcm16":
        made = np.frombuffer(samples, "<i2").astype(float)
    else:
        decoder = InputDecoder(format_)
        decoder._bytes = bytearray(samples)
        made = decoder._take(len(samples)).astype(float)
    expected = 9000 * np.sin(2 * np.pi * 440 * np.arange(len(made)) / format_.rate)
    inside = slice(len(made) // 10, -len(made) // 10)
    assert np.abs(made - expected)[inside].max() <= worst + 1
