"""The page rings: a timer or an alarm is heard and seen, and what was waited for is seen."""

from pathlib import Path

from playwright.async_api import Page

from tests.clients.browser import DENIED, Server, page, run
from tests.clients.on_the_page import accessible
from tests.streaming.server.test_app import fake, serving

NOTED = """() => {
  window.rung = [];
  window.loudest = 0;
  const made = AudioContext.prototype.createOscillator;
  AudioContext.prototype.createOscillator = function () {
    const tone = made.call(this), meter = this.createAnalyser();
    rung.push(tone);
    tone.connect(meter);
    const look = () => {
      const samples = new Float32Array(meter.fftSize);
      meter.getFloatTimeDomainData(samples);
      loudest = Math.max(loudest, ...samples.map(Math.abs));
      setTimeout(look, 5);
    };
    look();
    return tone;
  };
}"""
"""Notes the tones that are begun, and how loud they became."""


async def hertz(it: Page) -> list[float]:
    found: list[float] = await it.evaluate("rung.map((tone) => tone.frequency.value)")
    return found


@run
async def test_a_timer_rings_in_two_tones_and_is_seen_and_read_out(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        await it.evaluate(NOTED)
        server = Server(it)
        await server.begin()
        await server.say("salmonn.notice", audio_ms=0, notice="timer", name="egg", text="Ring!")
        await it.wait_for_selector(".notice:text-is('Timer: egg')")
        assert (await it.text_content("#announce") or "").endswith("Timer: egg")
        assert await hertz(it) == [880, 660, 880, 660]
        assert await it.evaluate("salmonn.speaker.playing"), "what is said comes after it"
        await it.wait_for_function("loudest > 0.5")
        await it.wait_for_function("!salmonn.speaker.playing")
        await server.say("salmonn.notice", audio_ms=0, notice="alarm", name="", text="Ring!")
        await it.wait_for_selector(".notice:text-is('Alarm')")
        assert len(await hertz(it)) == 8
        await accessible(it)


@run
async def test_what_was_waited_for_is_seen_and_does_not_ring(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        await it.evaluate(NOTED)
        server = Server(it)
        await server.begin()
        await server.say("salmonn.notice", audio_ms=0, notice="watch", name="dog barking", text="")
        await it.wait_for_selector(".notice:text-is('Heard: dog barking')")
        assert await hertz(it) == []
