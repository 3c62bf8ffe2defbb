"""Pictures of the page in each of its states, for docs/clients.md.

    python -m tests.clients.screenshots [RECORDING ...]

The recordings, half a second apart, are what the browser's microphone hears, by `nano`; without any
it is demo/kitchen.flac.
"""

import asyncio
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from playwright.async_api import Browser, Page, ViewportSize

from tests.clients.browser import DENIED, browsing, hearing, opened

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
PORT = 8791
RATE = 48_000
WAIT_MS = 120_000
DESK: ViewportSize = {"width": 900, "height": 760}
PHONE: ViewportSize = {"width": 390, "height": 780}
QUESTION = "What was that sound?"


def mixed(recordings: list[Path], to: Path) -> None:
    """One recording of all of them, with pauses."""
    parts = [np.zeros(RATE)]
    for path in recordings:
        samples, rate = soundfile.read(path, always_2d=True)
        parts += [soxr.resample(samples.mean(1), rate, RATE), np.zeros(RATE // 2)]
    soundfile.write(to, np.concatenate([*parts, np.zeros(120 * RATE)]), RATE, subtype="PCM_16")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[None]:
    config = folder / "config.yaml"
    config.write_text("server: { sessions: 1 }\n")
    command = [Path(sys.executable).parent / "salmonn-live", "serve", "--port", str(PORT)]
    server = await asyncio.create_subprocess_exec(*command, "--config", config, cwd=ROOT)
    try:
        await asyncio.to_thread(wait_for_server)
        yield
    finally:
        server.terminate()
        await server.wait()


def wait_for_server() -> None:
    """Until it is ready."""
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz").close()
            return
        except OSError:
            time.sleep(0.5)


async def shoot(it: Page, name: str) -> None:
    await it.wait_for_timeout(300)
    await it.screenshot(path=PAGES / f"{name}.png")


async def main(recordings: list[Path]) -> None:
    PAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mixed(recordings, folder / "heard.wav")
        async with serving(folder):
            async with browsing(hearing(folder / "heard.wav")) as browser:
                await talk(browser)
            async with browsing(DENIED) as browser, at_desk(browser) as it:
                await it.click("#start")
                await it.wait_for_selector("#problem:not([hidden])")
                await shoot(it, "denied")


def at_desk(browser: Browser) -> AbstractAsyncContextManager[Page]:
    return opened(browser, f"127.0.0.1:{PORT}", viewport=DESK)


async def talk(browser: Browser) -> None:
    async with at_desk(browser) as it:
        it.set_default_timeout(WAIT_MS)
        await shoot(it, "start")
        await it.click("#start")
        await it.wait_for_selector("#state:text-is('Hearing you')")
        await it.wait_for_timeout(1500)
        await shoot(it, "hearing")
        await it.wait_for_selector(".they.live:not(:empty)")
        await it.screenshot(path=PAGES / "answering.png")
        await it.wait_for_selector(".turn:has(.you:not(.wordless)) .ledger")
        await it.fill("#question", QUESTION)
        await it.press("#question", "Enter")
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
        async with at_desk(browser) as second:
            await second.click("#start")
            await second.wait_for_selector("#state:has-text('busy')")
            await shoot(second, "busy")
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:has-text('again')")
        await it.hover("#hold")
        await it.mouse.down()
        await it.wait_for_timeout(2500)
        await shoot(it, "held")
        await it.mouse.up()


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    asyncio.run(main(given or [ROOT / "demo" / "kitchen.flac"]))
