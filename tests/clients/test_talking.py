"""`talk` speaks: what is played, what the microphone hears of it, and who interrupts it."""

import base64
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clients import sources, terminal
from clients.realtime import SETTINGS, audio_of
from clients.screen import Screen
from clients.speaker import Speaker
from tests.clients.servers import SHORT, url
from tests.clients.test_speaker import FakeCard, sound
from tests.clients.test_terminal import LOUD, console, told
from tests.streaming.server.test_app import run, serving
from tests.streaming.server.test_speech import speaking

Json = dict[str, Any]


class Sent:
    """A session that only writes down what it is to send."""

    def __init__(self) -> None:
        self.events: list[Json] = []

    async def send(self, kind: str, **fields: Any) -> None:
        self.events.append({"type": kind, **fields})


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeCard:
    fake = FakeCard()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def talker(*, headphones: bool = False) -> tuple[terminal.Talker, Sent]:
    sent, speaker = Sent(), Speaker()
    screen = Screen(console())
    talk = terminal.Talker(sent, screen, SETTINGS, False, True, speaker, headphones)  # type: ignore[arg-type]
    return talk, sent


def delta(item: str, milliseconds: int) -> Json:
    audio = base64.b64encode(sound(milliseconds)).decode()
    return {"type": "response.output_audio.delta", "item_id": item, "delta": audio}


def over(item: str, status: str) -> Json:
    return {"type": "response.output_item.done", "item": {"id": item, "status": status}}


def test_it_does_not_hear_itself(card: FakeCard) -> None:
    @run
    async def test() -> None:
        talk, _ = talker()
        assert talk.hear(LOUD) == LOUD
        await talk.take(delta("a", 100))
        assert talk.hear(LOUD) == bytes(len(LOUD))
        card.play(100)
        assert talk.hear(LOUD) == bytes(len(LOUD))  # the room still sounds
        card.play(400)
        assert talk.hear(LOUD) == LOUD
        await talk.take(delta("b", 100))
        await talk.press(" ")
        assert talk.hear(LOUD) == LOUD  # who holds is heard
        talk, _ = talker(headphones=True)
        await talk.take(delta("a", 100))
        assert talk.hear(LOUD) == LOUD

    test()


def test_the_server_is_told_how_much_of_an_answer_was_heard(card: FakeCard) -> None:
    @run
    async def test() -> None:
        talk, sent = talker()
        await talk.take(delta("a", 300))
        card.play(120)
        await talk.take(over("a", "incomplete"))
        (told,) = sent.events
        assert told["type"] == "conversation.item.truncate"
        assert (told["item_id"], told["audio_end_ms"]) == ("a", 120)
        card.play(50)
        assert card.played == sound(120) + sound(50, 0)
        await talk.take(delta("b", 100))
        card.play(100)
        await talk.take(over("b", "completed"))
        await talk.take(over("c", "incomplete"))
        assert len(sent.events) == 1

    test()


def test_a_new_session_is_as_loud_as_ever(card: FakeCard) -> None:
    """Whoever spoke when the last one was lost is not known to it."""

    @run
    async def test() -> None:
        talk, _ = talker(headphones=True)
        await talk.take({"type": "input_audio_buffer.speech_started"})
        await talk.take({"type": "session.created"})
        await talk.take(delta("a", 100))
        card.play(100)
        assert card.played == sound(100)

    test()


def test_an_answer_is_played_and_shown(card: FakeCard) -> None:
    out = console()
    settings = {**SHORT, "output_modalities": ["audio"]}

    async def pieces() -> AsyncIterator[bytes]:
        while "I heard" not in told(out):
            async for piece in sources.recording(LOUD * 4, speed=2, piece_s=0.04):
                card.play(40)
                yield piece

    @run
    async def test() -> None:
        async with serving(speaking()) as (_, host):
            await terminal.talk(url(host), None, settings, pieces(), out, speaker=Speaker())

    test()
    assert "→ I heard" in told(out)
    assert any(card.played)


@pytest.mark.parametrize(
    ("event", "audio"),
    [
        (delta("a", 10), sound(10)),
        ({"type": "response.output_text.delta", "delta": "YQ=="}, b""),
        ({"type": "response.output_audio.delta", "delta": "no base64!"}, b""),
        ({"type": "response.output_audio.delta"}, b""),
    ],
)
def test_what_is_spoken_of_an_answer_is_at_hand(event: Json, audio: bytes) -> None:
    assert audio_of(event) == audio
