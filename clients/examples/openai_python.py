"""A recording through the official SDK: `salmonn-live serve`, then `openai_python.py talk.pcm`.

The recording: 24 kHz, 16-bit little-endian, mono, without a header. Needs `pip install openai`.
"""

import asyncio
import base64
import sys
from pathlib import Path

from openai import AsyncOpenAI


async def main(recording: bytes) -> None:
    client = AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:8765/v1")
    async with client.realtime.connect(model="nano") as connection:
        pcm = recording + bytes(48_000)  # a second of silence ends it
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        async for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
            if event.type == "response.done":
                return


asyncio.run(main(Path(sys.argv[1]).read_bytes()))
