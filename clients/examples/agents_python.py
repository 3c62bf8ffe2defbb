"""A recording through the agents SDK: `salmonn-live serve`, then `agents_python.py talk.pcm`.

The recording: 24 kHz, 16-bit little-endian, mono, without a header.

Needs `pip install openai-agents`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from agents.realtime import RealtimeAgent, RealtimeRunner


async def main(recording: bytes) -> None:
    where: Any = {"url": "ws://127.0.0.1:8765/v1/realtime", "api_key": "none"}
    where["initial_model_settings"] = {"modalities": ["text"]}
    runner = RealtimeRunner(RealtimeAgent(name="nano"))
    async with await runner.run(model_config=where) as session:
        await session.send_audio(recording + bytes(48_000))  # a second of silence ends it
        async for event in session:
            if event.type == "raw_model_event" and event.data.type == "raw_server_event":
                came = event.data.data
                if came["type"] == "response.output_text.delta":
                    print(came["delta"], end="", flush=True)
                if came["type"] == "response.done":
                    return


asyncio.run(main(Path(sys.argv[1]).read_bytes()))
