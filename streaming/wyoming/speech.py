"""Text that is spoken while it comes."""

import asyncio
from collections.abc import Awaitable, Callable

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Eventable

from assistant.voice.voice import SAMPLE_BYTES, VOICE_RATE
from streaming.controls import Commit, Played, Write
from streaming.events import ReplyAudio, ReplyEnded
from streaming.wyoming.framing import WyomingError
from streaming.wyoming.messages import LONGEST_TEXT
from streaming.wyoming.place import Place

PIECE_BYTES = VOICE_RATE // 10 * SAMPLE_BYTES
"""Most bytes of speech in an event: a tenth of a second."""

Send = Callable[[Eventable], Awaitable[None]]


class Speech:
    """Speaks one text, clause by clause."""

    def __init__(self, place: Place, send: Send) -> None:
        """Args:
        place: of a `Narrator`.
        send: to the client.
        """
        self.place, self._send = place, send
        self._characters = 0
        self._task = asyncio.create_task(self._speak())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def say(self, text: str) -> None:
        """The next piece of the text.

        Raises:
            WyomingError: the text is too long.
        """
        self._characters += len(text)
        if self._characters > LONGEST_TEXT:
            raise WyomingError("field", f"text: more than {LONGEST_TEXT} characters")
        self.place.give(Write(text))

    async def finish(self) -> None:
        """The text is complete; returns when all of it was told.

        Raises:
            WyomingError: the voice failed.
        """
        self.place.give(Commit())
        await self._task

    def stop(self) -> None:
        """Nobody listens any more, or all was told."""
        self._task.cancel()
        self.place.leave()

    async def _speak(self) -> None:
        form = {"rate": VOICE_RATE, "width": SAMPLE_BYTES, "channels": 1}
        await self._send(AudioStart(**form))
        told = 0
        while not isinstance(event := await self.place.next(), ReplyEnded):
            if not isinstance(event, ReplyAudio):
                continue
            for at in range(0, len(event.pcm), PIECE_BYTES):
                await self._send(AudioChunk(**form, audio=event.pcm[at : at + PIECE_BYTES]))
            told += len(event.pcm) // SAMPLE_BYTES
            self.place.give(Played(0, told))  # and the next ones may be made
        await self._send(AudioStop())
