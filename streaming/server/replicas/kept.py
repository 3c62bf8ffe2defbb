"""What has to be known of a session so that another process can make it again: all that it was
given, and how far it had come.

A second of audio takes 15 kB, as FLAC; silence a hundredth of that. So an hour of talk
is 54 MB.
"""

import io
from collections.abc import Iterator
from hashlib import sha256

import numpy as np
import soundfile

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_BYTES, Frame
from streaming.controls import Control
from streaming.events import Event
from streaming.server.worker import Done
from streaming.tape.event_json import to_json

PACKED_FRAMES = 500
"""Frames that are packed together: ten seconds, which takes 3 ms."""


def chained(digest: bytes, event: Event) -> bytes:
    """The digest of a list of events and one more; that of none is empty."""
    return sha256(digest + to_json(event).encode()).digest()


class Kept:
    """A session's input and its pace, and a digest of the events that came of it."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._open: list[bytes] = []  # frames that are not packed yet
        self._frames = 0
        self._controls: list[tuple[int, Control]] = []  # and how many frames came before each
        self._pace: dict[int, int] = {}
        self.taken = 0
        """Pieces of input that the session is known to have processed."""

        self.heard = 0
        """Samples that it is known to have processed."""

        self.released = 0
        """What it is known to have given out, see `Stepped.released`."""

        self.events = 0
        """How many events came of it."""

        self.digest = b""
        """Of these events, see `chained`."""

    def put(self, pieces: list[Frame | Control]) -> None:
        """Keep input that the session is given."""
        for piece in pieces:
            if not isinstance(piece, Frame):
                self._controls.append((self._frames, piece))
                continue
            self._open.append(piece.pcm)
            self._frames += 1
            if len(self._open) == PACKED_FRAMES:
                self._packed.append(_packed(b"".join(self._open)))
                self._open.clear()

    def note(self, done: Done) -> None:
        """Keep how far the session has come with a step."""
        if given := done.released - self.released:
            self._pace[done.taken] = self._pace.get(done.taken, 0) + given
        self.taken, self.heard, self.released = done.taken, done.heard, done.released
        for event in done.events:
            self.events += 1
            self.digest = chained(self.digest, event)

    def pace(self, taken: int) -> int:
        """The session's `Pace`, as far as it is known."""
        return self._pace.get(taken, 0)

    def pieces(self) -> Iterator[Frame | Control]:
        """All that was put in, in order; `at` of frames is 0."""
        controls = iter(self._controls)
        following = next(controls, None)
        for number, pcm in enumerate(self._pcm()):
            while following is not None and following[0] == number:
                yield following[1]
                following = next(controls, None)
            yield Frame(0, pcm)
        if following is not None:
            yield following[1]
            yield from (control for _, control in controls)

    def _pcm(self) -> Iterator[bytes]:
        for packed in self._packed:
            unpacked = _unpacked(packed)
            yield from (
                unpacked[at : at + FRAME_BYTES] for at in range(0, len(unpacked), FRAME_BYTES)
            )
        yield from self._open

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put in."""
        return not (self._frames or self._controls)

    @property
    def size(self) -> int:
        """Bytes of audio that are kept."""
        return sum(map(len, self._packed)) + sum(map(len, self._open))


def _packed(pcm: bytes) -> bytes:
    file = io.BytesIO()
    samples = np.frombuffer(pcm, "<i2")
    soundfile.write(
        file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=0.0
    )
    return file.getvalue()


def _unpacked(flac: bytes) -> bytes:
    samples, _ = soundfile.read(io.BytesIO(flac), dtype="int16")
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm
