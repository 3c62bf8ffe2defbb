"""The page in a real browser: click, speak, hold, type, read."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.prompt.prompt import tasks
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import load
from streaming.config_file import load_config
from streaming.server.build import build_assistant
from tests.clients.browser import DENIED, Server, hearing, page, run, state, tones
from tests.clients.on_the_page import accessible, ask, asked, knocking, more_answers, turn, type_in
from tests.streaming.fakes import WINDOW, Echo, session
from tests.streaming.server.test_app import fake, serving

Act = Callable[[], Awaitable[None]]

WAVES = Path(__file__).parents[2] / "demo" / "waves.flac"


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
