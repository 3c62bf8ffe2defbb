"""Recordings: files of many formats, read as mono sound at 16 kHz. Nothing here needs torch.

A file is decoded in blocks, so that a long one with many channels is never in memory as a whole.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from stat import S_ISREG

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from assistant.errors import AudioError
from assistant.rates import SAMPLE_RATE
from assistant.sound import media
from assistant.sound.held import Held
from assistant.sound.media import Block, Decoder

LONGEST_S = 12 * 3600
"""Longest recording that is read, in seconds; a small file of silence can claim to last weeks."""

MOST_VALUES = 2**34
"""Most values that are decoded, over all channels: 12 hours of two channels at 192 kHz."""

SLOWEST, FASTEST = 1_000, 768_000
"""Lowest and highest sample rates that are read, Hz."""

BLOCK_VALUES = 2**20
"""Values in a block, over all channels; 4 MiB."""

SOUNDING = 0.01
"""A channel counts as sounding if its peak is at least this share of the loudest channel's."""

CANCELLED = 0.1
"""Channels cancel each other if their sum has less than this share of their energies together.
Unrelated channels have a share of 1, equal ones as many as there are, and opposite ones 0."""

FORMATS = "wav, flac, ogg, opus, mp3 and aiff"
"""Formats that can be read without PyAV."""

Samples = NDArray[np.float32]
Mix = Callable[[Block], Samples]


def load(path: Path) -> Samples:
    """Decode an audio file of any sample rate: wav, flac, ogg (vorbis or opus), mp3, aiff, and with
    PyAV webm, m4a, mp4 and aac.

    Several channels are mixed: their sum is divided by the number of sounding channels. If they
    cancel each other, the loudest is used alone.

    Returns:
        Shape (n,), float32 in [-1, 1], 16 kHz.

    Raises:
        AudioError: the file is missing, no regular file, unreadable, empty, longer than
            `LONGEST_S`, or has samples that are not finite.
    """
    held = bytearray()  # it grows in place
    for block in _mono(path):
        held += block.tobytes()
    return np.frombuffer(held, np.float32)


def load_pcm16(
    path: Path | Held, longest_s: float | None = None, most_values: int = MOST_VALUES
) -> bytes:
    """The same as `to_pcm16(load(path))`, with a third of the memory.

    Args:
        path: of the file, or its bytes.
        longest_s: seconds that are read at most; None: `LONGEST_S`.
        most_values: values that are decoded at most, over all channels, however short they are: a
            small file can hold many.

    Raises:
        AudioError: as for `load`, or there is more.
    """
    return b"".join(to_pcm16(block) for block in _mono(path, longest_s, most_values))


def resample(samples: Samples, rate: int) -> Samples:
    """Convert mono samples from `rate` Hz to 16 kHz (soxr, high quality).

    Raises:
        AudioError: `rate` is not between 1 kHz and 768 kHz.
    """
    _check_rate(rate)
    if rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def check(samples: Samples, name: str = "audio") -> Samples:
    """Return `samples` if all of them are finite and the shape is (n,), n >= 1.

    Raises:
        AudioError: otherwise; the message begins with `name`.
    """
    if samples.ndim != 1 or not len(samples):
        raise AudioError(f"{name}: expected at least one mono sample, got shape {samples.shape}")
    _check_finite(samples[:, None], 0, name)
    return samples


def to_pcm16(samples: Samples) -> bytes:
    """Samples as signed 16-bit little-endian bytes; values outside [-1, 1) are clipped."""
    with np.errstate(over="ignore"):
        scaled = np.round(samples * 32768.0)
    return np.clip(scaled, -32768, 32767).astype("<i2").tobytes()


def _mono(
    path: Path | Held, longest_s: float | None = None, most_values: int = MOST_VALUES
) -> Iterator[Samples]:
    """The sound of a file, block by block, mono at 16 kHz."""
    try:
        _check_regular(path)
        limits = longest_s or LONGEST_S, most_values
        mix = _how_to_mix(path, *limits)
        length = 0
        with _decoding(path, *limits) as decoder:
            for block in _at_16_khz(map(mix, _finite(decoder.blocks, path)), decoder.rate):
                _check_finite(block[:, None], length, str(path))
                length += len(block)
                yield block
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file") from error
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}") from error
    except soundfile.SoundFileError as error:  # of a block in the middle
        raise AudioError(f"{path}: not readable to its end ({_reason(error)})") from error
    if not length:
        raise AudioError(f"{path}: the file holds no audio")


def _how_to_mix(path: Path | Held, longest_s: float, most_values: int) -> Mix:
    """Read a whole file, and decide how to mix its channels."""
    with _decoding(path, longest_s, most_values) as decoder:
        if decoder.channels == 1:
            return lambda block: block[:, 0]
        count, together = 0, 0.0
        peaks, sums, energies = np.zeros((3, decoder.channels))
        for block in _finite(decoder.blocks, path):
            exact = block.astype(np.float64)
            count += len(exact)
            peaks = np.maximum(peaks, np.abs(exact).max(axis=0))
            sums += exact.sum(axis=0)
            energies += (exact**2).sum(axis=0)
            together += float((exact.sum(axis=1) ** 2).sum())
    # about the mean: sound cards often add a constant
    energies -= sums**2 / max(1, count)
    together -= float(sums.sum() ** 2 / max(1, count))
    if together < CANCELLED * energies.sum():
        loudest = int(energies.argmax())
        return lambda block: block[:, loudest]
    sounding = np.float32((peaks >= SOUNDING * peaks.max()).sum())

    def average(block: Block) -> Samples:
        with np.errstate(over="ignore"):  # what is too large is found later
            return np.asarray(block.sum(axis=1) / sounding, np.float32)

    return average


