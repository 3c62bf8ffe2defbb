"""The official `@openai/agents` client, in a Node of its own: `node/steps.mjs`."""

import asyncio
import json
import shutil
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.conformance.client import STEP_S, Record
from tests.conformance.scripted import TOKEN, Servers

FOLDER = Path(__file__).parent / "node"
INSTALL_S = 1200.0


async def install() -> None:
    """Install the client, where that was not done.

    Raises:
        RuntimeError: there is no Node, or the client cannot be installed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise RuntimeError("node and npm are needed to check @openai/agents: install Node 20")
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        await asyncio.wait_for(_run("npm", "ci"), INSTALL_S)


async def take(record: Record, servers: Servers) -> None:
    """All steps; installs the client first, where that was not done.

    Raises:
        RuntimeError: see `install`; or the client does not end well.
    """
    await install()
    servers.sent.clear()
    with tempfile.TemporaryDirectory() as folder:
        recording, options = Path(folder) / "recording.pcm", Path(folder) / "options.json"
        recording.write_bytes(servers.recording)
        hosts = {"scripted": servers.scripted, "guarded": servers.guarded, "real": servers.real}
        hosts["speaking"] = servers.speaking
        told = {"token": TOKEN, "recording": str(recording), "step_ms": 1000 * STEP_S}
        options.write_text(json.dumps({**hosts, **told}))
        await _run("node", "steps.mjs", str(options), record=record, servers=servers)
    record.sent |= servers.sent


async def _run(*command: str, record: Record | None = None, servers: Servers | None = None) -> None:
    process = await asyncio.create_subprocess_exec(*command, cwd=FOLDER, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    async for line in process.stdout:
        if record is not None and servers is not None:
            _note(json.loads(line), record, servers)
    if await process.wait() != 0:
        raise RuntimeError(f"{' '.join(command)}: {(await complaints).decode()}")


def _note(line: dict[str, object], record: Record, servers: Servers) -> None:
    match line:
        case {"drop": True}:
            servers.drop()
        case {"step": str(step), "error": error}:
            record.errors[step] = None if error is None else str(error)
        case {"parsed": list(parsed), "unknown": list(unknown)}:
            record.parsed |= set(parsed)
            record.unknown |= set(unknown)
