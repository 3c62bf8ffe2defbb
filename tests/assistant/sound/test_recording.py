"""Files of every kind as mono sound at 16 kHz, and those that cannot be."""

import os
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from assistant.errors import AudioError
from assistant.sound import recording

PCM_HEADER = 44
"""Bytes before the samples of a plain WAV file."""


def tone(seconds: float, rate: int = 16_000, hertz: float = 440) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    high = 0.02 * np.sin(2 * np.pi * 3000 * time)
    return (0.3 * np.sin(2 * np.pi * hertz * time) + high).astype(np.float32)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def written(folder: Path, channels: list[np.ndarray], rate: int = 16_000) -> Path:
    path = folder / "channels.wav"
    soundfile.write(path, np.stack(channels, 1), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_any_format_and_rate_becomes_16k_mono(tmp_path: Path, name: str, rate: int) -> None:
    path = tmp_path / name
    left = tone(1.0, rate)
    soundfile.write(path, np.stack([left, left / 2], 1), rate)
    samples = recording.load(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) <= 1200  # lossy codecs pad
    middle = samples[4000:12_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 4  # Hz
    assert rms(middle) == pytest.approx(0.225 / np.sqrt(2), rel=0.1)  # averaged


def test_opus_in_ogg(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    soundfile.write(path, tone(0.5, 48_000), 48_000, format="OGG", subtype="OPUS")
    assert len(recording.load(path)) == pytest.approx(8000, abs=400)


@pytest.mark.parametrize("format_", ["WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_other_headers_of_samples(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.5), 16_000, format=format_, subtype="PCM_16")
    np.testing.assert_allclose(recording.load(path), tone(0.5), atol=4e-5)


# --- blocks


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
def test_block_by_block_is_the_same_as_all_at_once(
    tmp_path: Path, name: str, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "a.opus" and rate == 44_100:
        pytest.skip("Opus has no such rate")
    path = tmp_path / name
    as_opus = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    soundfile.write(path, np.stack([noise(3 * rate), noise(3 * rate, 1)], 1), rate, **as_opus)
    monkeypatch.setattr(recording, "BLOCK_VALUES", 2 * 7919)
    whole, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wanted = soxr.resample(whole.mean(axis=1), rate, 16_000)
    heard = recording.load(path)
    assert len(heard) == len(wanted)
    np.testing.assert_allclose(heard, wanted, atol=1e-4)


def test_a_file_of_many_channels_never_lies_in_memory_as_it_is(tmp_path: Path) -> None:
    path, rate, channels = tmp_path / "a.flac", 192_000, 8
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(20):
            file.write(np.zeros((rate, channels), np.int16))
    tracemalloc.start()
    heard = recording.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(heard) == 20 * 16_000
    assert peak < 4 * heard.nbytes + 40 * 2**20 < 4 * 20 * rate * channels


def test_pcm16_of_a_file_is_that_of_its_samples(tmp_path: Path) -> None:
    path = written(tmp_path, [noise(100_000), 8 * noise(100_000, 1)], 44_100)
    assert recording.load_pcm16(path) == recording.to_pcm16(recording.load(path))


def test_there_is_a_longest_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LONGEST_S", 3600)
    path = tmp_path / "a.wav"
    for more, refused in ((0, False), (1, True)):
        with soundfile.SoundFile(path, "w", 1000, 1, "PCM_U8") as file:
            file.write(np.zeros(3600 * 1000 + more, np.int16))
        if refused:
            with pytest.raises(AudioError, match="longer than 1 hours"):
                recording.load(path)
        else:
            assert len(recording.load(path)) == 3600 * 16_000


# --- channels


def test_channels_that_are_alike_in_level_are_averaged_to_the_bit(tmp_path: Path) -> None:
    for count in (2, 3, 6):
        channels = [noise(5000, seed) for seed in range(count)]
        heard = recording.load(written(tmp_path, channels))
        assert np.array_equal(heard, np.stack(channels, 1).mean(axis=1))


def test_a_speaker_for_each_channel_is_heard_and_so_is_a_short_word_on_one(tmp_path: Path) -> None:
    one, other = tone(2.0), tone(2.0, hertz=700)
    one[16_000:], other[:31_000] = 0, 0
    heard = recording.load(written(tmp_path, [one, other]))
    assert np.array_equal(heard, np.stack([one, other], 1).mean(axis=1))


@pytest.mark.parametrize(("share", "divisor"), [(0.0, 1), (0.0099, 1), (0.0101, 2)])
def test_a_channel_without_sound_does_not_make_it_quieter(
    tmp_path: Path, share: float, divisor: int
) -> None:
    loud = tone(0.5)
    quiet = (share * np.abs(loud).max() * np.sign(np.roll(loud, 9))).astype(np.float32)
    heard = recording.load(written(tmp_path, [quiet, loud]))
    np.testing.assert_allclose(heard, (loud + quiet) / divisor, atol=1e-7)


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize(("against", "mean"), [(0.99, False), (0.628, False), (0.626, True)])
def test_channels_that_cancel_each_other_are_heard(
    tmp_path: Path, against: float, mean: bool, offset: float
) -> None:
    left, right = tone(0.5) + offset, -against * tone(0.5) + offset
    heard = recording.load(written(tmp_path, [left, right]))
    wanted = (left + right) / 2 if mean else left
    np.testing.assert_allclose(heard, wanted, atol=1e-6)


def test_silence_on_all_channels_is_silence(tmp_path: Path) -> None:
    assert not recording.load(written(tmp_path, [np.zeros(100, np.float32)] * 2)).any()


# --- what is no recording


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not readable"), (b"hello, I am text", "not readable"), (b"RIFF1234WAVE", "not read")],
)
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.flac"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"{message}.*wav, flac, ogg, opus, mp3 and aiff can be"):
        recording.load(path)


def test_samples_without_a_header_are_called_that(tmp_path: Path) -> None:
    for name, told in (("a.wav", "it has no WAV header"), ("a.raw", "raw samples have no header")):
        (tmp_path / name).write_bytes(recording.to_pcm16(tone(0.5)))
        with pytest.raises(AudioError, match=f"{name}: not readable as audio .{told}"):
            recording.load(tmp_path / name)


def test_missing_empty_and_nan_files(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        recording.load(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="File name too long"):
        recording.load(tmp_path / f"{300 * 'a'}.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16_000)
    with pytest.raises(AudioError, match="holds no audio"):
        recording.load(tmp_path / "empty.wav")
    for rate, channels in ((16_000, 1), (48_000, 2)):
        samples = np.stack([tone(0.1, rate)] * channels, 1)
        samples[7, -1] = np.nan
        soundfile.write(tmp_path / "nan.wav", samples, rate, subtype="FLOAT")
        with pytest.raises(AudioError, match="nan.wav: sample 7 is not a finite number"):
            recording.load(tmp_path / "nan.wav")


def test_sums_that_are_no_finite_numbers_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [np.full(100, 3e38, np.float32)] * 2)
    with pytest.raises(AudioError, match="not a finite number"):
        recording.load(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, [tone(0.1)])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(AudioError, match="Permission denied"):
        recording.load(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize("make", [fifo, Path.mkdir, listening])
def test_what_is_no_regular_file_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("a.wav"))
    with pytest.raises(AudioError, match="a.wav: not a regular file"):
        recording.load(Path("a.wav"))


@pytest.mark.parametrize("name", ["-", "/dev/null", "/dev/stdin"])
def test_devices_and_standard_input_are_no_recordings(name: str) -> None:
    with pytest.raises(AudioError, match=f"{name}: not a regular file"):
        recording.load(Path(name))


def test_a_cut_off_flac_never_raises_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(32_000), 16_000)
    whole = path.read_bytes()
    for kept in (10, 60, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        try:
            heard = recording.load(path)
        except AudioError:
            continue
        assert np.isfinite(heard).all()


@pytest.mark.parametrize(
    ("kept", "told"), [(30, "not readable"), (PCM_HEADER, "holds no audio"), (60, None)]
)
def test_a_wav_that_is_cut_off(tmp_path: Path, kept: int, told: str | None) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.5), 16_000)
    path.write_bytes(path.read_bytes()[:kept])
    if told is None:
        np.testing.assert_allclose(recording.load(path), tone(0.5)[:8], atol=4e-5)
    else:
        with pytest.raises(AudioError, match=told):
            recording.load(path)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("list_first", [False, True])
def test_a_wav_whose_writer_did_not_know_its_length(
    tmp_path: Path, size: int, list_first: bool
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.5), 16_000)
    whole = path.read_bytes()
    form, sound = whole[: PCM_HEADER - 8], whole[PCM_HEADER:]
    if list_first:  # a title with the word in it
        form += (
            b"LIST" + struct.pack("<I", 24) + b"INFOINAM" + struct.pack("<I", 12) + b"my data file"
        )
    form = form[:4] + struct.pack("<I", max(36, size)) + form[8:]
    path.write_bytes(form + b"data" + struct.pack("<I", size) + sound)
    np.testing.assert_allclose(recording.load(path), tone(0.5), atol=4e-5)


def test_an_empty_wav_with_a_title_after_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 16_000)
    title = b"LIST" + struct.pack("<I", 24) + b"INFOINAM" + struct.pack("<I", 12) + b"my data file"
    whole = path.read_bytes() + title
    path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    with pytest.raises(AudioError, match="holds no audio"):
        recording.load(path)


def test_wherever_a_wav_is_cut_off_it_is_heard_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.5), 16_000)
    whole = path.read_bytes()
    for kept in range(PCM_HEADER + 2):
        path.write_bytes(whole[:kept])
        try:
            assert len(recording.load(path)) == 1
        except AudioError:
            continue


@pytest.mark.parametrize("rate", [0, 999, 768_001])
def test_impossible_rates_are_refused(tmp_path: Path, rate: int) -> None:
    with pytest.raises(AudioError, match=r"sample rate \d+ Hz"):
        recording.resample(tone(0.1), rate)
    if rate:
        soundfile.write(tmp_path / "a.wav", tone(0.1), rate)
        with pytest.raises(AudioError, match=rf"a.wav: sample rate {rate} Hz is outside"):
            recording.load(tmp_path / "a.wav")


def test_pcm16_rounds_and_clips() -> None:
    samples = np.array([0.0, 0.5, -1.0, 1.0, 3e38], np.float32)
    assert np.frombuffer(recording.to_pcm16(samples), "<i2").tolist() == [
        0, 16384, -32768, 32767, 32767,
    ]  # fmt: skip


def test_reading_recordings_needs_no_torch() -> None:
    code = "import sys, assistant.sound.recording; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
