"""The page in a real browser: click, speak, read, ask, lose the connection, deny the microphone."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.prompt.prompt import tasks
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import load, to_pcm16
from streaming.config_file import load_config
from streaming.dialogue.session import Session
from streaming.server.build import build_assistant
from tests.clients.browser import (
    DENIED,
    Server,
    browsing,
    hearing,
    opened,
    page,
    run,
    state,
    tones,
)
from tests.streaming.fakes import WINDOW, Echo, session
from tests.streaming.server.test_app import fake, serving

Act = Callable[[], Awaitable[None]]
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True}
BOTH_THEMES = ("light", "dark")
WAVES = Path(__file__).parents[2] / "demo" / "waves.flac"


def knocking() -> Session:
    """A session that hears a knock first."""
    listener = Echo()
    listener.knocks = True
    return session(listener, pace=None)


async def ask(it: Page, question: str) -> None:
    """Type a question and wait for its answer."""
    await it.fill("#question", question)
    await it.press("#question", "Enter")
    await it.wait_for_selector(f".turn:has(.you:text-is('{question}')) .ledger")


async def accessible(it: Page) -> None:
    """No violation of WCAG 2.2 AA that axe can find, in either theme."""
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    for theme in BOTH_THEMES:
        await it.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = (await Axe().run(it, options=rules)).response["violations"]
        told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        assert told == [], (theme, json.dumps(told, indent=1))
    await it.emulate_media(color_scheme="light", reduced_motion="no-preference")


@run
async def test_talking(folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host), page(host, *tones(folder)) as it:
        assert await it.text_content("#state") == "Not connected"
        assert await it.is_disabled("#question")
        await accessible(it)
        await it.click("#start")
        await it.wait_for_selector(".heard:text-is('knock')")
        await it.wait_for_selector(".you:has-text('all')")
        await it.wait_for_selector(".turn:has(.you) .they:has-text('I heard')")
        await it.wait_for_selector(".ledger:has-text('ms silence, to be sure you had finished')")
        assert await it.text_content("#model") == "fake"
        told = await it.get_attribute("#strip", "aria-label") or ""
        assert "of speech" in told
        assert "knock" in told
        said = await it.text_content("#announce") or ""
        assert "I heard" in said  # the whole sentence, for who does not see it stream
        assert await it.get_attribute("#talk", "aria-live") == "off"
        await accessible(it)
        await it.click("#start")
        await state(it, "Not connected")
        await it.click("#start")  # a second session has a clock of its own
        before = await it.locator(".they").count()
        await more_answers(it, before)


async def more_answers(it: Page, than: int) -> None:
    count = "n => document.querySelectorAll('.they').length > n"
    await it.wait_for_function(count, arg=than)


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
async def test_a_connection_that_drops_comes_back(folder: Path) -> None:
    serve = serving(fake(), resume_s=300)
    async with serve as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(".they:has-text('I heard')")
        await it.evaluate("cut = true; salmonn.drop()")
        await state(it, "Connection lost, trying again …")
        before = await it.locator(".they").count()
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:text-is('Connected again, nothing was lost.')")
        await more_answers(it, before)


@run
async def test_a_session_that_the_server_forgot_is_begun_anew(folder: Path) -> None:
    async with serving(fake(), resume_s=0.01) as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(".they:has-text('I heard')")
        await it.evaluate("cut = true; salmonn.drop()")
        await state(it, "Connection lost, trying again …")
        await it.wait_for_timeout(500)
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:has-text('A new session')")
        await more_answers(it, await it.locator(".they").count())


@run
async def test_a_session_that_has_lasted_long_enough_is_followed_by_another(folder: Path) -> None:
    serve = serving(fake(), session_minutes=0.1)
    async with serve as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(
            ".note:text-is('This session ends in 1 s; a new one begins then.')"
        )
        await it.wait_for_selector(
            ".note:text-is('A new session: what was heard before is forgotten.')"
        )
        assert await it.is_hidden("#problem")
        assert "Connection lost" not in (await it.text_content("#announce") or "")
        await more_answers(it, await it.locator(".they").count())


@run
async def test_what_a_session_left_unfinished_is_shown_as_such(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        await server.say("salmonn.session_expires", seconds_left=60)
        soon = "This session ends in a minute; a new one begins then."
        assert await it.locator(".note").last.inner_text() == soon
        await type_in(it, "First?")
        first = await asked(server)
        await server.created("resp_1", first)
        await server.answers("resp_1", "An answ")
        await type_in(it, "Second?")
        await server.speech("item_1")
        await server.say("error", error={"code": "session_expired", "message": "It is over."})
        await it.evaluate("wire.onclose({ code: 1001, reason: 'It is over.' })")
        await server.say("session.created", session={"id": "sess_2", "model": "scripted"})
        assert await it.locator(".they.cut:text-is('An answ')").count() == 1
        assert await it.locator(".live, .waits").count() == 0
        await state(it, "No microphone")
        await ask_anew(it, server)


async def ask_anew(it: Page, server: Server) -> None:
    """A question in a session that was begun anew."""
    await server.took()
    await type_in(it, "Third?")
    third = await asked(server)
    await server.created("resp_9", third)
    await server.answers("resp_9", "An answer.")
    assert await it.inner_text(f"{turn('Third?')} .they") == "An answer."


@run
async def test_a_server_that_is_gone_is_told(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        await it.evaluate("cut = true")
        await it.route("**/v1/realtime", lambda route: route.abort())
        await it.click("#start")
        await it.wait_for_selector("#problem:text-is('The server cannot be reached.')")
        await state(it, "Not connected")
        assert await it.text_content("#start") == "Start"


@run
async def test_hold_to_talk_and_mute(folder: Path) -> None:
    flags = tones(folder, spoken_s=1.4)
    async with serving(fake()) as (_, host), page(host, *flags) as it:
        await it.click("#start")
        await state(it, "Listening")
        await it.keyboard.press("m")  # the mouse was used: keys are free
        await state(it, "Muted")
        assert await it.get_attribute("#mute", "aria-pressed") == "true"
        await it.wait_for_selector(".turn:has(.ledger)", state="detached")
        answers = await it.locator(".they").count()
        await it.wait_for_timeout(2500)
        assert await it.locator(".they").count() == answers  # nothing is heard

        async def press_button() -> None:
            await it.hover("#hold")
            await it.mouse.down()

        ways: list[tuple[Act, Act]] = [
            (lambda: it.keyboard.down("Space"), lambda: it.keyboard.up("Space")),
            (press_button, it.mouse.up),
        ]
        for press, release in ways:
            await press()
            await state(it, "Hearing you")
            assert await it.get_attribute("#hold", "aria-pressed") == "true"
            await it.wait_for_timeout(1500)
            await release()
            await it.wait_for_function(
                "n => document.querySelectorAll('.ledger').length > n", arg=answers
            )
            answers += 1
            await state(it, "Muted")
        await it.focus("#question")
        await it.keyboard.type(" m ")  # letters go into a text
        assert await it.input_value("#question") == " m "
        await state(it, "Muted")


@run
async def test_typed_questions_wait_for_their_turn(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        await it.click("#start")
        await it.wait_for_selector("#problem:has-text('may not use the microphone')")
        await state(it, "No microphone")
        assert await it.is_disabled("#hold")
        await it.evaluate(
            "for (const text of ['What was that?', 'And that?']) {"
            " document.querySelector('#question').value = text;"
            " document.querySelector('#ask').requestSubmit(); }"
        )
        for question in ("What was that?", "And that?"):
            await it.wait_for_selector(f".turn:has(.you:text-is('{question}')) .they")
        assert await it.is_hidden("#problem")
        await accessible(it)


@run
async def test_holding_keeps_what_was_heard_before_it(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder, every_s=60)) as it:
        server = Server(it)
        await server.begin()
        await it.keyboard.down("Space")
        assert await server.took() == []  # settings apart
        await it.keyboard.up("Space")
        assert [one["type"] for one in await server.took()] == [
            "input_audio_buffer.commit", "response.create",
        ]  # fmt: skip


@run
async def test_what_is_held_is_asked_before_what_was_typed(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder, every_s=60)) as it:
        server = Server(it)
        await server.begin()
        await server.speech("item_1")
        await type_in(it, "Typed?")
        await server.created("resp_1", await asked(server))
        await it.click("#state")  # keys are for talking again
        await it.keyboard.down("Space")
        [cancel] = await server.took()
        assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "resp_1")
        await server.done("resp_1", "cancelled")
        [delete] = await server.took()
        assert (delete["type"], delete["item_id"]) == ("conversation.item.delete", "typed_1")
        await server.speech("item_1", ends=True)
        await server.created("resp_2")  # an endpoint's, which was on its way
        [cancel] = await server.took()
        assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "resp_2")
        await server.answers("resp_2", "Too")
        await it.keyboard.up("Space")
        assert [one["type"] for one in await server.took()] == ["input_audio_buffer.commit"]
        await server.say("input_audio_buffer.committed", item_id="item_2")
        await server.done("resp_2", "cancelled")
        held = await asked(server)
        assert held["typed"] is None
        await server.created("resp_3", held)
        await server.answers("resp_3", "What was held.")
        await server.done("resp_3")
        typed = await asked(server)
        assert words(typed) == "Typed?"
        await server.created("resp_4", typed)
        await server.answers("resp_4", "What was typed.")
        found = await it.locator(".they").all_inner_texts()
        assert found == ["Too", "What was typed.", "What was held."]
        assert await it.inner_text(f"{turn('Typed?')} .they") == "What was typed."


@run
async def test_a_sentence_that_is_held_from_its_middle_on_is_answered_once_and_whole(
    folder: Path,
) -> None:
    listener = Echo()
    assistant = fake(lambda: session(listener, pace=None))
    flags = tones(folder, spoken_s=20, every_s=60)
    async with serving(assistant) as (_, host), page(host, *flags) as it:
        await it.click("#start")
        await state(it, "Hearing you")
        begun = listener.samples
        await it.keyboard.down("Space")
        await it.wait_for_selector(".you:has-text('all')")  # ended by the button
        await it.wait_for_timeout(500)
        await it.keyboard.up("Space")
        await it.wait_for_selector(".ledger")
        assert await it.locator(".they").count() == 1
        turns = [one for one in listener.diary if not one.startswith("configured")]
        assert [one.split()[0] for one in turns[:2]] == ["open", "answered"]
        assert int(turns[0].split()[1]) * WINDOW < begun


class Attentive(Echo):
    """Says what it was asked, where that was typed."""

    def ask(self) -> int:
        windows = super().ask()
        if self.question is not None:
            self.reply = ["You asked: ", self.question]
        return windows


async def type_in(it: Page, question: str) -> None:
    await it.fill("#question", question)
    await it.press("#question", "Enter")


def turn(question: str) -> str:
    """Where a typed question stands."""
    return f".turn:has(.you:text-is('{question}'))"


WAITS = "Your question waits until you have finished."
WAITS_ON = "Your question waits until this answer is complete."


@run
async def test_a_question_typed_while_someone_speaks_waits_and_is_answered_once(
    folder: Path,
) -> None:
    flags = tones(folder, spoken_s=4, every_s=30)
    assistant = fake(lambda: session(Attentive(), pace=None))
    async with serving(assistant) as (_, host), page(host, *flags) as it:
        await it.click("#start")
        await state(it, "Hearing you")
        await type_in(it, "And that?")
        await it.wait_for_selector(f"{turn('And that?')} .waits:text-is('{WAITS}')")
        await state(it, "Hearing you")
        assert WAITS in (await it.text_content("#announce") or "")
        await accessible(it)
        await it.wait_for_selector(f"{turn('And that?')} .ledger")
        found = await it.locator(".they").all_inner_texts()
        assert [one for one in found if one.startswith("You asked")] == ["You asked: And that?"]
        assert await it.inner_text(f"{turn('And that?')} .they") == "You asked: And that?"
        assert len([one for one in found if one.startswith("I heard")]) == 1
        assert await it.locator(".waits").count() == 0
        assert await it.is_hidden("#problem")
        await state(it, "Listening")


async def asked(server: Server) -> dict[str, Any]:
    """The `response.create` that was sent, what was `typed` before it, and nothing else."""
    *typed, create = await server.took()
    assert create["type"] == "response.create"
    if not typed:
        return {**create, "typed": None}
    [put] = typed
    assert (put["type"], put["event_id"]) == ("conversation.item.create", create["event_id"])
    return {**create, "typed": put["item"]["content"][0]["text"]}


def words(create: dict[str, Any]) -> str:
    return create["typed"]  # type: ignore[no-any-return]


@run
async def test_answers_stand_under_their_questions_whoever_waits_for_whom(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        await server.speech("item_1")
        await type_in(it, "First?")
        await type_in(it, "Second?")
        first = await asked(server)
        assert words(first) == "First?"
        await server.created("resp_1", first)
        for question in ("First?", "Second?"):
            assert await it.inner_text(f"{turn(question)} .waits") == WAITS
        await server.speech("item_1", ends=True)
        await server.created("resp_2")
        await server.answers("resp_2", "Spoken.")
        for question in ("First?", "Second?"):
            assert await it.inner_text(f"{turn(question)} .waits") == WAITS_ON
        await state(it, "Answering")
        assert await it.inner_text(".turn:nth-of-type(1) .they") == "Spoken."
        await server.speech("item_2")  # interrupts
        await server.done("resp_2", "cancelled")
        assert await it.inner_text(f"{turn('First?')} .waits") == WAITS
        assert await server.took() == []
        await server.speech("item_2", ends=True)
        await server.created("resp_3")
        await server.answers("resp_3", "Spoken again.")
        await server.done("resp_3")
        await server.answers("resp_1", "One.")
        assert await it.locator(".waits").count() == 1
        await server.done("resp_1")
        second = await asked(server)
        assert words(second) == "Second?"
        await server.created("resp_4", second)
        await server.answers("resp_4", "Two.")
        await server.say("salmonn.latency", **LATENCY)
        await server.done("resp_4")
        for question, answer in (("First?", "One."), ("Second?", "Two.")):
            assert await it.inner_text(f"{turn(question)} .they") == answer
        assert await it.locator(f"{turn('Second?')} .ledger").count() == 1
        assert await it.inner_text(".turn:nth-of-type(4) .they") == "Spoken again."
        assert await it.locator(".waits").count() == 0


LATENCY = {
    "endpoint_wait_ms": 0, "encode_ms": 1, "backlog_ms": 1, "prefill_ms": 1, "first_token_ms": 1,
    "prefilled_before_end": 1, "windows": 2, "tokens_per_s": 3,
}  # fmt: skip
"""Of a `salmonn.latency`."""


@run
async def test_a_question_that_is_refused_keeps_no_other_from_being_asked(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        await type_in(it, "First?")
        await type_in(it, "Second?")
        first = await asked(server)
        await server.created("resp_1")  # an endpoint was sooner
        early = "conversation_already_has_active_response"
        about = {"message": "One is.", "event_id": first["event_id"]}
        await server.say("error", error={"code": early, **about})
        assert await it.is_hidden("#problem")
        assert [one["type"] for one in await server.took()] == ["conversation.item.delete"]
        await server.answers("resp_1", "Spoken.")
        await server.done("resp_1")
        again = await asked(server)
        assert words(again) == "First?"
        about["event_id"] = again["event_id"]
        await server.say("error", error={"code": "string_above_max_length", **about})
        await it.wait_for_selector("#problem:has-text('longer than the model can read')")
        second = await asked(server)
        assert words(second) == "Second?"
        await server.created("resp_2", second)
        await server.done("resp_2", "failed")
        about["event_id"] = second["event_id"]
        await server.say("error", error={"code": "context_full", **about})
        await state(it, "No microphone")


@run
async def test_what_the_server_refuses_is_told_in_plain_sentences(folder: Path) -> None:
    told = {
        "nothing_to_do": "Nothing was heard that could be answered.",
        "context_full": "The question is longer than the model can read. Ask a shorter one.",
        "string_above_max_length": (
            "The question is longer than the model can read. Ask a shorter one."
        ),
        "unknown_parameter": "This page and the server do not fit together. Load the page anew.",
        "session_expired": "This session is over; a new one begins.",
        "another": "In the server's words.",
    }
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        for code, sentence in told.items():
            await server.say("error", error={"code": code, "message": "In the server's words."})
            assert await it.inner_text("#problem") == sentence
        late = {"code": "nothing_to_do", "message": "No reply.", "event_id": "cancel"}
        await server.speech("item_1")  # what was wrong is over
        await server.say("error", error=late)
        assert await it.is_hidden("#problem")


@pytest.mark.nano
def test_a_sound_is_asked_about(nano: Salmonn, tmp_path: Path) -> None:
    config = load_config(shipped_config(), "nano")
    assistant = build_assistant(nano, config, tasks()["listen"])
    waves = soxr.resample(load(WAVES), SAMPLE_RATE, 48_000)
    quiet = np.zeros(48_000 * 30, np.float32)
    soundfile.write(
        tmp_path / "waves.wav", np.concatenate([waves, quiet]), 48_000, subtype="PCM_16"
    )

    @run
    async def scenario(folder: Path) -> None:
        flags = hearing(folder / "waves.wav")
        async with serving(assistant) as (_, host), page(host, *flags) as it:
            await it.click("#start")
            await it.wait_for_timeout(5000)
            await ask(it, "What was that sound?")
            answer = ".turn:has(.you:text-is('What was that sound?')) .they"
            assert "waves" in await it.inner_text(answer)

    scenario(tmp_path)


@run
async def test_a_machine_without_a_microphone(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        await it.click("#start")
        await it.wait_for_selector("#problem:has-text('No microphone was found')")
        await ask(it, "What was that?")


@run
async def test_a_busy_server_says_so_and_lets_one_in_later(folder: Path) -> None:
    async with (
        serving(fake(), sessions=1, resume_s=0.01) as (_, host),
        browsing(DENIED) as browser,
        opened(browser, host) as first,
        opened(browser, host) as second,
    ):
        await first.click("#start")
        await state(first, "No microphone")
        await second.click("#start")
        await state(second, "Server busy, waiting …")
        await second.wait_for_selector("#problem:has-text('All sessions are taken')")
        await accessible(second)
        await first.click("#start")
        await state(second, "No microphone")


@run
async def test_a_server_with_a_token_asks_for_it(folder: Path) -> None:
    async with serving(fake(), token="right") as (_, host), page(host, *DENIED) as it:
        await it.click("#start")
        await it.wait_for_selector("#problem:has-text('asks for a token')")
        await accessible(it)
        for token, told in (("wrong", "A token is needed"), ("a b", "can send only letters")):
            await it.fill("#token", token)
            await it.press("#token", "Enter")
            await it.wait_for_selector(f"#problem:has-text('{told}')")
        await it.fill("#token", "right")
        await it.press("#token", "Enter")
        await state(it, "No microphone")
        assert await it.is_hidden("#access")


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


RESAMPLE = """async ([rate, frequencies]) => {
  const found = [];
  for (const frequency of frequencies) {
    const context = new OfflineAudioContext(1, 2 * rate, rate);
    await context.audioWorklet.addModule("worklet.js");
    const sound = new AudioBuffer({ length: 2 * rate, sampleRate: rate });
    sound.copyToChannel(
      Float32Array.from({ length: 2 * rate }, (_, i) => {
        return 0.5 * Math.sin((2 * Math.PI * frequency * i) / rate);
      }), 0,
    );
    const tone = new AudioBufferSourceNode(context, { buffer: sound });
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const samples = [];
    capture.port.onmessage = ({ data }) => samples.push(...new Int16Array(data));
    tone.connect(capture);
    tone.start();
    await context.startRendering();
    for (let left = 100; left && samples.length < 31000; left--) {
      await new Promise((go) => setTimeout(go, 20));
    }
    found.push(samples);
  }
  return found;
}"""


@run
async def test_resampling_keeps_what_16_khz_can_hold_and_nothing_else(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        for rate in (48_000, 44_100):
            kept, gone = (100, 1000, 4000, 7000), (8100, 9000, 12_000, 20_000)
            heard = await it.evaluate(RESAMPLE, [rate, [*kept, *gone]])
            for frequency, samples in zip((*kept, *gone), heard, strict=True):
                assert len(samples) >= 31_000
                sound = np.array(samples[4000:28_000]) / 32768
                loudness = 20 * np.log10(np.sqrt((sound**2).mean()) / (0.5 / np.sqrt(2)) + 1e-9)
                if frequency in gone:
                    assert loudness < -70, (rate, frequency, loudness)
                    continue
                assert abs(loudness) < 0.1, (rate, frequency, loudness)
                assert noise(sound, frequency) < -70, (rate, frequency)


def noise(sound: Any, frequency: float) -> float:
    """What is left of a tone at 16 kHz without the tone, dB under it."""
    time = np.arange(len(sound)) / 16_000
    turning = 2 * np.pi * frequency * time
    basis = np.stack([np.sin(turning), np.cos(turning)], axis=1)
    rest = sound - basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]
    return float(20 * np.log10(np.sqrt((rest**2).mean()) / np.sqrt((sound**2).mean())))


LOUD = """async (rate) => {
  const context = new OfflineAudioContext(1, rate, rate);
  await context.audioWorklet.addModule("worklet.js");
  const sound = new AudioBuffer({ length: rate, sampleRate: rate });
  const level = (i) => [0.5, 0.99999, 2, -0.5, -1, -2][Math.floor((6 * i) / rate)];
  sound.copyToChannel(Float32Array.from({ length: rate }, (_, i) => level(i)), 0);
  const source = new AudioBufferSourceNode(context, { buffer: sound });
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const samples = [];
  capture.port.onmessage = ({ data }) => samples.push(...new Int16Array(data));
  source.connect(capture);
  source.start();
  await context.startRendering();
  for (let left = 100; left && samples.length < 15000; left--) {
    await new Promise((go) => setTimeout(go, 20));
  }
  return [0, 1, 2, 3, 4, 5].map((part) => samples[Math.round(((part + 0.5) * 16000) / 6)]);
}"""


@run
async def test_samples_become_16_bit_as_everywhere_else(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        heard = await it.evaluate(LOUD, 48_000)
    wanted = to_pcm16(np.array([0.5, 0.99999, 2, -0.5, -1, -2], np.float32))
    assert np.abs(np.array(heard) - np.frombuffer(wanted, "<i2")).max() <= 1  # filters ripple


WIRE = """async (minutes) => {
  const sent = [];
  let socket;
  window.WebSocket = class {
    constructor(url) { socket = this; this.url = String(url); }
    send(data) {
      sent.push(typeof data === "string" ? JSON.parse(data).type : [...new Uint8Array(data)]);
    }
  };
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const opens = [];
  server.addEventListener("open", ({ detail }) => opens.push(detail));
  const say = (event) => socket.onmessage({ data: JSON.stringify(event) });
  const piece = (value) => new Uint8Array(32000).fill(value).buffer;
  server.connect();
  server.audio(piece(1));
  say({ type: "session.created", event_id: "event_7", session: { id: "s" } });
  server.send({ type: "response.create" });
  server.audio(piece(2));
  const before = sent.splice(0).map((one) => Array.isArray(one) ? one.length : one);
  const dropped = async (audio_bytes, messages) => {
    await socket.onclose({ code: 1006, reason: "dropped" });
    await new Promise((go) => setTimeout(go, 400));
    say({ type: "salmonn.resumed", event_id: "resumed", audio_bytes, messages });
    return sent.splice(0).map((one) => Array.isArray(one) ? [one[0], one.length] : one);
  };
  const after = await dropped(31000, 1);
  const url = socket.url;
  await socket.onclose({ code: 1006, reason: "dropped" });
  for (let second = 3; second < 3 + 40; second++) server.audio(piece(second));
  const late = await dropped(64000, 2);
  const again = await dropped(64000 + 30 * 32000, 2);
  return { before, after, url, late, again, opens };
}"""


@run
async def test_what_a_server_did_not_get_is_sent_again_in_order(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        found = await it.evaluate(WIRE)
    assert found["before"] == ["session.update", 32_000, "response.create", 32_000]
    assert found["url"].endswith("session_id=s&after=7")
    assert found["after"] == [[1, 1000], "response.create", [2, 32_000]]
    assert found["late"] == [[second, 32_000] for second in range(13, 43)]  # half a minute
    assert found["again"] == []  # it knows that ten seconds never came
    assert [one["missing"] for one in found["opens"]] == [0, 0, 320_000, 0]


REFUSED = """async ([status, text]) => {
  window.WebSocket = class { constructor() { window.wire = this; } close() {} };
  window.fetch = async () => new Response(text, { status, statusText: "Its Phrase" });
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const told = new Promise((tell) => server.addEventListener("lost", ({ detail }) => tell(detail)));
  server.connect();
  wire.onclose({ code: 1006, reason: "" });
  const { final, busy, token, reason } = await told;
  server.close();
  return [final, Boolean(busy), Boolean(token), reason];
}"""


@run
async def test_why_a_server_refuses_is_told_in_its_words(folder: Path) -> None:
    def error(message: str) -> str:
        return json.dumps({"error": {"type": "x", "code": "y", "message": message}})

    cases: list[tuple[int, str, list[Any]]] = [
        (401, error("A token is needed."), [True, False, True, "A token is needed."]),
        (403, error("Not from there."), [True, False, False, "Not from there."]),
        (421, error("Not here."), [True, False, False, "Not here."]),
        (429, error("Too many."), [False, True, False, "Too many."]),
        (503, error("All are taken."), [False, True, False, "All are taken."]),
        (426, error("It is a websocket."), [False, False, False, ""]),
        (502, "<html>a proxy's</html>", [False, False, False, ""]),
        (400, "<!doctype html>a proxy's", [True, False, False, "Its Phrase"]),
        (403, "in plain words\n", [True, False, False, "in plain words"]),
        (404, '{"detail": "other JSON"}', [True, False, False, '{"detail": "other JSON"}']),
    ]
    async with serving(fake()) as (_, host), page(host) as it:
        for status, text, expected in cases:
            assert await it.evaluate(REFUSED, [status, text]) == expected, status


FULL = """async () => {
  const sent = [];
  let socket;
  window.WebSocket = class {
    constructor() { socket = this; }
    send(data) { sent.push(data); }
  };
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const errors = [];
  server.addEventListener("event", ({ detail }) => {
    if (detail.type === "error") errors.push(detail.error.code);
  });
  const say = (data) => socket.onmessage({ data });
  const dropped = async (audio_bytes, messages) => {
    await socket.onclose({ code: 1006, reason: "dropped" });
    await new Promise((go) => setTimeout(go, 400));
    sent.length = 0;
    say(JSON.stringify({ type: "salmonn.resumed", event_id: "resumed", audio_bytes, messages }));
    return sent.map((one) => typeof one === "string" ? JSON.parse(one) : one.byteLength);
  };
  server.connect();
  for (const bad of ["no json", "{}", "null", "3", new Blob(["x"])]) say(bad);
  say(JSON.stringify({ type: "session.created", event_id: "event_1", session: { id: "s" } }));
  for (let number = 0; number < 1500; number++) server.send({ type: "x", number });
  const typed = await dropped(0, 1);
  const rest = await dropped(0, 1 + 990);
  server.send({ type: "y", text: "x".repeat(5 * 2 ** 20) });
  const long = await dropped(0, 1 + 999);
  server.audio(new ArrayBuffer(640));
  const after = await dropped(0, 1 + 1000);
  const lost = await dropped(0, 0);
  return { errors, typed, rest, long: long.map(({ type }) => type), after, lost };
}"""


@run
async def test_what_is_kept_is_bounded_for_who_only_types_too(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        found = await it.evaluate(FULL)
    assert found["errors"] == ["unreadable_message"] * 5
    assert [one["number"] for one in found["typed"]] == list(range(500, 1500))
    assert [one["number"] for one in found["rest"]] == list(range(1490, 1500))
    assert found["long"] == ["y"]  # it is more than is kept by itself, so what was before it goes
    assert found["after"] == [640]
    assert found["lost"] == [{"type": "session.update", "session": {}}, 640]


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


INTERRUPTED = """async () => {
  const log = [];
  let context;
  window.AudioContext = class {
    state = "suspended";
    audioWorklet = { addModule: async () => {} };
    constructor() { context = this; }
    createMediaStreamSource() { return { connect() {} }; }
    async resume() {
      log.push("resume");
      if (this.state === "interrupted") throw new DOMException("interrupted", "InvalidStateError");
      this.become("running");
    }
    async close() { this.become("closed"); }
    become(state) { if (this.state !== state) { this.state = state; this.onstatechange?.(); } }
  };
  window.AudioWorkletNode = class { port = {}; };
  const { Microphone } = await import("/microphone.js");
  const paused = () => log.push(microphone.paused);
  const microphone = new Microphone(() => {}, () => log.push("end"), paused);
  await microphone.open("");
  const done = async (what) => {
    log.length = 0;
    what();
    await new Promise((go) => setTimeout(go, 0));
    return [...log];
  };
  const found = {
    call: await done(() => context.become("interrupted")),
    seen: await done(() => document.dispatchEvent(new Event("visibilitychange"))),
    over: await done(() => context.become("suspended")),
    closed: await done(() => { microphone.close(); }),
    late: await done(() => document.dispatchEvent(new Event("visibilitychange"))),
  };
  return found;
}"""


@run
async def test_a_microphone_that_the_system_takes_for_a_while_comes_back(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder)) as it:
        found = await it.evaluate(INTERRUPTED)
    assert found["call"] == [True, "resume"]
    assert found["seen"] == ["resume"]  # still interrupted: refused
    assert found["over"] == ["resume", False]
    assert found["closed"] == found["late"] == []


KEPT_CONTEXTS = """() => {
  window.contexts = [];
  window.AudioContext = class extends AudioContext {
    constructor() { super(); contexts.push(this); }
  };
}"""


@run
async def test_the_page_says_that_the_microphone_is_paused_and_that_it_is_back(
    folder: Path,
) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder, every_s=60)) as it:
        await it.evaluate(KEPT_CONTEXTS)
        await it.click("#start")
        await it.wait_for_selector(".ledger")
        await state(it, "Listening")
        await it.evaluate(
            "context = contexts[0]; resume = context.resume.bind(context);"
            "context.resume = async () => {}; context.suspend()"
        )
        await it.wait_for_selector(".note:text-is('The microphone is paused.')")
        await state(it, "Microphone paused")
        await it.evaluate("resume()")
        await it.wait_for_selector(".note:text-is('The microphone is back.')")
        await state(it, "Listening")
        said = await it.text_content("#announce") or ""
        assert said.endswith("The microphone is paused.The microphone is back.")
