"""Pictures of the page in each of its states, for docs/clients.md.

    python -m tests.clients.screenshots

Browser, page, server and endpointing are the real ones, the microphone hears knocks and then
demo/kitchen.flac; what is answered is scripted, so that the pictures are the same on every machine.
"""

import asyncio
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from playwright.async_api import Browser, Page, ViewportSize

from assistant.tools.tool import ToolCall
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.detectors.choose import choose_endpointer
from streaming.dialogue.session import Session
from tests.clients.browser import DENIED, browsing, hearing, opened, state
from tests.streaming.fakes import Echo
from tests.streaming.server.test_app import fake, serving

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
RATE = 48_000
DESK: ViewportSize = {"width": 900, "height": 760}
PHONE: ViewportSize = {"width": 390, "height": 780}
QUESTION = "What was that sound?"
ANSWERS = [
    ("Turn on the light in the kitchen please.", "Okay, turning on the light in the kitchen."),
    ("What is the weather like in London today?", "I cannot look outside, so I do not know."),
    ("Remind me to call my sister tomorrow morning.", "Okay, tomorrow morning: call your sister."),
]
WINDOW = 5120
"""Samples, as with nano."""

TOKEN_S = 0.3
"""Seconds that a token takes, so that an answer can be seen to come."""


class Kitchen(Echo):
    """Knows beforehand what will be said."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = -1
        self.words: list[str] = []

    @property
    def whole(self) -> int:
        return self.samples // WINDOW

    def sounds(self) -> list[tuple[int, int, str, float]]:
        knocked = self.samples == 8 * WINDOW
        return [(0, 8 * WINDOW, "knocking", 0.9)] if knocked else []

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        super().open(since, instruction, spoken_from, typed=typed, alone=alone)
        self.first = min(since // WINDOW, self.whole)
        if self.question is None:
            self.turns += 1
            self.words = ANSWERS[self.turns % 3][0].split()
        return self.waiting

    def pause(self) -> int:
        self.paused_windows, self.ahead = self.whole, 1
        return 1

    def ask(self) -> int:
        super().ask()
        said = ANSWERS[self.turns % 3][1] if self.question is None else "Someone knocked."
        self.reply = [word + " " for word in said.split()]
        return self.cached

    def token(self) -> str | ToolCall | None:
        time.sleep(TOKEN_S)
        return super().token()

    def caption(self, *, last: bool = False) -> tuple[str, str] | None:
        count = len(self.words) if last else 2
        said, self.words = self.words[:count], self.words[count:]
        return "".join(word + " " for word in said), ""


def session() -> Session:
    return Session(
        InputDecoder(InputFormat()), choose_endpointer(EndpointingConfig()), Kitchen(),
        TurnsConfig(), make_endpointer=choose_endpointer,
    )  # fmt: skip


def recording(to: Path) -> None:
    """Three knocks, two of the sentences of the kitchen, then nothing for a long time."""
    at = np.arange(round(0.25 * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(at))
    knock = 0.25 * noise * np.exp(-at * 60)
    said, rate = soundfile.read(ROOT / "demo" / "kitchen.flac")
    kitchen = soxr.resample(said, rate, RATE)
    first, second = kitchen[: 4 * RATE], kitchen[4 * RATE : 8 * RATE]
    parts = [np.zeros(RATE), knock, knock, knock, np.zeros(2 * RATE)]
    parts += [first, np.zeros(5 * RATE), second, np.zeros(300 * RATE)]
    soundfile.write(to, np.concatenate(parts), RATE, subtype="PCM_16")


async def shoot(it: Page, name: str) -> None:
    await it.wait_for_timeout(300)
    await it.screenshot(path=PAGES / f"{name}.png")


async def main() -> None:
    PAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        recording(Path(name) / "heard.wav")
        async with (
            serving(fake(session), sessions=1, resume_s=600) as (_, host),
            browsing(hearing(Path(name) / "heard.wav")) as browser,
        ):
            await talk(browser, host)
        async with (
            serving(fake(session)) as (_, host),
            browsing(DENIED) as browser,
            at_desk(browser, host) as it,
        ):
            await it.click("#start")
            await it.wait_for_selector("#problem:not([hidden])")
            await shoot(it, "denied")


def at_desk(browser: Browser, host: str) -> AbstractAsyncContextManager[Page]:
    return opened(browser, host, viewport=DESK)


async def talk(browser: Browser, host: str) -> None:
    async with at_desk(browser, host) as it:
        await shoot(it, "start")
        await it.click("#start")
        await state(it, "Hearing you")
        await it.wait_for_selector(".you.live:not(:empty)")
        await shoot(it, "hearing")
        await it.wait_for_selector(".they.live:not(:empty)")
        await it.screenshot(path=PAGES / "answering.png")
        await it.wait_for_selector(".ledger")
        await state(it, "Hearing you")
        await it.wait_for_selector(".you.live:not(:empty)")
        await it.fill("#question", QUESTION)
        await it.press("#question", "Enter")
        await it.wait_for_selector(".waits")
        await it.evaluate("document.activeElement.blur()")
        await shoot(it, "waiting")
        await it.wait_for_selector(f".turn:has(.you:text-is('{QUESTION}')) .ledger")
        await it.evaluate("document.activeElement.blur()")
        await shoot(it, "conversation")
        await it.emulate_media(color_scheme="dark")
        await shoot(it, "dark")
        await it.set_viewport_size(PHONE)
        await shoot(it, "phone-dark")
        await it.emulate_media(color_scheme="light")
        await shoot(it, "phone")
        await it.set_viewport_size(DESK)
        await it.evaluate("cut = true; salmonn.drop()")
        await it.wait_for_timeout(2500)
        await shoot(it, "lost")
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:has-text('again')")
        async with at_desk(browser, host) as second:
            await second.click("#start")
            await second.wait_for_selector("#state:has-text('busy')")
            await shoot(second, "busy")
        await it.hover("#hold")
        await it.mouse.down()
        await it.wait_for_timeout(2500)
        await shoot(it, "held")
        await it.mouse.up()


if __name__ == "__main__":
    asyncio.run(main())
