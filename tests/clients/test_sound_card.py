"""The commands that talk, with a sound card and a terminal."""

import asyncio
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import soundfile

from streaming.dialogue.session import Session
from tests.clients.needs import missing
from tests.clients.servers import url
from tests.clients.sound_card import SoundCard, sound_card
from tests.streaming.fakes import Echo, session
from tests.streaming.server.test_app import fake, serving


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, keyboard: int, running: asyncio.subprocess.Process) -> None:
        self._keyboard, self._running = keyboard, running
        self.shown = ""

    async def until(self, text: str) -> None:
        """Read until it shows a text."""
        loop = asyncio.get_running_loop()
        while text not in self.shown:
            try:
                more = await loop.run_in_executor(None, os.read, self._keyboard, 4096)
            except OSError as over:
                raise AssertionError(f"it ended without {text!r}: {self.shown}") from over
            self.shown += more.decode(errors="replace")

    def press(self, key: str) -> None:
        os.write(self._keyboard, key.encode())

    async def end(self) -> int:
        return await self._running.wait()


async def in_terminal(environment: dict[str, str], *arguments: str) -> Terminal:
    keyboard, screen = pty.openpty()
    command = [sys.executable, "-m", "cli.main", *arguments]
    running = await asyncio.create_subprocess_exec(
        *command, stdin=screen, stdout=screen, stderr=screen,
        env={**environment, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(screen)
    return Terminal(keyboard, running)


def with_card(test: Callable[[SoundCard, Path], Awaitable[None]]) -> Callable[[Path], None]:
    def call(tmp_path: Path) -> None:
        try:
            import sounddevice  # noqa: F401
        except OSError:
            missing("PortAudio is missing: apt-get install libportaudio2 libasound2-plugins")
        with sound_card(tmp_path) as card:
            asyncio.run(asyncio.wait_for(test(card, tmp_path), 240))

    call.__name__ = test.__name__
    return call


def say(folder: Path, seconds: float) -> Path:
    """A recording that the scripted model takes for speech."""
    time = np.arange(round((seconds + 0.6) * 48_000)) / 48_000
    tone = 0.8 * np.sin(2 * np.pi * 300 * time) * ((time > 0.3) & (time < 0.3 + seconds))
    soundfile.write(folder / "said.wav", tone, 48_000, subtype="PCM_16")
    return folder / "said.wav"


def knocking() -> Session:
    listener = Echo()
    listener.knocks = True
    return session(listener, pace=None)


@with_card
async def test_talking_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host):
        talk = await in_terminal(card.environment, "talk", "--server", url(host))
        await talk.until("listening")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        await talk.until("I heard")
        await talk.until("all”")
        await talk.until("of silence")
        assert "♪ knock" in talk.shown
        assert "▮▮▮▮▮▮" in talk.shown  # the level
        talk.press("\nWhat?\n")
        await talk.until("? What?")
        talk.press("q")
        assert await talk.end() == 0


@with_card
async def test_push_to_talk_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake()) as (_, host):
        arguments = ["talk", "--server", url(host), "--push-to-talk", "--device", "default"]
        talk = await in_terminal(card.environment, *arguments)
        await talk.until("muted")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        assert "I heard" not in talk.shown
        talk.press(" ")
        await talk.until("Space sends")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        talk.press(" ")
        await talk.until("I heard")
        talk.press("q")
        assert await talk.end() == 0


@with_card
async def test_reading_along_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host):
        listen = await in_terminal(card.environment, "listen", "--server", url(host))
        await listen.until("listening")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        await listen.until("all”")
        listen.press("q")
        assert await listen.end() == 0
        assert "♪ knock" in listen.shown
        assert "I heard" not in listen.shown


@with_card
async def test_microphones_are_listed(card: SoundCard, folder: Path) -> None:
    listed = await in_terminal(card.environment, "talk", "--devices")
    await listed.until("default")
    assert await listed.end() == 0
    async with serving() as (_, host):
        arguments = ["talk", "--server", url(host), "--device", "no such"]
        wrong = await in_terminal(card.environment, *arguments)
        await wrong.until("the microphone cannot be used")
        assert await wrong.end() == 1