def _at_16_khz(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    """Resampled blocks, none of them empty."""
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        if len(resampled := resampler.resample_chunk(block)):
            yield resampled
    if len(rest := resampler.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield rest


# --- decoding


@contextmanager
def _decoding(path: Path | Held, longest_s: float, most_values: int) -> Iterator[Decoder]:
    """A decoder at the beginning of a file; its blocks end with an error where there are more than
    may be read."""
    with _decoder(path) as found:
        _check_rate(found.rate, path)
        most = min(round(longest_s * found.rate), most_values // found.channels)
        yield Decoder(found.rate, found.channels, _at_most(most, found, path))


def _at_most(most: int, found: Decoder, path: Path | Held) -> Iterator[Block]:
    """The blocks of a file, as long as they have no more than so many samples together."""
    left = most
    for block in found.blocks:
        left -= len(block)
        if left < 0:
            raise AudioError(f"{path}: longer than {_as_time(most / found.rate)}")
        yield block


def _as_time(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds >= 3600 else f"{seconds:.0f} seconds"


@contextmanager
def _decoder(path: Path | Held) -> Iterator[Decoder]:
    kind = media.kind(path)
    if kind is not None:
        with media.decoding(path, kind, FORMATS) as decoder:
            yield decoder
        return
    with _sound_file(path) as file:
        yield Decoder(file.samplerate, file.channels, _blocks(file))


@contextmanager
def _sound_file(path: Path | Held) -> Iterator[soundfile.SoundFile]:
    """A file that libsndfile reads."""
    try:
        file = soundfile.SoundFile(path.open() if isinstance(path, Held) else path)
    except soundfile.SoundFileError as error:
        why = "it has no WAV header: raw samples?" if _lacks_header(path) else _reason(error)
        told = f"{path}: not readable as audio ({why}); {media.readable(FORMATS)}"
        raise AudioError(told) from error
    except TypeError as error:  # headerless files would need their rate told
        raise AudioError(f"{path}: not readable as audio (raw samples have no header)") from error
    with file:
        if file.frames or file.format not in ("WAV", "WAVEX"):
            yield file
            return
        with _copied(path) as held:
            if not _finish(held):
                yield file
                return
            whole = BytesIO(held) if isinstance(held, bytearray) else held
            with soundfile.SoundFile(whole) as finished:
                yield finished


@contextmanager
def _copied(path: Path | Held) -> Iterator[mmap.mmap | bytearray]:
    """The bytes of a file, to be changed without changing it."""
    if isinstance(path, Held):
        yield bytearray(path.data)
        return
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_COPY) as held:
        yield held


def _finish(held: mmap.mmap | bytearray) -> bool:
    """Repair the header of a WAV file whose writer never filled in the length of the sound.

    Returns:
        Whether it was such a file: the header's lengths and the file's do not agree.
    """
    at = 12  # chunks: a name, a length, and so much, filled up to an even number of bytes
    while held[at : at + 4] not in (b"data", b""):
        length = int.from_bytes(held[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    length = min(len(held) - at - 8, 2**32 - 1) // 2 * 2  # so that nothing is missing after it
    if length <= 0 or int.from_bytes(held[4:8], "little") == len(held) - 8:
        return False
    held[at + 4 : at + 8] = length.to_bytes(4, "little")
    return True


def _blocks(file: soundfile.SoundFile) -> Iterator[Block]:
    size = max(1, BLOCK_VALUES // file.channels)
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


def _lacks_header(path: Path | Held) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() == ".wav" and not file.read(4).startswith((b"RIF", b"RF64"))


def _reason(error: soundfile.SoundFileError) -> str:
    """libsndfile's own message."""
    return str(getattr(error, "error_string", error)).rstrip(".")


# --- checks


def _check_regular(path: Path | Held) -> None:
    if isinstance(path, Held):
        return
    is_input = str(path) == "-"  # what other programs take for standard input
    if is_input or not S_ISREG(path.stat().st_mode):
        raise AudioError(f"{path}: not a regular file")


def _check_rate(rate: int, path: Path | Held | None = None) -> None:
    if not SLOWEST <= rate <= FASTEST:
        told = f"sample rate {rate} Hz is outside {SLOWEST:,} to {FASTEST:,} Hz"
        raise AudioError(told if path is None else f"{path}: {told}")


def _finite(blocks: Iterator[Block], path: Path | Held) -> Iterator[Block]:
    """Pass blocks on, and raise AudioError for a sample that is not finite."""
    begin = 0
    for block in blocks:
        _check_finite(block, begin, str(path))
        begin += len(block)
        yield block


def _check_finite(block: Block, begin: int, name: str) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise AudioError(f"{name}: sample {begin + int(np.argmin(finite))} is not a finite number")
