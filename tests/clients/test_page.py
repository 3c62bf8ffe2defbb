"""The page in a real browser: click, speak, read, ask, lose the connection, deny the microphone."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.streaming.server.test_app import fake, run, serving

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no chromium: apt-get install chromium", allow_module_level=True)
api = pytest.importorskip("playwright.async_api")

QUIET = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
]  # fmt: skip


@asynccontextmanager
async def page(host: str, *flags: str) -> AsyncIterator["api.Page"]:
    """The page, in a browser that must not say anything on its console."""
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])
        opened = await browser.new_page()
        said: list[str] = []
        opened.on("pageerror", lambda error: said.append(str(error)))
        await opened.goto(f"http://{host}/")
        yield opened
        await browser.close()
        assert said == []


def microphone(folder: Path) -> list[str]:
    """A microphone that hears half a second of a loud tone in every two."""
    time = np.arange(2 * 48_000) / 48_000
    tone = 0.8 * np.sin(2 * np.pi * 300 * time) * ((time > 0.5) & (time < 1.0))
    soundfile.write(folder / "tone.wav", tone, 48_000, subtype="PCM_16")
    return ["--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={folder / 'tone.wav'}"]  # fmt: skip


def test_talking(tmp_path: Path) -> None:
    @run
    async def talk() -> None:
        async with serving(fake()) as (_, host), page(host, *microphone(tmp_path)) as it:
            assert await it.text_content("#state") == "Not connected"
            await it.click("#start")
            await it.wait_for_selector(".they:has-text('I heard')", timeout=15_000)
            await it.wait_for_selector(".you:has-text('all')", timeout=15_000)
            await it.wait_for_selector(".ledger", timeout=15_000)
            await it.evaluate("salmonn.drop()")
            await it.wait_for_selector("#state:has-text('connected again')", timeout=15_000)
            before = await it.locator(".they").count()
            await it.wait_for_function(
                "n => document.querySelectorAll('.they').length > n", arg=before, timeout=15_000
            )
            await it.click("#mute")
            assert await it.get_attribute("#mute", "aria-pressed") == "true"
            await it.wait_for_timeout(1500)
            await it.fill("#question", "What was that?")
            await it.press("#question", "Enter")
            await it.wait_for_selector(".turn:has-text('What was that?') .they", timeout=15_000)
            await it.click("#start")
            assert await it.text_content("#state") == "Not connected"

    talk()


def test_without_a_microphone_one_can_still_ask() -> None:
    @run
    async def ask() -> None:
        async with serving(fake()) as (_, host), page(host, "--deny-permission-prompts") as it:
            await it.click("#start")
            await it.wait_for_selector("#problem:not([hidden])", timeout=15_000)
            assert "may not use the microphone" in (await it.text_content("#problem") or "")
            await it.fill("#question", "What was that?")
            await it.press("#question", "Enter")
            await it.wait_for_selector(".they", timeout=15_000)

    ask()


def test_a_server_that_is_busy_says_so() -> None:
    @run
    async def wait() -> None:
        deny = "--deny-permission-prompts"
        async with serving(fake(), sessions=1) as (_, host), page(host, deny) as first:
            await first.click("#start")
            await first.wait_for_selector("#state[data-state=listening]", timeout=15_000)
            async with page(host, deny) as second:
                await second.click("#start")
                await second.wait_for_selector("#state[data-state=lost]", timeout=15_000)

    wait()
