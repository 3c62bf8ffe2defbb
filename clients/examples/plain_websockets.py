"""A recording over a bare websocket: `salmonn-live serve`, then `plain_websockets.py talk.pcm`.

The recording: 16 kHz, 16-bit little-endian, mono, without a header.
"""

import asyncio
import json
import sys
from pathlib import Path

from websockets.asyncio.client import connect


async def main(recording: bytes) -> None:
    async with connect("ws://127.0.0.1:8765/v1/realtime") as socket:
        heard = {"format": {"type": "audio/pcm", "rate": 16000}}
        session = {"audio": {"input": heard}, "salmonn": {"binary_audio": True}}
        session |= {"output_modalities": ["text"]}  # without it, answers are spoken
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await socket.send(recording + bytes(32_000))
        async for message in socket:
            event = json.loads(message)
            print(event.get("delta", ""), end="", flush=True)
            if event["type"] == "response.done":
                return


asyncio.run(main(Path(sys.argv[1]).read_bytes()))
