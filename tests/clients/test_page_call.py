"""The page over WebRTC, in a real browser with a microphone that hears a tone."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from streaming.server.rtc import calls
from tests.clients.browser import DENIED, page, run, state, tones
from tests.clients.on_the_page import accessible, more_answers
from tests.clients.test_page_voice import PLAYING, ask
from tests.streaming.server.test_app import fake, serving
from tests.streaming.server.test_speech import Teller, speaking

NOTED = """() => {
  window.peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); peers.push(this); }
  };
}"""
"""Keeps what the page connects with."""

LEVEL = """async () => {
  for (const [, about] of await peers.at(-1).getStats()) {
    if (about.type === "inbound-rtp") return about.totalAudioEnergy ?? 0;
  }
  return 0;
}"""
"""Of what has come over the track so far."""


async def call(it: Page) -> None:
    await it.evaluate(NOTED)
    await it.select_option("#way", "webrtc")
    await it.click("#start")
    await it.wait_for_selector(".note:text-is('Connected over WebRTC.')")


@run
async def test_what_is_said_is_heard_and_the_answer_is_played_over_tracks(folder: Path) -> None:
    async with serving(speaking()) as (app, host), page(host, *tones(folder)) as it:
        await call(it)
        await it.wait_for_function(PLAYING)
        await it.wait_for_selector(".they:has-text('I heard')")
        await more_answers(it, 1)
        assert await it.evaluate(LEVEL) > 0
        (seat,) = app.seats.here.values()
        assert seat.given > 16_000
        await it.click("#start")
        await state(it, "Not connected")


@run
async def test_a_voice_that_is_switched_off_is_silent_at_once(folder: Path) -> None:
    async with serving(speaking(Teller)) as (app, host), page(host, *DENIED) as it:
        await call(it)
        await state(it, "No microphone")
        await ask(it, "What?")
        await it.wait_for_function(PLAYING)
        await it.click("#voice")
        await it.wait_for_selector(".they.cut")
        await it.wait_for_function(f"!{PLAYING}")
        (seat,) = app.seats.here.values()
        assert seat.protocol.config.output_modalities == ["text"]


@run
async def test_a_muted_microphone_is_silent_on_its_track(folder: Path) -> None:
    async with serving(speaking()) as (_, host), page(host, *tones(folder)) as it:
        await call(it)
        await state(it, "Listening")
        await it.keyboard.press("m")
        await state(it, "Muted")
        track = "peers.at(-1).getSenders()[0].track.enabled"
        assert not await it.evaluate(track)
        await it.keyboard.press("m")
        assert await it.evaluate(track)


@run
async def test_a_call_that_breaks_off_is_followed_by_another(folder: Path) -> None:
    async with serving(speaking()) as (_, host), page(host, *tones(folder)) as it:
        await call(it)
        await it.evaluate("salmonn.drop()")
        await it.wait_for_selector(".note:has-text('A new session')")
        await more_answers(it, await it.locator(".they").count())


@run
async def test_an_answer_that_broke_off_with_its_call_is_not_played_any_more(folder: Path) -> None:
    async with serving(speaking(Teller)) as (_, host), page(host, *DENIED) as it:
        await call(it)
        await state(it, "No microphone")
        await ask(it, "What?")
        await it.wait_for_function(PLAYING)
        await it.evaluate("salmonn.speaker.duck = (yes) => { window.quieter = yes; }")
        await it.evaluate("salmonn.drop()")
        await it.wait_for_selector(".note:has-text('A new session')")
        assert not await it.evaluate(PLAYING)
        assert await it.evaluate("window.quieter") is False, "whoever spoke is not known any more"


@run
async def test_where_there_is_no_webrtc_it_goes_on_over_a_socket(folder: Path) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calls, "importlib", type("", (), {"import_module": missing}))
            await it.select_option("#way", "webrtc")
            await it.click("#start")
            await it.wait_for_selector(".note:has-text('No WebRTC: WebRTC is not installed')")
            await it.wait_for_selector(".note:text-is('Connected over a socket.')")
        await accessible(it)
        await it.reload()
        assert await it.input_value("#way") == "webrtc", "it is remembered, and tried again"


@run
async def test_a_token_is_asked_for_and_sent(folder: Path) -> None:
    async with serving(speaking(), token="secret") as (_, host), page(host, *DENIED) as it:
        await it.select_option("#way", "webrtc")
        await it.click("#start")
        await it.fill("#token", "secret")
        await it.press("#token", "Enter")
        await it.wait_for_selector(".note:text-is('Connected over WebRTC.')")
