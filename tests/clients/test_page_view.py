"""The page in a real browser: what is seen, on a phone, without motion, and of what is heard."""

from pathlib import Path
from typing import Any

import pytest

from tests.clients.browser import DENIED, Server, page, run, tones
from tests.clients.on_the_page import accessible, knocking
from tests.streaming.server.test_app import fake, serving

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True}

PIXELS = """name => {
  const canvas = document.querySelector("#strip"), pen = canvas.getContext("2d");
  const wanted = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    count += data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255;
  }
  return count;
}"""


@run
async def test_the_strip_shows_speech_sounds_and_what_is_in_the_model(folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host), page(host, *tones(folder)) as it:
        for name in ("speech", "sound", "prefilled"):
            assert await it.evaluate(PIXELS, name) == 0
        await it.click("#start")
        await it.wait_for_selector(".ledger")
        await it.wait_for_timeout(500)
        for name in ("speech", "sound", "prefilled"):
            assert await it.evaluate(PIXELS, name) > 10, name


@run
async def test_on_a_phone_everything_is_in_reach(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder), **PHONE) as it:
        await it.tap("#start")
        await it.wait_for_selector(".ledger")
        wide, seen = await it.evaluate("[document.body.scrollWidth, innerWidth]")
        assert wide <= seen
        for name in ("#start", "#hold", "#mute", "#question", "#ask button", "#state", "#device"):
            box = await it.locator(name).bounding_box()
            assert box is not None
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= 360, name
            assert box["y"] + box["height"] <= 640, name
            if name not in ("#state", "#device"):
                assert box["height"] >= 44, name  # a finger
        await accessible(it)


@run
async def test_who_was_at_the_end_of_the_conversation_still_is_when_the_window_shrinks(
    folder: Path,
) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        at_end = (
            "() => { const talk = document.querySelector('#talk');"
            " return talk.scrollHeight - talk.scrollTop - talk.clientHeight < 2; }"
        )
        kind = "conversation.item.input_audio_transcription.completed"
        for number in range(20):
            await server.say(kind, item_id=f"item_{number}", transcript="word " * 60)
        await it.wait_for_function(at_end)
        await it.set_viewport_size({"width": 360, "height": 500})
        await it.wait_for_function(at_end)


@run
async def test_who_wants_no_motion_gets_none(folder: Path) -> None:
    async with (
        serving(fake()) as (_, host),
        page(host, *tones(folder), reduced_motion="reduce") as it,
    ):
        await it.click("#start")
        await it.wait_for_selector(".ledger")
        moving = "[...document.querySelectorAll('*')].flatMap(one => one.getAnimations()).length"
        assert await it.evaluate(moving) == 0


PREFILLED = """async (rate) => {
  const { Strip } = await import("/strip.js");
  const canvas = document.createElement("canvas");
  canvas.style.cssText = "position: fixed; top: 0; left: 0; width: 600px; height: 120px";
  document.body.append(canvas);
  const strip = new Strip(canvas);
  const hear = (seconds) => {
    for (let piece = 0; piece < 25 * seconds; piece++) strip.level(new ArrayBuffer(1280));
  };
  const seen = async () => { // seconds where the band is
    await new Promise((go) => setTimeout(go, 100));
    const pen = canvas.getContext("2d"), wide = canvas.width;
    const band = Math.round((canvas.height * (120 - 18 - 3)) / 120);
    const { data } = pen.getImageData(0, band, wide, 1);
    const wanted = getComputedStyle(document.documentElement).getPropertyValue("--prefilled");
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
    const spans = [];
    for (let x = 0; x < wide; x++) {
      const [i, at] = [4 * x, (30 * x) / wide];
      if (data[i] !== r || data[i + 1] !== g || data[i + 2] !== b) continue;
      if (spans.length && at - spans.at(-1)[1] < 0.07) spans.at(-1)[1] = at;
      else spans.push([at, at]);
    }
    return spans.map((span) => span.map((at) => Number(at.toFixed(2))));
  };
  hear(30);
  strip.begin();
  hear(30);
  strip.speechStarted(4000);
  strip.prefilled(8000, 5);
  const first = await seen();
  strip.prefilled(8000 + 1000, 5 + 1000 / rate); // in steps
  strip.prefilled(8000 + 2000, 5 + 2000 / rate);
  strip.prefilled(8000 + 2040, 6 + 2000 / rate); // what was waiting
  strip.answered();
  strip.speechStopped(12000);
  strip.prefilled(20000, 5);
  return { first, all: await seen() };
}"""


@run
async def test_how_far_a_turn_reaches_back_is_learnt_from_the_server(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        for rate in (160, 80, 500):  # ms in an audio token
            found = await it.evaluate(PREFILLED, rate)
            assert found["first"] == [pytest.approx([4, 8], abs=0.2)]
            begins, ends = zip(*found["all"], strict=True)
            assert begins[0] == pytest.approx(8 - 5 * rate / 1000, abs=0.2), rate
            assert begins[-1] == pytest.approx(20 - 5 * rate / 1000, abs=0.2), rate
            assert ends[-1] == pytest.approx(20, abs=0.2)
