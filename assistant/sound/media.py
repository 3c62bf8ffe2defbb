"""The formats that phones and browsers record: webm, mp4, m4a, aac. PyAV decodes them if it is
installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assistant.errors import AudioError
from assistant.sound.held import Held

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

Block = NDArray[np.float32]
"""A piece of a recording, shape (samples, channels)."""

INSTALL = "pip install 'salmonn-live[media]'"


@dataclass(frozen=True, slots=True)
class Decoder:
    """A file that is being decoded."""

    rate: int
    """Sample rate, Hz."""

    channels: int

    blocks: Iterator[Block]
    """The whole file's sound, in order."""


def kind(path: Path | Held) -> str | None:
    """The format of a file, by its first bytes, if PyAV is needed for it; else None.

    Returns:
        FFmpeg's name of the format: matroska (webm), mov (mp4, m4a) or aac.
    """
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head[4:8] == b"ftyp":
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS
        return "aac"
    return None


def readable(formats: str) -> str:
    """A sentence for the user that lists the formats that can be read: `formats`, and PyAV's."""
    return f"{formats} can be read, and with PyAV ({INSTALL}) webm, m4a, mp4 and aac"


@contextmanager
def decoding(path: Path | Held, format_: str, others: str) -> Iterator[Decoder]:
    """Decode a file of a format that `kind` returned.

    Args:
        path: of the file.
        format_: the result of `kind`.
        others: formats that can be read without PyAV, for the error message.

    Raises:
        AudioError: PyAV is not installed, or cannot read the file, or there is no sound in it.
    """
    try:
        import av
    except ImportError as error:
        told = f"{path}: not readable as audio without PyAV; {readable(others)}"
        raise AudioError(told) from error
    try:
        # An open file and a fixed format: FFmpeg must not follow addresses that are in the file.
        with path.open("rb") as file, av.open(file, "r", format_) as container:
            frames = _frames(container, path)
            first = next(frames, None)
            if first is None:
                raise AudioError(f"{path}: the file holds no audio")
            rate, layout = first.sample_rate, first.layout
            yield Decoder(rate, layout.nb_channels, _blocks(first, frames))
    except av.FFmpegError as error:
        raise AudioError(f"{path}: not readable as audio ({error.strerror})") from error


def _frames(container: "InputContainer", path: Path | Held) -> "Iterator[AudioFrame]":
    from av import InvalidDataError

    if not container.streams.audio:
        raise AudioError(f"{path}: there is no sound in it")
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except InvalidDataError:  # as the last one is where a recording was cut off
            continue
        yield from frames


def _blocks(first: "AudioFrame", frames: "Iterator[AudioFrame]") -> Iterator[Block]:
    """Frames as arrays, all with the first one's rate and channels."""
    from av.audio.resampler import AudioResampler

    alike = AudioResampler("fltp", first.layout, first.sample_rate)
    for frame in chain([first], frames, [None]):
        for converted in alike.resample(frame):
            yield np.ascontiguousarray(converted.to_ndarray().T)
