"""Clients of others, from their registries and unmodified, in conversation with our server.

    python -m tests.others [--folder others] [--only Pipecat]

For a nightly run, not for `make test`: each client is installed in an environment of its own below
`--folder`, which takes minutes and hundreds of megabytes the first time. Needs npm, and chromium
for `@openai/agents` over WebRTC. Prints a table, and ends with an error where it is not what
docs/compatibility.md says.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import venv
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from playwright.async_api import Route

from assistant.files.presets import load_preset, shipped_config
from assistant.model import load
from tests.clients.browser import hearing, page
from tests.conformance.scripted import Servers, serving
from tests.others.table import CLIENTS, NOT

HERE = Path(__file__).parent
Steps = dict[str, str | None]
"""What went wrong in each step; None: nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a client's steps are taken with."""

    servers: Servers
    folder: Path

    def tone(self) -> Path:
        """Half a second of what the scripted model takes for speech: PCM16 at 24 kHz."""
        time = np.arange(12_000) / 24_000
        path = self.folder / "tone.pcm"
        path.write_bytes((16_000 * np.sin(2 * np.pi * 300 * time)).astype("<i2").tobytes())
        return path

    def wav(self) -> Path:
        path = self.folder / "recording.wav"
        soundfile.write(path, np.frombuffer(self.servers.recording, "<i2"), 24_000)
        return path

    async def modules(self) -> Path:
        """A folder with the clients for Node."""
        folder = self.folder / "node"
        folder.mkdir(exist_ok=True)
        wanted = [f"{part}@{version}" for part, version in CLIENTS["Vercel AI SDK"].items()]
        wanted += [f"{part}@{version}" for part, version in CLIENTS["@openai/agents"].items()]
        await done("npm", "install", "--no-save", "--silent", *wanted, folder=folder)
        return folder


async def script(run: Run, name: str, file: str) -> Steps:
    """The steps of a client for Python."""
    folder = run.folder / file
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    wanted = [f"{part}=={version}" for part, version in CLIENTS[name].items()]
    await done(str(python), "-m", "pip", "install", "--quiet", *wanted)
    command = [str(python), str(HERE / f"{file}.py"), run.servers.speaking, str(run.tone())]
    return await told(*command)


async def vercel(run: Run) -> Steps:
    folder = await run.modules()
    (folder / "vercel.mjs").write_text((HERE / "vercel.mjs").read_text())
    return await told("node", "vercel.mjs", run.servers.real, str(run.wav()), folder=folder)


async def agents(run: Run) -> Steps:
    """The steps of `@openai/agents`, in a browser whose microphone hears a tone now and then."""
    bundle = (await run.modules()) / "node_modules/@openai/agents-realtime/dist/bundle"
    time = np.arange(4 * 48_000) / 48_000
    tone = 0.8 * np.sin(2 * np.pi * 300 * time) * ((time > 1.0) & (time < 1.5))
    soundfile.write(run.folder / "tone.wav", tone, 48_000, subtype="PCM_16")

    async def serve(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        found = HERE / name if name == "agents_webrtc.js" else bundle / name
        found = bundle / "openai-realtime-agents.mjs" if name == "agents.mjs" else found
        await route.fulfill(body=found.read_text(), content_type="text/javascript")

    async with page(run.servers.speaking, *hearing(run.folder / "tone.wav")) as it:
        await it.route("**/*.mjs", serve)
        await it.route("**/agents_webrtc.js", serve)
        await it.add_script_tag(url="/agents_webrtc.js", type="module")
        await it.wait_for_function("window.done", timeout=200_000)
        return {one["step"]: one["error"] for one in await it.evaluate("told")}


async def done(*command: str, folder: Path | None = None) -> None:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    assert await process.wait() == 0, command


async def told(*command: str, folder: Path | None = None) -> Steps:
    """What a script tells of its steps."""
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE, stderr=PIPE)
    output, complaints = await process.communicate()
    found: Steps = {}
    for line in output.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            one = json.loads(line)
            found[one["step"]] = one["error"]
    return found or {"run": complaints.decode()[-500:]}


RUNS: dict[str, Callable[[Run], Awaitable[Steps]]] = {
    "Pipecat": lambda run: script(run, "Pipecat", "pipecat_talk"),
    "LiveKit Agents": lambda run: script(run, "LiveKit Agents", "livekit_talk"),
    "Vercel AI SDK": vercel,
    "@openai/agents": agents,
}


async def talk(folder: Path, only: str | None) -> bool:
    """Let the clients talk, and print what came of it; whether that is what is documented."""
    tiny, as_told = load(load_preset(shipped_config(), "tiny")[1]), True
    async with serving(tiny) as servers:
        for name, steps in RUNS.items():
            if only not in (None, name):
                continue
            found: dict[str, Any] = dict(await steps(Run(servers, folder)))
            for step, error in found.items():
                print(f"| {name} | {step} | {'yes' if error is None else error} |", flush=True)
            as_told &= {step for step, error in found.items() if error} == NOT.get(name, set())
    return as_told


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path, default=Path("others"))
    options.add_argument("--only", choices=RUNS)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not asyncio.run(talk(given.folder.absolute(), given.only)):
        sys.exit("this is not what docs/compatibility.md says")


if __name__ == "__main__":
    main()
