"""`POST /v1/realtime/client_secrets`, asked by OpenAI's own client, and what the tokens open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI

from streaming.server import ephemeral
from streaming.server.app import App
from streaming.server.ephemeral import MOST, Ephemeral
from streaming.server.exchange import Work
from tests.streaming.server.rtc.caller import Json, calling, offered, posted
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import client, refused, run, serving, take
from tests.streaming.server.test_exchange import echo
from tests.streaming.server.test_http import asking, http
from tests.streaming.server.test_speech import speaking

SECRETS = "/v1/realtime/client_secrets"
SESSION: Json = {"type": "realtime", "instructions": "Whisper.", "model": "gpt-realtime"}


@asynccontextmanager
async def issuing(**changes: Any) -> AsyncIterator[tuple[App, str, Any]]:
    assistant = replace(speaking(), works=lambda _: {"/v1/echo": Work(1000, echo)})
    async with (
        serving(assistant, token="real", **changes) as (app, host),
        AsyncOpenAI(api_key="real", base_url=f"http://{host}/v1", max_retries=0) as openai,
    ):
        yield app, host, openai.realtime


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@run
async def test_a_token_opens_sessions_with_the_settings_that_it_was_made_for() -> None:
    async with issuing() as (app, host, realtime):
        made = await realtime.client_secrets.create(session=SESSION)
        assert made.value.startswith("ek_")
        assert made.session.instructions == "Whisper."
        async with client(host, additional_headers=bearer(made.value)) as socket:
            assert (await take(socket))["session"]["instructions"] == "Whisper."
        offer = ["realtime", f"openai-insecure-api-key.{made.value}"]
        async with client(host, subprotocols=offer) as socket:
            assert (await take(socket))["session"]["instructions"] == "Whisper."
        async with calling(host, **bearer(made.value)) as caller:
            told = (await caller.until("session.created"))[-1]["session"]
            assert told["instructions"] == "Whisper."
            there = f"{caller.location}/hangup"
            assert (await posted(host, b"", there))[0] == 401
            assert (await posted(host, b"", there, **bearer(made.value)))[0] == 200
            await eventually(lambda: not any(s.connection for s in app.seats.here.values()))


@run
async def test_it_opens_nothing_else() -> None:
    async with issuing() as (_, host, realtime):
        key = bearer((await realtime.client_secrets.create()).value)
        for path in (SECRETS, "/v1/echo"):
            assert (await posted(host, b"{}", path, "application/json", **key))[0] == 401
        for path in ("/metrics", "/v1/models"):
            assert (await http(host, asking("GET", path, **key)))[0] == 401
        assert (await posted(host, (await offered()).encode()))[0] == 401
        wrong = bearer("ek_guessed")
        assert (await posted(host, (await offered()).encode(), **wrong))[0] == 401
        assert await refused(host, additional_headers=wrong) == 401


@run
async def test_it_ends_when_it_says() -> None:
    async with issuing() as (app, host, realtime):
        wanted = {"anchor": "created_at", "seconds": 10}
        made = await realtime.client_secrets.create(expires_after=wanted)
        now = made.expires_at
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app._admission._ephemeral, "_clock", lambda: now - 0.1)
            async with client(host, additional_headers=bearer(made.value)):
                pass
            patch.setattr(app._admission._ephemeral, "_clock", lambda: now)
            assert await refused(host, additional_headers=bearer(made.value)) == 401


@run
async def test_settings_that_no_session_could_have_are_refused_at_once() -> None:
    async with issuing() as (_, _, realtime):
        for wanted, param in (
            ({"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
             "session.audio.output.speed"),
            ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "expires_after.seconds"),
            ({"session": {"type": "realtime", "tools": [{"type": "mcp"}]}},
             "session.tools.0.type"),
        ):  # fmt: skip
            with pytest.raises(APIStatusError) as caught:
                await realtime.client_secrets.create(**wanted)
            assert caught.value.status_code == 400
            assert caught.value.body["param"] == param  # type: ignore[index]


def test_the_oldest_goes_where_there_are_too_many_and_digests_are_all_that_is_kept() -> None:
    tokens = Ephemeral(lambda: 5.0)
    made = [tokens.issue(10, {"n": n})[0] for n in range(MOST + 1)]
    assert tokens.settings(made[0]) is None
    assert [tokens.settings(key) for key in made[1:3]] == [{"n": 1}, {"n": 2}]
    assert not any(key.encode() in repr(vars(tokens)).encode() for key in made)
    assert ephemeral.PREFIX == "ek_"
