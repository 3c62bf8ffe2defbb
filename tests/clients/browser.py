"""A real browser for tests: Debian's chromium, with a microphone that hears a file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, async_playwright

from tests.clients.needs import program

Json = dict[str, Any]

QUIET = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip

DENIED = ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]
"""Flags for a user who lets nobody have the microphone."""

CUT = """
window.cut = false;
window.WebSocket = class extends WebSocket {
  constructor(url, protocols) { super(window.cut ? "ws://127.0.0.1:9/" : url, protocols); }
};
"""
"""A script for a page: while `cut` is true, the server cannot be reached."""

SCRIPTED = """() => {
  window.sent = [];
  window.WebSocket = class {
    #count = 0;
    constructor() { window.wire = this; }
    send(data) { if (typeof data === "string") sent.push(JSON.parse(data)); }
    say(event) {
      this.#count++;
      this.onmessage({ data: JSON.stringify({ event_id: `event_${this.#count}`, ...event }) });
    }
    close() {}
  };
}"""
"""A script for a page: the test is the server. It reads `sent` and speaks with `wire.say`."""

GENEROUS_MS = 60_000
"""For what comes soon, on a machine that has other things to do."""


def run(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """A coroutine as a test."""

    def call(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(test(tmp_path), 300))

    call.__name__ = test.__name__
    return call


def hearing(recording: Path) -> list[str]:
    """Flags for a microphone that hears a wav file, again and again."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
    ]


def tones(folder: Path, spoken_s: float = 0.5, every_s: float = 2.0) -> list[str]:
    """Flags for a microphone that hears a loud tone, which the scripted model takes for speech."""
    time = np.arange(round(every_s * 48_000)) / 48_000
    loud = (time > 0.5) & (time < 0.5 + spoken_s)
    tone: NDArray[np.float64] = 0.8 * np.sin(2 * np.pi * 300 * time) * loud
    soundfile.write(folder / "tone.wav", tone, 48_000, subtype="PCM_16")
    return hearing(folder / "tone.wav")


@asynccontextmanager
async def browsing(flags: list[str]) -> AsyncIterator[Browser]:
    """A browser."""
    chromium = program("chromium", "chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*QUIET, *flags])
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, host: str, **context: Any) -> AsyncIterator[Page]:
    """The page of a server, which must not throw and must fetch nothing from elsewhere."""
    used = await browser.new_context(**context)
    page = await used.new_page()
    page.set_default_timeout(GENEROUS_MS)
    thrown: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.add_init_script(CUT)
    await page.goto(f"http://{host}/")
    yield page
    await used.close()
    assert thrown == []
    assert [url for url in asked if host not in url] == []


class Server:
    """A server whose every event a test decides, for a page that was just loaded."""

    def __init__(self, it: Page) -> None:
        self._page = it

    async def begin(self) -> None:
        """Begin a session."""
        await self._page.evaluate(SCRIPTED)
        await self._page.click("#start")
        await self.say("session.created", session={"id": "sess_1", "model": "scripted"})
        ready = "() => ['Listening', 'No microphone'].includes(state.textContent)"
        await self._page.wait_for_function(ready)

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._page.evaluate("event => wire.say(event)", {"type": kind, **fields})

    async def speech(self, item: str, *, ends: bool = False) -> None:
        """Someone begins to speak, or has finished."""
        if not ends:
            return await self.say(
                "input_audio_buffer.speech_started", item_id=item, audio_start_ms=0
            )
        await self.say("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=99)
        await self.say("input_audio_buffer.committed", item_id=item)

    async def created(self, response: str, asked: Json | None = None) -> None:
        """An answer is under way; `asked`: the `response.create` that asked for it."""
        metadata = asked and asked["response"]["metadata"]
        await self.say("response.created", response={"id": response, "metadata": metadata})

    async def answers(self, response: str, text: str) -> None:
        """An answer begins."""
        item = {"id": f"item_of_{response}"}
        await self.say("response.output_item.added", response_id=response, item=item)
        await self.say("response.output_text.delta", item_id=item["id"], delta=text)

    async def done(self, response: str, status: str = "completed") -> None:
        """An answer is over."""
        await self.say("response.done", response={"id": response, "status": status})

    async def took(self) -> list[Json]:
        """What the page sent since this was asked last, audio and settings apart."""
        sent = await self._page.evaluate("sent.splice(0)")
        return [event for event in sent if "session" not in event]


@asynccontextmanager
async def page(host: str, *flags: str, **context: Any) -> AsyncIterator[Page]:
    """A page in a browser of its own."""
    async with browsing(list(flags)) as browser, opened(browser, host, **context) as it:
        yield it


async def state(it: Page, text: str) -> None:
    """Wait until the page says that this is going on, if only for a moment."""
    told = "text => document.querySelector('#state').textContent === text"
    await it.wait_for_function(told, arg=text)
