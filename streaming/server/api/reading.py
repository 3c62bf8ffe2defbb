"""What is said in a recording, piece by piece as it is read."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from assistant.rates import SAMPLE_RATE
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.controls import Configure, Hold
from streaming.events import Caption, Configured, SpeechEnded, SpeechStarted
from streaming.server.place import Place

AHEAD_S = 2.0
"""Seconds of a recording that its session is given ahead."""

PIECE_BYTES = 2 * SAMPLE_RATE
"""Bytes of a recording that are given at once: a second."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said in one stretch."""

    start: float
    """Seconds."""

    end: float
    """Seconds."""

    text: str


class Reading:
    """One recording that is read: text first, and each segment when it is over."""

    def __init__(self, place: Place, pcm: bytes) -> None:
        """Args:
        place: of a session that writes down what is said.
        pcm: the recording, 16 kHz PCM16.
        """
        self._place, self._pcm = place, pcm
        self.segments: list[Segment] = []
        """Those that are over."""

        self._since: int | None = None  # first sample of the turn that is read
        self._raw, self._told = "", 0  # all text, and how much of it is in segments
        self._start = self._end = 0  # samples of the stretch of speech
        self._silent = False

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self._pcm) / 2 / SAMPLE_RATE

    @property
    def text(self) -> str:
        """What was read so far."""
        return self._raw.strip()

    async def pieces(self) -> AsyncIterator[str]:
        """The text, piece by piece: together they are `text`.

        Raises:
            SessionFailedError: the session failed.
        """
        feeding = asyncio.create_task(self._feed())
        try:
            told = 0
            while not isinstance(event := await self._place.next(), Configured):
                match event:
                    case SpeechStarted(at):
                        self._start, self._silent = at, False
                    case SpeechEnded(at):
                        self._end, self._silent = at, True
                    case Caption():
                        self._read(event)
                if piece := self.text[told:]:
                    told += len(piece)
                    yield piece
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self) -> None:
        decoder = InputDecoder(InputFormat())
        for at in range(0, len(self._pcm), PIECE_BYTES):
            self._place.give(*decoder.push(self._pcm[at : at + PIECE_BYTES]))
            await self._place.caught_up(AHEAD_S)
        # A `Configured` comes when all before it is done.
        self._place.give(*decoder.flush(), Hold(), Configure())

    def _read(self, caption: Caption) -> None:
        if self._since not in (None, caption.since):
            self._raw += " "  # of another turn
        self._since = caption.since
        self._raw += caption.settled
        if not (caption.last and self._silent):
            return
        text, self._told = self._raw[self._told :].strip(), len(self._raw)
        if not text:
            return
        start, end = round(self._start / SAMPLE_RATE, 3), round(self._end / SAMPLE_RATE, 3)
        if self.segments and self.segments[-1].start == start:  # what the recording's end settled
            text = f"{self.segments.pop().text} {text}"
        self.segments.append(Segment(start, end, text))
