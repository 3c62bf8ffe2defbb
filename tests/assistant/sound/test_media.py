"""webm, m4a, mp4 and aac: decoded where PyAV is installed, and asked for where it is not."""

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from assistant.errors import AudioError
from assistant.sound import media, recording

RATE = 48_000
FORMATS = {
    "a.webm": ("libopus", "webm"),
    "a.m4a": ("aac", "ipod"),
    "a.mp4": ("aac", "mp4"),
    "a.aac": ("aac", "adts"),
}


def sound(seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


def make(path: Path, channels: list[np.ndarray]) -> None:
    """Write a file of the format that its name says."""
    codec, format_ = FORMATS[path.name]
    layout = "mono" if len(channels) == 1 else "stereo"
    with av.open(str(path), "w", format=format_) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.stack(channels), "fltp", layout=layout)
        frame.sample_rate = RATE
        for given in (frame, None):
            for packet in stream.encode(given):
                container.mux(packet)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("right", [None, 1.0, 0.0, -1.0])
def test_it_is_decoded_and_mixed_as_any_other(
    tmp_path: Path, name: str, right: float | None
) -> None:
    more = [] if right is None else [np.float32(right) * sound()]
    make(tmp_path / name, [sound(), *more])
    heard = recording.load(tmp_path / name)
    assert len(heard) == pytest.approx(16_000, abs=700)  # codecs pad
    middle = heard[4000:12_000]
    assert abs(np.argmax(np.abs(np.fft.rfft(middle * np.hanning(8000)))) * 2 - 440) <= 4  # Hz
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off_it_is_heard_to_there_or_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    make(path, [sound()])
    whole = path.read_bytes()
    for kept in (12, 30, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        try:
            assert len(recording.load(path)) <= 16_700
        except AudioError as error:
            assert name in str(error)  # noqa: PT017 - either is right
    path.write_bytes(whole[:-1])
    assert len(recording.load(path)) == pytest.approx(16_000, abs=700)


def test_a_film_without_sound_is_told(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        for given in (frame, None):
            for packet in stream.encode(given):
                container.mux(packet)
    with pytest.raises(AudioError, match="a.mp4: there is no sound in it"):
        recording.load(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", FORMATS)
def test_without_pyav_it_says_what_can_be_read_and_how_to_get_more(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / name, [sound(0.1)])
    monkeypatch.setitem(sys.modules, "av", None)
    told = (
        rf"{name}: .*wav, flac, .* can be read, and with PyAV \(pip install 'salmonn-live\[media\]"
    )
    with pytest.raises(AudioError, match=told) as caught:
        recording.load(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_what_needs_no_pyav_is_not_given_to_it(tmp_path: Path, format_: str) -> None:
    soundfile.write(tmp_path / "a.m4a", sound(), RATE, format=format_)  # whatever its name says
    assert media.kind(tmp_path / "a.m4a") is None
    assert len(recording.load(tmp_path / "a.m4a")) == pytest.approx(16_000, abs=1200)
