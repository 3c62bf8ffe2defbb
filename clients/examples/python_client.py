"""Our own client, which comes back when the connection drops.

`salmonn-live serve`, then `python_client.py talk.pcm` (16 kHz, 16-bit little-endian, mono).
"""

import asyncio
import sys
from pathlib import Path

from clients.realtime import SETTINGS, Session


async def main(recording: bytes) -> None:
    settings = {**SETTINGS, "output_modalities": ["text"]}  # without it, answers are spoken
    async with Session("ws://127.0.0.1:8765/v1/realtime", settings=settings) as session:
        await session.audio(recording + bytes(32_000))
        async for event in session:
            print(event.get("delta", ""), end="", flush=True)
            if event["type"] == "response.done":
                return


asyncio.run(main(Path(sys.argv[1]).read_bytes()))
