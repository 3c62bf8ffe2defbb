"""A server with the real LLM, and a user's tools: what is asked for is called, and told."""

import asyncio
from pathlib import Path

import pytest

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.prompt.prompt import tasks
from assistant.toolbox.functions import Function
from assistant.tools.tool import Tool
from streaming.config_file import load_config
from streaming.server.build import build_assistant
from streaming.shell import Shell
from tests.streaming.server.test_app import (
    Json,
    answer,
    client,
    configure,
    say,
    serving,
    until,
)
from tests.test_words_session import real

__all__ = ["real"]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Function(
    Tool("get_weather", "Get the weather of a city.", CITY),
    lambda city: f"{city}: a thunderstorm, 17 degrees",
    "tools.mcp.weather",
)


@pytest.mark.small
@pytest.mark.parametrize("real", ["small"], indirect=True)
def test_a_list_outlasts_its_session_and_a_users_tool_is_called(
    real: Salmonn, tmp_path: Path
) -> None:
    shell = Shell([WEATHER], tmp_path / "lists.sqlite")
    config = load_config(shipped_config(), "small")
    assistant = build_assistant(real, config, tasks()["talk"], shell)

    async def asked(host: str, text: str) -> list[Json]:
        """What a new session tells of its answer to a typed question."""
        part = {"type": "input_text", "text": text}
        async with client(host) as socket:
            await configure(socket, output_modalities=["text"])
            item = {"type": "message", "role": "user", "content": [part]}
            await say(socket, "conversation.item.create", item=item)
            await say(socket, "response.create")
            return await until(socket, "response.done")

    async def talk() -> None:
        async with serving(assistant) as (_, host):
            await asked(host, "Put milk on the shopping list.")
            told = answer(await asked(host, "What is on the shopping list?"))
            assert told == "On the shopping list: milk."
            events = await asked(host, "Will it rain in Graz today?")
            call, _ = events[-1]["response"]["output"]
            assert (call["type"], call["name"]) == ("mcp_call", "get_weather")
            assert "17" in answer(events)

    asyncio.run(talk())
