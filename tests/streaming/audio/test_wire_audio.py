"""Input formats: the laws, no sample lost, and other programs' decoding as the truth."""

import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_BYTES, FRAME_SAMPLES
from streaming.audio.wire_audio import RATES, InputDecoder, InputFormat
from tests.laws import check_stage_laws, cuts, run

FORMATS = [InputFormat("pcm16", rate) for rate in RATES]
FORMATS += [InputFormat("mulaw", 8_000), InputFormat("alaw", 8_000)]


@settings(max_examples=60)
@given(data=st.data(), chosen=st.sampled_from(FORMATS), size=st.integers(0, 9_000))
def test_the_stage_laws(data: st.DataObject, chosen: InputFormat, size: int) -> None:
    audio = np.random.default_rng(size).bytes(size)
    chunks = [audio[cut] for cut in data.draw(cuts(size))]
    check_stage_laws(lambda: InputDecoder(chosen), audio, chunks)


@given(chosen=st.sampled_from(FORMATS), size=st.integers(0, 9_000))
def test_as_long_as_it_came_in(chosen: InputFormat, size: int) -> None:
    frames = run(InputDecoder(chosen), [b"\1" * size])
    samples = size // chosen.sample_bytes
    wanted = -(-samples * SAMPLE_RATE // chosen.rate)
    assert len(frames) == -(-wanted // FRAME_SAMPLES)
    assert [frame.at for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]


@given(st.binary(max_size=5_000).filter(lambda audio: len(audio) % 2 == 0))
def test_what_comes_at_16_khz_is_left_as_it_is(audio: bytes) -> None:
    frames = run(InputDecoder(InputFormat()), [audio])
    heard = b"".join(frame.pcm for frame in frames)
    assert heard == audio + bytes(-len(audio) % FRAME_BYTES)
    assert [frame.at for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]


@pytest.mark.parametrize("rate", [r for r in RATES if r != SAMPLE_RATE])
def test_resampling_agrees_with_one_pass_over_the_whole(rate: int) -> None:
    time = np.arange(rate) / rate
    samples = (8000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
    frames = run(InputDecoder(InputFormat("pcm16", rate)), [samples.tobytes()])
    ours = np.frombuffer(b"".join(f.pcm for f in frames), "<i2")
    wanted = soxr.resample(samples.astype(np.float32), rate, SAMPLE_RATE)
    assert len(wanted) == len(ours) == SAMPLE_RATE
    assert np.abs(ours - wanted).max() <= 1.0


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_every_g711_code_is_what_libsndfile_reads(encoding: str, subtype: str) -> None:
    codes = bytes(range(256)) + bytes(64)
    wanted, _ = soundfile.read(
        io.BytesIO(codes), format="RAW", subtype=subtype, samplerate=16_000, channels=1,
        dtype="int16",
    )  # fmt: skip
    (frame,) = InputDecoder(InputFormat(encoding, 16_000)).push(codes)  # type: ignore[arg-type]
    assert np.frombuffer(frame.pcm, "<i2").tolist() == wanted.tolist()


@pytest.mark.parametrize("rate", [0, 15_999, 16_001, 96_000])
def test_other_rates_are_refused_by_name(rate: int) -> None:
    with pytest.raises(ValueError, match=f"rate: {rate} Hz"):
        InputFormat("pcm16", rate)


def test_other_encodings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="encoding: 'pcm24'"):
        InputFormat("pcm24")  # type: ignore[arg-type]
