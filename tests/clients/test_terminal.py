"""The terminal clients: a recording, keys, and a program without a keyboard."""

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rich.console import Console

from clients import sources, terminal
from clients.errors import ClientError
from clients.realtime import SETTINGS
from clients.screen import Screen
from tests.clients.servers import SHORT, url
from tests.streaming.fakes import pcm
from tests.streaming.server.test_app import run, serving

Json = dict[str, Any]
SPOKEN = pcm("...SSSS" + "." * 40)


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def told(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@run
async def test_a_recording_is_sent_and_what_comes_is_shown() -> None:
    out = console()
    source = sources.recording(SPOKEN, speed=50, piece_s=0.033)
    async with serving() as (_, host):
        await terminal.converse(url(host), None, SHORT, source, out)
    assert "→ I heard 3 windows" in told(out)
    assert "ms to the first text, after 160 ms of silence" in told(out)
    assert "all”" in told(out)


@run
async def test_reading_along_gets_no_answers() -> None:
    out = console()
    source = sources.recording(SPOKEN, speed=50, piece_s=0.04)
    async with serving() as (_, host):
        await terminal.converse(url(host), None, terminal.CAPTIONS_ONLY, source, out)
    assert "all”" in told(out)
    assert "→" not in told(out)


class Sent:
    """A session that only writes down what it is to send."""

    def __init__(self) -> None:
        self.events: list[Json | str] = []
        self.typed: str | None = None  # and not asked

    async def send(self, kind: str, **fields: Any) -> None:
        match fields:
            case {"session": {"audio": {"input": detection}}}:
                self.events.append(detection)
            case {"response_id": name}:
                self.events.append(f"cancel {name}")
            case {"item": {"content": [{"text": text}], "role": "user"}}:
                self.typed = text
            case {"item_id": name}:
                self.events.append(f"delete {name}")
            case {"response": _} if self.typed is not None:
                self.events.append(f"ask {self.typed}")
                self.typed = None
            case _:
                self.events.append(kind)


def talker(settings: Json = SETTINGS, muted: bool = False) -> tuple[terminal.Talker, Sent, Screen]:
    sent, screen = Sent(), Screen(console())
    return terminal.Talker(sent, screen, settings, muted), sent, screen  # type: ignore[arg-type]


LOUD = pcm("S")
HELD = [{"turn_detection": None}]
SAID = ["input_audio_buffer.commit", "response.create"]
AGAIN = [{"turn_detection": {"type": "semantic_vad"}}]


@run
async def test_what_is_muted_is_heard_while_space_says_so() -> None:
    talk, sent, screen = talker(muted=True)
    assert (talk.hear(LOUD), screen.doing) == (bytes(len(LOUD)), "muted")
    await talk.press(" ")
    assert (talk.hear(LOUD), screen.doing) == (LOUD, "listening: Space sends")
    await talk.press(" ")
    assert talk.hear(LOUD) == bytes(len(LOUD))
    assert sent.events == [*HELD, *SAID, *AGAIN]
    await talk.press("m")
    assert (talk.hear(LOUD), screen.doing) == (LOUD, "listening")


@run
async def test_space_cancels_an_answer() -> None:
    talk, sent, _ = talker()
    await talk.take(created("resp_1"))
    await talk.press(" ")
    assert sent.events == ["cancel resp_1", *HELD]
    await talk.take(created("resp_2"))  # an endpoint's, which was on its way
    assert sent.events[-1] == "cancel resp_2"


@run
async def test_a_question_is_typed() -> None:
    talk, sent, screen = talker()
    for key in "\nWhy m\x7fm \n":
        assert await talk.press(key)
    assert sent.events == ["ask Why m"]
    for key in "\nWhat\x1b":
        assert await talk.press(key)
    assert screen.typing is None
    assert len(sent.events) == 1
    assert not await talk.press("q")


def created(name: str, question: int | None = None) -> Json:
    metadata = None if question is None else {"question": str(question)}
    return {"type": "response.created", "response": {"id": name, "metadata": metadata}}


def begun(name: str) -> Json:
    return {"type": "response.output_item.added", "response_id": name}


def done(name: str, status: str = "completed") -> Json:
    return {"type": "response.done", "response": {"id": name, "status": status}}


def given(name: str, text: str) -> list[Json]:
    delta = {"type": "response.output_text.delta", "response_id": name, "delta": text}
    return [begun(name), delta, done(name)]


SPEAKS = {"type": "input_audio_buffer.speech_started"}
FALLS_SILENT = {"type": "input_audio_buffer.speech_stopped"}


async def follow(talk: terminal.Talker, screen: Screen, *events: Json) -> None:
    for event in events:
        await talk.take(event)
        screen.show(event)


async def type_in(talk: terminal.Talker, *questions: str) -> None:
    for question in questions:
        for key in f"\n{question}\n":
            await talk.press(key)


@run
async def test_a_typed_question_stands_above_its_answer_whoever_waits_for_whom() -> None:
    talk, sent, screen = talker()
    with screen:
        await follow(talk, screen, SPEAKS)
        await type_in(talk, "One?", "Two?")
        assert sent.events == ["ask One?"]
        assert screen.waiting == ["One?", "Two?"]
        await follow(talk, screen, created("resp_1", 1), FALLS_SILENT, created("resp_2"))
        await follow(talk, screen, *given("resp_2", "Spoken."), *given("resp_1", "First."))
        assert sent.events == ["ask One?", "ask Two?"]
        await follow(talk, screen, created("resp_3", 2), *given("resp_3", "Second."))
        assert screen.waiting == []
    assert told(screen._out).splitlines() == [
        "→ Spoken.", "? One?", "→ First.", "? Two?", "→ Second.",
    ]  # fmt: skip


def test_a_terminal_says_what_a_typed_question_waits_for() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with Screen(out) as screen:
        screen.waiting = ["What?"]
        screen.show(SPEAKS)
        assert told(out).endswith("? What?  (waits until you have finished)")
        screen.show(FALLS_SILENT)
        screen.show(begun("resp_1"))
        assert told(out).endswith("? What?  (waits until this answer is complete)")
        screen.show(done("resp_1"))
        assert told(out).endswith("? What?")
        screen.holding = True
        screen.draw(now=True)
        assert told(out).endswith("? What?  (waits until you have finished)")


@run
async def test_a_question_that_is_refused_keeps_no_other_from_being_asked() -> None:
    talk, sent, screen = talker()
    early = {"code": "conversation_already_has_active_response", "message": "One is."}
    long = {"code": "string_above_max_length", "message": "It is too long."}
    await type_in(talk, "One?", "Two?")
    await follow(talk, screen, created("resp_1"))  # an endpoint was sooner
    await follow(talk, screen, {"type": "error", "error": {**early, "event_id": "ask_1"}})
    assert screen.waiting == ["One?", "Two?"]
    await follow(talk, screen, *given("resp_1", "Spoken."))
    await follow(talk, screen, {"type": "error", "error": {**long, "event_id": "ask_2"}})
    assert sent.events == ["ask One?", "delete typed_1", "ask One?", "ask Two?"]
    await follow(talk, screen, created("resp_x", 2))  # its message was refused: it asks nothing
    assert sent.events[-1] == "cancel resp_x"
    await follow(talk, screen, done("resp_x", "cancelled"))
    await follow(talk, screen, created("resp_2", 3), done("resp_2", "failed"))
    assert told(screen._out).splitlines() == ["→ Spoken.", "? One?", "It is too long.", "? Two?"]
    assert screen.waiting == []


@run
async def test_what_space_held_is_asked_before_what_was_typed() -> None:
    talk, sent, screen = talker()
    await follow(talk, screen, SPEAKS)
    await type_in(talk, "Typed?")
    await follow(talk, screen, created("resp_1", 1))
    await talk.press(" ")
    await follow(talk, screen, done("resp_1", "cancelled"), FALLS_SILENT)
    await type_in(talk, "Another?")
    await talk.press(" ")
    taken_back = ["cancel resp_1", *HELD, "delete typed_1"]
    assert sent.events == ["ask Typed?", *taken_back, *SAID, *AGAIN]
    await follow(talk, screen, created("resp_2", 2), *given("resp_2", "Held."))
    assert sent.events[-1] == "ask Typed?"
    assert screen.waiting == ["Typed?", "Another?"]
    late = {"code": "nothing_to_do", "message": "No reply.", "event_id": "cancel"}
    await follow(talk, screen, {"type": "error", "error": late})
    assert told(screen._out).splitlines() == ["→ Held."]


@run
async def test_answers_may_be_over_while_they_are_cancelled() -> None:
    class Hasty(Sent):
        async def send(self, kind: str, **fields: Any) -> None:
            await super().send(kind, **fields)
            await talk.take(done("resp_1"))
            await talk.take(done("resp_2"))

    sent = Hasty()
    talk = terminal.Talker(sent, Screen(console()), SETTINGS, muted=False)  # type: ignore[arg-type]
    await talk.take(created("resp_1"))
    await talk.take(created("resp_2"))
    await talk.press(" ")
    assert sent.events == ["cancel resp_1", "cancel resp_2", *HELD]


@run
async def test_a_session_that_has_lasted_long_enough_is_followed_by_another() -> None:
    out = console()

    async def pieces() -> AsyncIterator[bytes]:
        while "I heard" not in told(out).partition("new session")[2]:
            async for piece in sources.recording(SPOKEN, speed=20, piece_s=0.04):
                yield piece

    async with serving(session_minutes=0.02) as (_, host):
        await terminal.talk(url(host), None, SHORT, pieces(), out)
    assert "this session ends in 1 s; a new one begins then\n" in told(out)
    assert "connected to a new session: what was heard before is forgotten\n" in told(out)
    assert "as long as it may" not in told(out)


@run
async def test_who_reads_along_cannot_make_it_answer() -> None:
    talk, sent, screen = talker(terminal.CAPTIONS_ONLY)
    for key in " \n":
        await talk.press(key)
    assert (sent.events, screen.typing) == ([], None)
    assert "Space" not in screen.hint


def test_a_terminal_shows_what_goes_on() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    kind = "conversation.item.input_audio_transcription"
    with Screen(out) as screen:
        screen.level(0.25)
        screen.show({"type": f"{kind}.delta", "delta": "what"})
        assert "“what …" in told(out)
        assert "▮" * 10 + "▯" * 10 + "  listening" in told(out)
        screen.show(begun("r"))
        screen.show({"type": "response.output_text.delta", "delta": "A dog."})
        assert "→ A dog.▍" in told(out)
        screen.show(done("another", "cancelled"))  # which waited
        assert "interrupted" not in told(out)
        screen.show({"type": "response.done", "response": {"id": "r", "status": "cancelled"}})
    assert "→ A dog. (interrupted)" in told(out)


def _source(*pieces: bytes) -> AsyncIterator[bytes]:
    async def give() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return give()


@pytest.fixture(params=["no terminal", "closed", "Windows"])
def no_keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a keyboard."""
    if request.param == "Windows":
        monkeypatch.setitem(sys.modules, "termios", None)
        monkeypatch.setitem(sys.modules, "tty", None)
    else:
        monkeypatch.setattr(sys, "stdin", io.StringIO() if request.param == "no terminal" else None)


@pytest.mark.usefixtures("no_keys")
def test_pushing_to_talk_needs_a_keyboard() -> None:
    @run
    async def test() -> None:
        with pytest.raises(ClientError, match="keys cannot be read"):
            await terminal.talk("ws://x", None, SETTINGS, _source(), console(), push_to_talk=True)

    test()


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("is_terminal", [False, True])
def test_talking_needs_no_keyboard_and_says_so(is_terminal: bool) -> None:
    answered = asyncio.Event()

    class Shown(io.StringIO):
        def write(self, text: str) -> int:
            if "→ I heard" in text:
                answered.set()
            return super().write(text)

    out = Console(file=Shown(), width=100, force_terminal=is_terminal, color_system=None)
    spoken = sources.recording(SPOKEN, speed=50, piece_s=0.04)

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in spoken:
            yield piece
        await answered.wait()

    @run
    async def test() -> None:
        async with serving() as (_, host):
            await terminal.talk(url(host), None, SHORT, pieces(), out)

    test()
    assert "keys cannot be read" in told(out)
    assert "Ctrl+C ends" in told(out)
    assert "Enter type" not in told(out)


def test_another_session_is_told_in_a_line() -> None:
    out = console()
    with Screen(out) as screen:
        screen.show({"type": "response.created"})
        screen.show({"type": "response.output_text.delta", "delta": "A d"})
        screen.show({"type": "salmonn.restarted"})
        assert not screen.expecting
    assert told(out).splitlines() == [
        "→ A d (interrupted)",
        "connected to a new session: what was heard before is forgotten",
    ]


def test_the_screen_says_what_wakes_the_assistant() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    with Screen(out) as screen:
        screen.level(0.5)
        screen.show({"type": "salmonn.wake", "audio_ms": 0, "awake": False, "phrase": "Hey"})
        assert "asleep: say “Hey”" in told(out)
        screen.show({"type": "salmonn.wake", "audio_ms": 9, "awake": True, "phrase": None})
        assert told(out).rfind("listening") > told(out).rfind("asleep")
        screen.show({"type": "salmonn.wake", "audio_ms": 0, "awake": False, "phrase": "Hey"})
        screen.show({"type": "salmonn.restarted"})
        assert told(out).rfind("listening") > told(out).rfind("asleep")
