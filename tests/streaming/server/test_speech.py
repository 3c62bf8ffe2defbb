"""Spoken answers over real sockets, with a scripted model and voice."""

import base64
from collections.abc import Callable
from typing import Any

from assistant.config import VoiceConfig
from streaming.dialogue.session import Session
from streaming.realtime.protocol import Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.server.assistant import Assistant
from tests.streaming.fakes import CHARACTER, CONFIG, TURNS, Echo, Speaker, session
from tests.streaming.server.test_app import (
    TURN,
    Json,
    client,
    configure,
    run,
    say,
    serving,
    speak,
    until,
)

LONG = "I shall now tell you all about it, from the beginning to the end of it. "


class Teller(Echo):
    """Answers at length."""

    def ask(self) -> int:
        windows = super().ask()
        self.reply = [LONG] * 3
        return windows


def speaking(listener: Callable[[], Echo] = Echo) -> Assistant:
    def protocol(name: str, new_id: Callable[[str], str], expires_at: int) -> Realtime:
        voice = VoiceConfig(name="speaker")
        about: Any = {"id": name, "model": "fake", "expires_at": expires_at}
        return Realtime(
            initial(Settings(TURNS, CONFIG), voice, **about, instructions="Reply."),
            Settings(TURNS, CONFIG), new_id, longest=50, longest_text=9000,
            audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=True,
        )  # fmt: skip

    def new_session() -> Session:
        return session(listener(), pace=None, voice=Speaker())

    return Assistant("fake", new_session, protocol)


def audio_in(events: list[Json]) -> int:
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return sum(len(base64.b64decode(delta)) for delta in deltas) // 2


@run
async def test_a_typed_question_is_answered_aloud_where_no_audio_comes_in() -> None:
    async with serving(speaking()) as (_, host), client(host) as socket:
        created = await configure(socket)
        assert created["output_modalities"] == ["audio"]
        await say(socket, "response.create")
        events = await until(socket, "response.done")
        assert events[-1]["response"]["status"] == "completed"
        (said,) = events[-1]["response"]["output"]
        transcript = said["content"][0]["transcript"]
        assert transcript.startswith("I heard")
        assert audio_in(events) == CHARACTER * len(transcript)
        await say(socket, "response.create")  # and another one may follow
        assert (await until(socket, "response.done"))[-1]["response"]["status"] == "completed"


@run
async def test_an_answer_comes_in_small_pieces_with_its_words() -> None:
    async with serving(speaking(Teller)) as (_, host), client(host) as socket:
        await configure(socket)
        await say(socket, "response.create")
        events = await until(socket, "response.output_audio.done")
        pieces = [e for e in events if e["type"] == "response.output_audio.delta"]
        assert all(len(base64.b64decode(e["delta"])) <= 2 * 4800 for e in pieces)
        kind = "response.output_audio_transcript.delta"
        words = [n for n, e in enumerate(events) if e["type"] == kind]
        assert len(words) > 10
        assert all(events[n + 1]["type"] == "response.output_audio.delta" for n in words[:-1])


@run
async def test_who_interrupts_an_answer_is_told_no_more_of_it_and_the_model_forgets_it() -> None:
    listeners: list[Teller] = []

    def listener() -> Teller:
        listeners.append(Teller())
        return listeners[-1]

    async with serving(speaking(listener)) as (_, host), client(host) as socket:
        await configure(socket)
        await speak(socket, TURN)
        await until(socket, "response.output_audio.delta")
        await speak(socket, "S" * 10)
        done = (await until(socket, "response.done"))[-1]["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        heard = done["output"][0]["content"][0]["transcript"]
        assert 0 < len(heard) < len(LONG)
        await speak(socket, "." * 20)
        await until(socket, "response.created")
        assert f"truncated 0 to {len(heard)}" in listeners[0].diary


@run
async def test_an_answer_that_is_cancelled_is_cut_where_it_was() -> None:
    async with serving(speaking(Teller)) as (_, host), client(host) as socket:
        await configure(socket)
        await say(socket, "response.create")
        await until(socket, "response.output_audio.delta")
        await say(socket, "response.cancel")
        done = (await until(socket, "response.done"))[-1]["response"]
        assert done["status"] == "cancelled"
        assert len(done["output"][0]["content"][0]["transcript"]) < len(LONG)


@run
async def test_an_answer_goes_on_while_its_client_is_gone() -> None:
    async with serving(speaking()) as (_, host):
        async with client(host) as socket:
            created = await configure(socket)
            await say(socket, "response.create")
            delta = (await until(socket, "response.output_audio.delta"))[-1]
        after = delta["event_id"].removeprefix("event_")
        query = f"?session_id={created['id']}&after={after}"
        async with client(host, query) as socket:
            done = (await until(socket, "response.done"))[-1]["response"]
            assert done["status"] == "completed"
