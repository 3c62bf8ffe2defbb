"""A server of the tiny model, and clients that ask it over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from openai import AsyncOpenAI

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from streaming.config_file import load_config
from streaming.server.app import App
from streaming.server.assistant import Assistant
from streaming.server.build import build_assistant
from tests.docs.test_embedding import ROOT
from tests.streaming.server.test_app import serving

KITCHEN = ROOT / "demo" / "kitchen.flac"


def tiny_assistant(tiny: Salmonn, **changes: Any) -> Assistant:
    """The tiny model, as the program serves it; `changes`: of the configuration."""
    config = replace(load_config(shipped_config(), "tiny"), **changes)
    return build_assistant(tiny, config, "Answer.")


@asynccontextmanager
async def asking(
    assistant: Assistant, key: str = "none", **changes: Any
) -> AsyncIterator[tuple[App, str, AsyncOpenAI]]:
    """A server, where it is, and OpenAI's client; `changes`: of the server's settings."""
    async with (
        serving(assistant, **changes) as (app, host),
        AsyncOpenAI(api_key=key, base_url=f"http://{host}/v1", max_retries=0) as client,
    ):
        yield app, host, client
