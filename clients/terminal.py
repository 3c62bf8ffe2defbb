"""Talking to a server in a terminal: from a microphone or a recording, answers as they come."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import nullcontext

from rich.console import Console

from clients.errors import ClientError
from clients.keys import keys, why_no_keys
from clients.questions import Questions
from clients.realtime import SETTINGS, TEXT, Json, Session, SessionLostError, audio_of
from clients.screen import Screen
from clients.sources import level
from clients.speaker import Speaker

QUIET_S = 2.0
"""Seconds without an event after which a conversation about a recording is over."""

PATIENCE_S = 30.0
"""The same, while an answer is to come: the server may be slow."""

CAPTIONS_ONLY: Json = {
    **SETTINGS,
    **TEXT,
    "audio": {
        "input": {
            **SETTINGS["audio"]["input"],
            "turn_detection": {"type": "semantic_vad", "create_response": False},
        }
    },
}
"""Settings of who wants to read along, and no answers."""

TALK_KEYS = "Space talk, Space again send · M mute · Enter type · Q end"
LISTEN_KEYS = "M mute · Q end"
NO_KEYS = "Ctrl+C ends"


class Talker:
    """What a user's keys do, and the voice. Muted, silence is sent; Space talks all the same.

    A microphone hears the loudspeaker: while that sounds silence is sent, unless there are
    headphones. Space interrupts what is said, always.
    """

    def __init__(
        self,
        session: Session,
        screen: Screen,
        settings: Json,
        muted: bool,
        with_keys: bool = True,
        speaker: Speaker | None = None,
        headphones: bool = False,
    ) -> None:
        """Args:
        session: with the server.
        screen: shows what was done.
        settings: of the session.
        muted: to begin with: push to talk.
        with_keys: there are keys to press.
        speaker: plays answers; None: they are text.
        headphones: the microphone does not hear what is played.
        """
        self._speaker, self._headphones = speaker, headphones
        self._session, self._screen = session, screen
        self._questions = Questions(session)
        self._detection = settings["audio"]["input"]["turn_detection"]
        self._answers = self._detection.get("create_response", True)
        self._muted, self._holding = muted, False
        usable = TALK_KEYS if self._answers else LISTEN_KEYS
        self._screen.hint = usable if with_keys else NO_KEYS
        self._tell()

    def hear(self, piece: bytes) -> bytes:
        """A piece of the microphone as it is to be sent."""
        echo = self._speaker is not None and self._speaker.sounds and not self._headphones
        heard = piece if self._holding or not (self._muted or echo) else bytes(len(piece))
        self._screen.level(level(heard))
        return heard

    async def press(self, key: str) -> bool:
        """A key was pressed; false: that is all."""
        if self._screen.typing is not None:
            await self._type(key)
        elif key in "qQ\x04":
            return False
        elif key in "mM":
            self._muted = not self._muted
        elif key == " " and self._answers:
            await (self._release() if self._holding else self._hold())
        elif key in "\r\n" and self._answers:
            self._screen.typing = ""
        self._tell()
        return True

    async def take(self, event: Json) -> None:
        """Follow an event: a typed question may be answered now, or asked."""
        await self._play(event)
        for question in await self._questions.take(event):
            self._screen.asked(question)
        self._screen.waiting = self._questions.waiting

    async def _play(self, event: Json) -> None:
        """Play what is spoken; of an answer that was interrupted the server is told how much was
        heard."""
        if self._speaker is None:
            return
        match event:
            case {
                "type": "input_audio_buffer.speech_started" | "input_audio_buffer.speech_stopped"
            }:
                self._speaker.duck(event["type"].endswith("started"))
            case {"type": "session.created"}:  # which does not know who spoke
                self._speaker.duck(False)
            case {"type": "response.output_audio.delta", "item_id": str(item)}:
                self._speaker.play(item, audio_of(event))
            case {
                "type": "response.output_item.done",
                "item": {"id": str(item), "status": "incomplete"},
            }:
                if (played := self._speaker.stop(item)) is not None:
                    place = {"item_id": item, "content_index": 0, "audio_end_ms": played}
                    await self._session.send("conversation.item.truncate", **place)

    def _tell(self) -> None:
        doing = "listening: Space sends" if self._holding else "listening"
        self._screen.doing = "muted" if self._muted and not self._holding else doing
        self._screen.holding, self._screen.waiting = self._holding, self._questions.waiting
        self._screen.draw(now=True)

    async def _type(self, key: str) -> None:
        typed = self._screen.typing or ""
        if key in "\r\n":
            self._screen.typing = None
            if typed.strip():
                await self._questions.ask(typed.strip())
        elif key == "\x1b":
            self._screen.typing = None
        elif key in "\x7f\b":
            self._screen.typing = typed[:-1]
        elif key.isprintable():
            self._screen.typing = typed + key

    async def _hold(self) -> None:
        self._holding = True
        await self._questions.hold()
        await self._detect(None)

    async def _release(self) -> None:
        self._holding = False
        await self._session.send("input_audio_buffer.commit")
        await self._questions.release()
        await self._detect(self._detection)

    async def _detect(self, detection: Json | None) -> None:
        audio = {"input": {"turn_detection": detection}}
        await self._session.send("session.update", session={"type": "realtime", "audio": audio})


async def talk(
    url: str,
    token: str | None,
    settings: Json,
    source: AsyncIterator[bytes],
    console: Console,
    *,
    push_to_talk: bool = False,
    speaker: Speaker | None = None,
    headphones: bool = False,
) -> None:
    """Send a microphone and show what comes, until the user ends it.

    Args:
        url: of the server's socket.
        token: what the server asks for.
        settings: of the session.
        source: pieces of audio; when they end, so does the conversation.
        console: where to show it; keys are read where it and the input are terminals.
        push_to_talk: hear only while Space says so.
        speaker: plays answers; None: they are text.
        headphones: the microphone does not hear what is played.

    Raises:
        ClientError: the server cannot be reached, or ended the session; or there are no keys to
            push.
    """
    pressed: asyncio.Queue[str] = asyncio.Queue()
    missing = why_no_keys()
    with_keys = push_to_talk or (console.is_terminal and missing is None)
    try:
        with (
            keys(pressed.put_nowait) if with_keys else nullcontext(),
            speaker or nullcontext(),
            Screen(console) as screen,
        ):
            if missing is not None:
                screen.note(f"{missing}; {NO_KEYS}")
            async with Session(url, token=token, settings=settings) as session:
                talker = Talker(
                    session, screen, settings, push_to_talk, with_keys, speaker, headphones
                )

                async def show() -> None:
                    async for event in session:
                        await talker.take(event)
                        screen.show(event)

                async def send() -> None:
                    async for piece in source:
                        await session.audio(talker.hear(piece))

                async def obey() -> None:
                    while await talker.press(await pressed.get()):
                        pass

                await _first_of(show(), send(), obey())
    except SessionLostError as error:
        raise ClientError(str(error)) from error


async def converse(
    url: str,
    token: str | None,
    settings: Json,
    source: AsyncIterator[bytes],
    console: Console,
) -> None:
    """Send a recording and show what comes, until the last answer is there.

    Raises:
        ClientError: the server cannot be reached, or ended the session.
    """
    try:
        with Screen(console) as screen:
            async with Session(url, token=token, settings=settings) as session:

                async def show() -> None:
                    async for event in session:
                        screen.show(event)

                async def send() -> None:
                    async for piece in source:
                        screen.level(level(piece))
                        await session.audio(piece)
                    await _quiet(screen)

                await _first_of(show(), send())
    except SessionLostError as error:
        raise ClientError(str(error)) from error


async def _quiet(screen: Screen) -> None:
    """Wait until nothing has come for a while."""
    while True:
        screen.news.clear()
        try:
            await asyncio.wait_for(screen.news.wait(), PATIENCE_S if screen.expecting else QUIET_S)
        except TimeoutError:
            return


async def _first_of(*parts: Coroutine[object, object, None]) -> None:
    """Run them together until one is over; its error, if it failed, is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
