"""The same with the tiny model, whose weights are random, and the real voice."""

import asyncio
import random

import pytest

from assistant.model import Salmonn
from assistant.sound.recording import load_pcm16
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE
from streaming.controls import Commit, Configure, Hold
from streaming.wyoming.connection import Offer
from tests.docs.test_embedding import ROOT
from tests.streaming.fakes import drain, text
from tests.streaming.server.test_app import run
from tests.streaming.wyoming.home_assistant import ask, describe, hear, say
from tests.streaming.wyoming.services import of_model, serving

COMMAND = load_pcm16(ROOT / "demo" / "kitchen.flac")[: 2 * 16_000 * 3]


@pytest.fixture(scope="module")
def offer(tiny: Salmonn) -> Offer:
    return of_model(tiny)


def cut(audio: bytes, seed: int) -> list[bytes]:
    chance, found, at = random.Random(seed), [], 0
    while at < len(audio):
        size = chance.choice((1, 7, 320, 640, 2_048, 9_999, 32_000))
        found.append(audio[at : at + size])
        at += size
    return found


def test_the_text_does_not_depend_on_how_a_stream_is_cut(offer: Offer) -> None:
    @run
    async def test() -> None:
        async with serving(offer) as (_, port):
            found = [await hear(port, cut(COMMAND, seed)) for seed in range(3)]
            whole = await hear(port, [COMMAND])
        assert whole.text
        assert {result.text for result in found} == {whole.text}

    test()


def test_the_answer_is_that_of_the_session_that_heard(offer: Offer) -> None:
    assert offer.new_reader is not None
    alone = offer.new_reader(0.7)
    alone.receive(COMMAND)
    alone.control(Hold())
    alone.control(Configure())
    drain(alone)
    alone.control(Commit(ref="q", or_ring=True))
    expected = text(drain(alone)).strip()

    @run
    async def test() -> None:
        async with serving(offer) as (_, port):
            heard = await hear(port, cut(COMMAND, 1))
            assert (await ask(port, heard.text)).text == expected
            assert (await ask(port, heard.text)).text != expected, "typed, nothing was heard"

    test()


def test_a_voice_speaks_as_everywhere(offer: Offer) -> None:
    voice = load_voice("heart")
    assert voice is not None

    @run
    async def test() -> None:
        async with serving(offer) as (_, port):
            told, sound = await asyncio.gather(describe(port), say(port, "Good evening."))
        assert [one.name for one in told.tts[0].voices] == ["heart"]
        assert sound.rate == VOICE_RATE
        assert sound.pcm == voice.speak("Good evening.").pcm

    test()
