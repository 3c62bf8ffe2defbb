"""From a fresh clone to a spoken question answered in the browser: seconds, and clicks.

    python -m bench.first_answer [--json FILE]

Clones this checkout's last commit into a temporary folder, runs `make run` there, opens the page in
headless chromium (`apt-get install chromium`) and presses Start; the microphone hears the
first sentence of demo/kitchen.flac. What pip has downloaded before is not downloaded again.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import soundfile
from playwright.async_api import async_playwright

ROOT = Path(__file__).parents[1]

FIRST_S = 3.3
"""Seconds of the recording until its first sentence is over; the next one would interrupt."""

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
PATIENCE_S = 1800.0


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_for_port(port: int, running: "subprocess.Popen[bytes]") -> None:
    """Until the server is ready, or has ended."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        if running.poll() is not None:
            raise SystemExit("make run ended")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("make run did not open its port")


async def ask(port: int, recording: Path) -> tuple[float, int, str]:
    """Seconds from opening the page to the end of the first answer, clicks on the page, and the
    answer."""
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={recording}"]
    async with async_playwright() as playwright:
        chromium = shutil.which("chromium")
        patience = 1000 * PATIENCE_S
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=flags, timeout=patience
        )
        page = await browser.new_page()
        page.set_default_timeout(patience)
        begin = time.monotonic()
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.evaluate("clicks = 0; addEventListener('click', () => clicks++, true)")
        await page.click("#start")
        await page.wait_for_selector(".ledger")
        seconds = time.monotonic() - begin
        await page.wait_for_selector(".they:not(.live)")  # it is over
        answer = await page.locator(".they").first.inner_text()
        clicks = await page.evaluate("clicks")
        await browser.close()
        return seconds, clicks, answer


def measure() -> dict[str, float | int | str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples, rate = soundfile.read(ROOT / "demo" / "kitchen.flac")
        heard = np.concatenate([samples[: round(FIRST_S * rate)], np.zeros(30 * rate)])
        soundfile.write(folder / "kitchen.wav", heard, rate, subtype="PCM_16")
        begin = time.monotonic()
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        port = free_port()
        config = clone / "config.yaml"
        changed, times = re.subn(r"(?m)^  port: \d+", f"  port: {port}", config.read_text())
        assert times == 1, "config.yaml has one port"
        config.write_text(changed)
        running = subprocess.Popen(["make", "run"], cwd=clone, start_new_session=True)
        try:
            wait_for_port(port, running)
            opened = time.monotonic() - begin
            answered, clicks, answer = asyncio.run(ask(port, folder / "kitchen.wav"))
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()
    return {
        "port_open_s": round(opened, 1),
        "answer_after_s": round(answered, 1),
        "together_s": round(opened + answered, 1),
        "clicks": clicks,
        "clicks_with_permission": clicks + 1,  # the browser asks for the microphone
        "answer": answer,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure()
    print(json.dumps(found, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
