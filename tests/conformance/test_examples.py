"""The examples, as they are, against a real server."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
import soundfile

from assistant.model import Salmonn
from tests.clients.browser import GENEROUS_MS, browsing
from tests.conformance import agents_node
from tests.conformance.scripted import recording, serving

EXAMPLES = Path(__file__).parents[2] / "clients" / "examples"
PLACE = "127.0.0.1:8765"
LIMIT_S = 300.0


async def run(name: str, folder: Path, tiny: Salmonn) -> str:
    """What an example prints."""
    code = (EXAMPLES / name).read_text()
    assert PLACE in code
    (folder / "talk.pcm").write_bytes(recording(24_000 if "24 kHz" in code else 16_000))
    async with serving(tiny) as servers:
        copy = folder / name
        copy.write_text(code.replace(PLACE, servers.real))
        command = [sys.executable]
        if name.endswith(".mjs"):  # it looks for the library beside itself
            (folder / "node_modules").symlink_to(agents_node.FOLDER / "node_modules")
            command = ["node"]
        process = await asyncio.create_subprocess_exec(
            *command, str(copy), str(folder / "talk.pcm"), stdout=PIPE, stderr=PIPE
        )
        out, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        return out.decode()


@pytest.mark.parametrize(
    "name", sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs"))
)
def test_an_example_prints_an_answer(name: str, tmp_path: Path, tiny: Salmonn) -> None:
    if name.endswith(".mjs"):
        asyncio.run(agents_node.install())
    assert asyncio.run(asyncio.wait_for(run(name, tmp_path, tiny), LIMIT_S)).strip()


def test_the_example_for_browsers_shows_an_answer(tmp_path: Path, tiny: Salmonn) -> None:
    html = (EXAMPLES / "browser.html").read_text()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")  # closed with this unread, the connection is reset
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        writer.write((head + html).encode())
        await writer.drain()
        writer.close()

    async def shown() -> None:
        nonlocal html
        pages = await asyncio.start_server(answer, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{pages.sockets[0].getsockname()[1]}"
        async with pages, serving(tiny, origins=[origin]) as servers, browsing([]) as browser:
            html = html.replace(PLACE, servers.real)
            page = await browser.new_page()
            page.set_default_timeout(GENEROUS_MS)
            await page.goto(origin)
            await page.wait_for_selector("input:enabled")
            await page.set_input_files("input", tmp_path / "talk.wav")
            await page.wait_for_function("document.querySelector('output').textContent.trim()")

    pcm = recording(16_000)
    soundfile.write(tmp_path / "talk.wav", memoryview(pcm).cast("h"), 16_000)
    asyncio.run(asyncio.wait_for(shown(), LIMIT_S))
