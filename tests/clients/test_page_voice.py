"""The page speaks: answers are played, kept silent, and cut where they were interrupted."""

from pathlib import Path

from playwright.async_api import Page

from tests.clients.browser import DENIED, page, run, state, tones
from tests.streaming.fakes import Echo
from tests.streaming.server.test_app import fake, serving
from tests.streaming.server.test_speech import LONG, Teller, speaking

PLAYING = "salmonn.speaker.playing"
WATCHED = """() => {
  const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.asked = [];
  navigator.mediaDevices.getUserMedia = (wanted) => {
    asked.push(wanted.audio.echoCancellation);
    return given(wanted);
  };
}"""
"""Notes whether the echo canceller was asked for."""


async def ask(it: Page, question: str) -> None:
    await it.fill("#question", question)
    await it.press("#question", "Enter")


@run
async def test_an_answer_is_played_while_it_is_shown(folder: Path) -> None:
    async with serving(speaking(Teller)) as (_, host), page(host, *DENIED) as it:
        await it.click("#start")
        await state(it, "No microphone")
        assert await it.get_attribute("#voice", "aria-pressed") == "true"
        await ask(it, "What?")
        await it.wait_for_function(PLAYING)
        shown = await it.text_content(".they") or ""
        assert 0 < len(shown) < 3 * len(LONG)
        await it.wait_for_selector(f".they:text-is('{(3 * LONG).strip()}')")
        await it.wait_for_function(f"!{PLAYING}")


@run
async def test_whether_answers_are_spoken_is_remembered(folder: Path) -> None:
    async with serving(speaking()) as (_, host), page(host, *DENIED) as it:
        await it.click("#start")
        await state(it, "No microphone")
        await it.click("#voice")
        assert await it.get_attribute("#voice", "aria-pressed") == "false"
        await it.reload()
        assert await it.is_hidden("#voice")
        await it.click("#start")
        await state(it, "No microphone")
        assert await it.get_attribute("#voice", "aria-pressed") == "false"
        await ask(it, "What?")
        await it.wait_for_selector(".ledger")
        assert await it.evaluate("salmonn.speaker.item") is None
        assert not await it.evaluate(PLAYING)
        await it.click("#voice")
        await ask(it, "And?")
        await it.wait_for_function(PLAYING)


@run
async def test_a_server_without_a_voice_has_no_button_for_it(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder)) as it:
        await it.evaluate(WATCHED)
        await it.click("#start")
        await it.wait_for_selector(".ledger")
        assert await it.is_hidden("#voice")
        assert await it.evaluate("asked") == [False]


@run
async def test_the_model_is_told_how_much_of_an_answer_was_heard(folder: Path) -> None:
    listeners: list[Teller] = []

    def listener() -> Echo:
        listeners.append(Teller())
        return listeners[-1]

    flags = tones(folder, spoken_s=0.0)
    async with serving(speaking(listener)) as (_, host), page(host, *flags) as it:
        await it.evaluate(WATCHED)
        await it.click("#start")
        await state(it, "Listening")
        assert await it.evaluate("asked") == [True]  # what is played comes back
        await ask(it, "What?")
        await it.wait_for_function("salmonn.speaker.played(salmonn.speaker.item) > 300")
        await it.focus("#hold")
        await it.keyboard.down("Space")
        await it.wait_for_selector(".they.cut")
        assert not await it.evaluate(PLAYING)
        await it.keyboard.up("Space")
        cuts = [told for told in listeners[0].diary if told.startswith("truncated 0 to ")]
        assert len(cuts) == 2  # the server's own, and the page's, which knows more
        assert 0 < int(cuts[1].split()[-1]) <= int(cuts[0].split()[-1]) < 3 * len(LONG)
