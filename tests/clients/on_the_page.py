"""What several tests of the page do on it."""

import json
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from streaming.dialogue.session import Session
from tests.clients.browser import Server
from tests.streaming.fakes import Echo, session

BOTH_THEMES = ("light", "dark")


def knocking() -> Session:
    """A session that hears a knock first."""
    listener = Echo()
    listener.knocks = True
    return session(listener, pace=None)


async def ask(it: Page, question: str) -> None:
    """Type a question and wait for its answer."""
    await it.fill("#question", question)
    await it.press("#question", "Enter")
    await it.wait_for_selector(f".turn:has(.you:text-is('{question}')) .ledger")


async def accessible(it: Page) -> None:
    """No violation of WCAG 2.2 AA that axe can find, in either theme."""
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    for theme in BOTH_THEMES:
        await it.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = (await Axe().run(it, options=rules)).response["violations"]
        told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        assert told == [], (theme, json.dumps(told, indent=1))
    await it.emulate_media(color_scheme="light", reduced_motion="no-preference")


async def more_answers(it: Page, than: int) -> None:
    count = "n => document.querySelectorAll('.they').length > n"
    await it.wait_for_function(count, arg=than)


async def type_in(it: Page, question: str) -> None:
    await it.fill("#question", question)
    await it.press("#question", "Enter")


def turn(question: str) -> str:
    """Where a typed question stands."""
    return f".turn:has(.you:text-is('{question}'))"


async def asked(server: Server) -> dict[str, Any]:
    """The `response.create` that was sent, what was `typed` before it, and nothing else."""
    *typed, create = await server.took()
    assert create["type"] == "response.create"
    if not typed:
        return {**create, "typed": None}
    [put] = typed
    assert (put["type"], put["event_id"]) == ("conversation.item.create", create["event_id"])
    return {**create, "typed": put["item"]["content"][0]["text"]}
