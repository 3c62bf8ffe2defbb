"""LiveKit's OpenAI Realtime model, unmodified, in a conversation. Run by `tests.others`, in an
environment of its own: `livekit_talk.py HOST TONE`."""

import asyncio
import sys
from typing import Any

from livekit import rtc
from livekit.agents import function_tool, llm
from livekit.plugins.openai import realtime
from told import step

HOST = sys.argv[1]
with open(sys.argv[2], "rb") as file:
    TONE = file.read()
FRAME = 960
"""Bytes of 20 ms at 24 kHz."""


class Talk:
    def __init__(self) -> None:
        model = realtime.RealtimeModel(base_url=f"http://{HOST}/v1", api_key="none")
        self.session: Any = model.session()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for name in ("input_speech_started", "input_speech_stopped", "generation_created", "error"):
            self.session.on(name, lambda event, name=name: self.events.put_nowait((name, event)))
        self._said = bytearray()
        self._saying = asyncio.create_task(self._say())

    async def _say(self) -> None:
        while True:
            piece = bytes(self._said[:FRAME]).ljust(FRAME, b"\0")
            del self._said[:FRAME]
            self.session.push_audio(rtc.AudioFrame(piece, 24_000, 1, FRAME // 2))
            await asyncio.sleep(0.02)

    def speak(self) -> None:
        while not self.events.empty():
            self.events.get_nowait()
        self._said += TONE

    async def until(self, name: str) -> Any:
        while True:
            came, event = await self.events.get()
            assert came != "error", event
            if came == name:
                return event

    async def close(self) -> None:
        self._saying.cancel()
        await self.session.aclose()


async def given(generation: Any) -> tuple[str, int]:
    """The words of an answer, and the samples of its audio."""
    text, samples = "", 0

    async def words(message: Any) -> None:
        nonlocal text
        async for piece in message.text_stream:
            text += str(piece)

    async for message in generation.message_stream:
        reading = asyncio.create_task(words(message))
        async for frame in message.audio_stream:
            samples += frame.samples_per_channel
        await reading
    return text, samples


async def speak_and_hear(talk: Talk) -> None:
    talk.speak()
    await talk.until("input_speech_started")
    await talk.until("input_speech_stopped")
    text, samples = await given(await talk.until("generation_created"))
    assert text.startswith("I heard"), text
    assert samples > 24_000 / 10, samples


async def ask_in_writing(talk: Talk) -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Hello?")
    await talk.session.update_chat_ctx(context)
    text, _ = await given(await talk.session.generate_reply())
    assert text.startswith("I heard"), text


async def interrupt(talk: Talk) -> None:
    talk.speak()
    await talk.until("input_speech_stopped")
    generation = await talk.until("generation_created")
    async for message in generation.message_stream:
        async for _ in message.audio_stream:
            break
        talk.session.interrupt()
        talk.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=50)
        break
    await asyncio.sleep(1.0)
    came = [talk.events.get_nowait() for _ in range(talk.events.qsize())]
    assert not [event for name, event in came if name == "error"], came


async def call_a_function(talk: Talk) -> None:
    @function_tool
    async def set_light(on: bool) -> str:
        """Switch the light."""
        return "done"

    await talk.session.update_tools([set_light])
    generation = await talk.session.generate_reply(instructions="Switch on the light.")
    async for call in generation.function_stream:
        assert (call.name, call.arguments) == ("set_light", '{"on": true}'), call
        return
    raise AssertionError("nothing was called")


async def main() -> None:
    talk = Talk()
    await talk.session.update_instructions("Answer.")
    for do in (speak_and_hear, ask_in_writing, interrupt, call_a_function):
        await step(do.__name__.replace("_", " "), do(talk))
    await talk.close()


asyncio.run(main())
