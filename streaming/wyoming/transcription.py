"""A stream of speech that is read while it comes."""

import asyncio
from collections.abc import Awaitable, Callable

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.event import Eventable

from assistant.rates import SAMPLE_RATE
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.controls import Configure, Hold
from streaming.events import Caption, Configured, SpeechEnded, SpeechStarted
from streaming.wyoming.place import Place

NOBODY_S = 15.0
"""Seconds without speech after which a stream that we end has said nothing."""

AHEAD_S = 0.1
"""Seconds of a stream that its session is given ahead: little is heard after the end that it finds.
"""

PIECE_BYTES = 3_200
"""Bytes of a stream that are taken at once: a tenth of a second at 16 kHz."""

Send = Callable[[Eventable], Awaitable[None]]


class Transcription:
    """Reads one stream, and tells its client the text: piece by piece, and whole at the end."""

    def __init__(
        self,
        place: Place,
        format_: InputFormat,
        send: Send,
        keep: Callable[[str], None],
        *,
        ends: bool,
    ) -> None:
        """Args:
        place: of a session that captions, and answers only when asked.
        format_: of the audio.
        send: to the client.
        keep: takes the text, and the place with it, before the client gets the text: it may ask
            about it at once, over another connection. Not called where nothing was said.
        ends: silence after speech ends the stream; otherwise only its client does.
        """
        self.place, self._keep, self._is_ours = place, keep, True
        self._decoder, self._send, self._ends = InputDecoder(format_), send, ends
        self._since: int | None = None  # first sample of the turn that is read
        self._raw = ""
        self._told = ""
        self._spoken = self._silent = False  # somebody spoke, and is silent again
        self._went_on = asyncio.Event()  # something came of the session, or nothing will any more
        self._task = asyncio.create_task(self._listen())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._task.add_done_callback(lambda _: self._went_on.set())

    @property
    def over(self) -> bool:
        """Whether the whole text was told."""
        return self._task.done()

    async def hear(self, audio: bytes) -> None:
        """Take bytes of the stream, at the pace of the session; what comes after its end is not
        listened to."""
        for at in range(0, len(audio), PIECE_BYTES):
            if not self._is_ours:
                return
            if frames := self._decoder.push(audio[at : at + PIECE_BYTES]):
                self.place.give(*frames)
            await self.place.caught_up(AHEAD_S)
            await self._settled()
            self._give_up()

    async def _settled(self) -> None:
        """Returns when it is known whether the stream is over: once speech has ended, its last
        caption comes without more sound, but it may take a while."""
        while self._is_ours and self._ends and self._silent and not self._task.done():
            self._went_on.clear()
            await self._went_on.wait()

    def _give_up(self) -> None:
        """End a stream in which nobody speaks."""
        if self._ends and not self._spoken and self.place.heard > NOBODY_S * SAMPLE_RATE:
            self._end()

    def _end(self) -> None:
        """The stream is over: what was said is a turn that waits to be asked for."""
        self.place.give(Hold(), Configure())  # a `Configured` comes when all before it is done
        self._ends = False

    async def finish(self) -> None:
        """The stream is over; returns when all of its text was told.

        Raises:
            WyomingError: the session failed.
        """
        if self._is_ours:
            if frames := self._decoder.flush():
                self.place.give(*frames)
            self._end()
        await self._task

    def stop(self) -> None:
        """Nobody wants the rest of the text any more."""
        self._task.cancel()
        self._let_go(None)

    def _let_go(self, text: str | None) -> None:
        """Pass the place on with its text, or give it up."""
        if not self._is_ours:
            return
        self._is_ours = False
        if text:
            self._keep(text)
        else:
            self.place.leave()

    async def _listen(self) -> None:
        while True:
            match await self.place.next():
                case SpeechStarted():
                    self._spoken, self._silent = True, False
                case SpeechEnded():
                    self._silent = True
                case Caption() as caption:
                    await self._read(caption)
                    if caption.last and self._silent and self._ends:
                        break
                case Configured():
                    break
                case _:
                    pass
            self._went_on.set()
        self._let_go(self._told)
        self._went_on.set()
        await self._tell_all()

    async def _read(self, caption: Caption) -> None:
        if self._since not in (None, caption.since):
            self._raw += " "  # of another turn
        self._since = caption.since
        self._raw += caption.settled
        text = self._raw.strip()
        if piece := text[len(self._told) :]:
            if not self._told:
                await self._send(TranscriptStart())
            self._told = text
            await self._send(TranscriptChunk(piece))

    async def _tell_all(self) -> None:
        if not self._told:
            await self._send(TranscriptStart())
        await self._send(Transcript(self._told))
        await self._send(TranscriptStop())
