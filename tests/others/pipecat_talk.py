"""Pipecat's OpenAI Realtime service, unmodified, in a conversation. Run by `tests.others`, in an
environment of its own: `pipecat_talk.py HOST TONE`."""

import asyncio
import sys
from typing import Any

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from told import step

HOST = sys.argv[1]
with open(sys.argv[2], "rb") as file:
    TONE = file.read()
FRAME = 960
"""Bytes of 20 ms at 24 kHz."""


class Ear(FrameProcessor):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.put_nowait(frame)
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Frame]) -> list[Frame]:
        found = [await self.frames.get()]
        while not isinstance(found[-1], kind):
            found.append(await self.frames.get())
        return found


class Talk:
    def __init__(self) -> None:
        settings = OpenAIRealtimeLLMService.Settings(system_instruction="Answer.")
        address = f"ws://{HOST}/v1/realtime"
        self.service = OpenAIRealtimeLLMService(api_key="none", base_url=address, settings=settings)
        self.called: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.service.register_function("set_light", self._call)
        light = FunctionSchema(
            "set_light", "Switch the light.", {"on": {"type": "boolean"}}, ["on"]
        )
        context = LLMContext(tools=ToolsSchema(standard_tools=[light]))
        pair, self.ear = LLMContextAggregatorPair(context), Ear()
        rates = PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000)
        parts = [pair.user(), self.service, self.ear, pair.assistant()]
        self.task = PipelineTask(Pipeline(parts), params=rates)
        self._said = bytearray()
        running = PipelineRunner(handle_sigint=False).run(self.task)
        self._doing = [asyncio.create_task(running), asyncio.create_task(self._say())]

    async def _call(self, params: FunctionCallParams) -> None:
        self.called.put_nowait(dict(params.arguments))
        await params.result_callback("done")

    async def _say(self) -> None:
        while True:
            piece = bytes(self._said[:FRAME]).ljust(FRAME, b"\0")
            del self._said[:FRAME]
            frame = InputAudioRawFrame(audio=piece, sample_rate=24_000, num_channels=1)
            await self.task.queue_frame(frame)
            await asyncio.sleep(0.02)

    def speak(self) -> None:
        self._said += TONE

    async def close(self) -> None:
        self._doing[1].cancel()
        await self.task.cancel()
        await self._doing[0]


async def speak_and_hear(talk: Talk) -> None:
    talk.speak()
    await talk.ear.until(UserStartedSpeakingFrame)
    frames = await talk.ear.until(LLMFullResponseEndFrame)
    text = "".join(frame.text for frame in frames if isinstance(frame, TTSTextFrame))
    sound = sum(len(frame.audio) for frame in frames if isinstance(frame, TTSAudioRawFrame))
    assert text.startswith("I heard"), text
    assert sound > 2 * 24_000 / 10, sound


async def interrupt(talk: Talk) -> None:
    talk.speak()
    await talk.ear.until(TTSAudioRawFrame)
    talk.speak()
    await talk.ear.until(UserStartedSpeakingFrame)
    await talk.ear.until(LLMFullResponseEndFrame)


async def call_a_function(talk: Talk) -> None:
    asked = {"role": "user", "content": "Switch on the light."}
    await talk.task.queue_frame(LLMMessagesAppendFrame([asked], run_llm=True))
    assert await talk.called.get() == {"on": True}


async def main() -> None:
    talk = Talk()
    await asyncio.sleep(1.0)
    for do in (speak_and_hear, call_a_function, interrupt):
        await step(do.__name__.replace("_", " "), do(talk))
    await talk.close()


asyncio.run(main())
