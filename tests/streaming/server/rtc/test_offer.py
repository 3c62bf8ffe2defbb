"""What an offer may have, and that nothing that is sent in its place does any harm."""

import asyncio
import json
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rtc_fuzz import mutated
from streaming.server.http import RefusedError
from streaming.server.rtc.offer import NEEDED, checked
from tests.streaming.server.rtc.caller import form, offered, posted
from tests.streaming.server.test_app import client, run, serving, take
from tests.streaming.server.test_speech import speaking


@cache
def offer() -> str:
    return asyncio.run(offered())


def test_an_offer_loses_the_peers_addresses_and_nothing_else() -> None:
    lines = offer().splitlines()
    assert any(line.startswith("a=candidate:") for line in lines)
    kept = [line for line in lines if "candidate" not in line]
    assert checked(offer()).splitlines() == kept


@pytest.mark.parametrize("pattern", NEEDED)
def test_what_an_offer_lacks_is_said(pattern: str) -> None:
    start = pattern.replace(r"\d+", "96").strip("^ ")
    kept = [line for line in offer().splitlines() if not line.lower().startswith(start.lower())]
    with pytest.raises(RefusedError, match="cannot be answered: it has") as caught:
        checked("\r\n".join(kept))
    assert NEEDED[pattern] in caught.value.message


def test_sections_that_are_not_wanted_are_said() -> None:
    video = "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n"
    for more in (video, offer()[offer().index("m=audio") :]):
        with pytest.raises(RefusedError, match="one section of audio"):
            checked(offer() + more)
    for group in ("", "a=group:BUNDLE 0\r\n", "a=group:BUNDLE 0 2\r\n"):
        with pytest.raises(RefusedError, match="not in one bundle"):
            checked(offer().replace("a=group:BUNDLE 0 1\r\n", group))
    with pytest.raises(RefusedError, match="begins with v=0"):
        checked("hello")


@given(st.text(max_size=300))
def test_any_text_is_an_offer_or_refused(text: str) -> None:
    for sent in (text, "v=0\r\n" + text):
        with pytest.raises(RefusedError):
            checked(sent)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_mutated_offers_and_forms_are_answered_and_others_notice_nothing(seed: int) -> None:
    @run
    async def test() -> None:
        random_ = random.Random(seed)
        async with serving(speaking(), sessions=50) as (app, host), client(host) as socket:
            await take(socket)
            for _ in range(25):
                body, kind = form(sdp=offer(), session=json.dumps({"type": "realtime"}))
                if random_.random() < 0.5:
                    body, kind = offer().encode(), "application/sdp"
                status, _, _ = await posted(host, mutated(body, random_), kind=kind)
                assert status in (201, 400, 413)
            await socket.send('{"type": "response.cancel"}')
            assert (await take(socket))["type"] == "error"
            for seat in app.seats.here.values():
                seat.end(1000, "enough")

    test()
