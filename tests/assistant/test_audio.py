from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
import torch
import whisper.audio

from assistant import audio
from assistant.errors import AudioError


def tone(seconds: float, rate: int = 16_000) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 440 * time) + 0.02 * np.sin(2 * np.pi * 3000 * time)).astype(
        np.float32
    )


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_constants_divide_without_remainder() -> None:
    assert audio.FEATURE_SAMPLES == 2 * audio.HOP
    assert audio.PATCH_SAMPLES % audio.FEATURE_SAMPLES == 0
    assert audio.CLIP_SAMPLES % audio.FEATURE_SAMPLES == 0


@pytest.mark.parametrize("n", [1, 199, 400, 16_000, 480_000, 500_000])
@pytest.mark.parametrize("n_mels", [80, 128])
def test_clip_mel_is_openai_whispers(n: int, n_mels: int) -> None:
    samples = torch.from_numpy(noise(n))
    clip = whisper.audio.pad_or_trim(samples)
    expected = whisper.audio.log_mel_spectrogram(clip, n_mels)
    torch.testing.assert_close(audio.clip_mel(samples, n_mels), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n", [400, 559, 560, 16_001])
def test_fbank_is_kaldis_where_kaldi_can(n: int) -> None:
    samples = noise(n, seed=n)
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(16_000, (samples * 32768).tolist())
    computer.input_finished()
    expected = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    ours = audio.kaldi_fbank(torch.from_numpy(samples), 80)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-3)  # kaldi computes in fp32


def test_fbank_frames_depend_on_their_own_samples_alone() -> None:
    samples = torch.from_numpy(noise(8000))
    whole = audio.fbank(samples)
    torch.testing.assert_close(audio.fbank(samples[1600:4000]), whole[10:23], atol=0, rtol=0)


@pytest.mark.parametrize(("n", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)])
def test_fbank_length(n: int, frames: int) -> None:
    assert audio.fbank(torch.zeros(n)).shape == (frames, 128)


def test_fbank_of_silence_is_the_floor() -> None:
    floor = (np.log(1.1920929e-07) - 15.41663) / (2 * 6.55582)
    np.testing.assert_allclose(audio.fbank(torch.zeros(400)).numpy(), floor, rtol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_any_format_and_rate_becomes_16k_mono(tmp_path: Path, name: str, rate: int) -> None:
    path = tmp_path / name
    left = tone(1.0, rate)
    soundfile.write(path, np.stack([left, np.zeros_like(left)], 1), rate)
    samples = audio.load(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) <= 1200  # lossy codecs pad
    middle = samples[4000:12_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 4  # Hz
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.15 / np.sqrt(2), rel=0.1)  # averaged


def test_opus_in_ogg(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    soundfile.write(path, tone(0.5, 48_000), 48_000, format="OGG", subtype="OPUS")
    assert len(audio.load(path)) == pytest.approx(8000, abs=400)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not readable"), (b"hello, I am text", "not readable"), (b"RIFF1234WAVE", "not read")],
)
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message):
        audio.load(path)


def test_missing_empty_and_nan_files(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        audio.load(tmp_path / "none.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16_000)
    with pytest.raises(AudioError, match="holds no audio"):
        audio.load(tmp_path / "empty.wav")
    samples = tone(0.1)
    samples[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 7 is not a finite number"):
        audio.load(tmp_path / "nan.wav")


def test_a_cut_off_flac_never_raises_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(32_000), 16_000)
    whole = path.read_bytes()
    for kept in (10, 60, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        try:
            heard = audio.load(path)
        except AudioError:
            continue
        assert np.isfinite(heard).all()


@pytest.mark.parametrize("rate", [0, 999, 768_001])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=r"sample rate \d+ Hz"):
        audio.resample(tone(0.1), rate)


def test_pcm16_rounds_and_clips() -> None:
    samples = np.array([0.0, 0.5, -1.0, 1.0, 7.0], np.float32)
    assert np.frombuffer(audio.to_pcm16(samples), "<i2").tolist() == [
        0, 16384, -32768, 32767, 32767,
    ]  # fmt: skip
