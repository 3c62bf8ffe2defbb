"""Connections broken at random points, as `bench.resume` does it, with the scripted model."""

import random
from collections.abc import Callable

import pytest

from bench.resume import (
    ANSWER,
    COMMIT,
    Break,
    Json,
    Step,
    converse,
    difference,
    points,
    relay,
    told,
    undisturbed,
)
from clients.realtime import SETTINGS
from streaming.dialogue.session import Session
from tests.streaming.fakes import pcm, session
from tests.streaming.server.test_app import TURN, fake, run, serving

INPUT: Json = SETTINGS["audio"]["input"]
SPOKEN: Json = {"type": "server_vad", "silence_duration_ms": 160}
EXTENSIONS: Json = {"binary_audio": True, "prefill": True}


def settings(detection: Json | None) -> Json:
    audio = {"input": {**INPUT, "turn_detection": detection}}
    return {**SETTINGS, "audio": audio, "salmonn": EXTENSIONS}


CONVERSATIONS: dict[str, tuple[Json, list[Step]]] = {
    "spoken": (settings(SPOKEN), [pcm(TURN), pcm("SSSSSS" + "." * 20)]),
    "typed": (settings(SPOKEN), [pcm(TURN), "What was that?", "And before?"]),
    "by hand": (settings(None), [pcm(TURN), COMMIT, ANSWER, pcm("SSSS"), COMMIT, ANSWER]),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_the_same_wherever_its_connection_breaks(name: str) -> None:
    wishes, steps = CONVERSATIONS[name]

    @run
    async def test() -> None:
        async with serving(fake(new_session()), sessions=30) as (_, host):
            port = int(host.rsplit(":", 1)[1])
            whole, through = await undisturbed(port, wishes, steps)
            right = told(whole)
            rng = random.Random(name)
            for breaks in [points(rng, through.passed) for _ in range(6)]:
                async with relay(port, list(breaks)) as broken:
                    events = await converse(broken.port, wishes, steps)
                    assert broken.broken
                assert difference(events, right) is None, breaks

    test()


def new_session() -> Callable[[], Session]:
    return lambda: session(pace=None)


@run
async def test_what_was_said_while_there_was_no_connection_comes_in_order() -> None:
    wishes, steps = CONVERSATIONS["by hand"]
    async with serving(fake(new_session()), sessions=30) as (_, host):
        port = int(host.rsplit(":", 1)[1])
        whole, through = await undisturbed(port, wishes, steps)
        # in the handshake, in the settings, between a commit and its question
        for after in (10, 400, through.passed["up"] - 20, through.passed["up"] - 90):
            async with relay(port, [Break("up", after, half_open=True)]) as broken:
                events = await converse(broken.port, wishes, steps)
            assert difference(events, told(whole)) is None, after


def test_lost_and_doubled_events_are_seen() -> None:
    events = [
        {"type": "response.output_text.delta", "event_id": f"event_{n}", "item_id": "item_a"}
        for n in (1, 2, 3)
    ]
    right = told(events)
    renamed = [{**event, "item_id": "item_b"} for event in events]
    assert difference(renamed, right) is None
    for wrong in (events[:1] + events[2:], events[:2] + events[1:], events[:2]):
        assert difference(wrong, right) is not None
    assert difference([*events[:2], {**events[2], "delta": "x"}], right) is not None
