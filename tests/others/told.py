"""How the scripts tell what came of each step: a line of JSON."""

import asyncio
import json
from collections.abc import Awaitable


async def step(name: str, work: Awaitable[None]) -> None:
    """Take a step, and tell what came of it."""
    error = None
    try:
        await asyncio.wait_for(work, 30)
    except Exception as failed:  # noqa: BLE001 - whatever it is, it is told
        error = f"{type(failed).__name__}: {failed}"[:300]
    print(json.dumps({"step": name, "error": error}), flush=True)
