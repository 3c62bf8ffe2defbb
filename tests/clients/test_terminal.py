"""The terminal clients: a recording, keys, and the commands with a sound card and a terminal."""

import asyncio
import io
import os
import pty
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from assistant.sound import recording
from cli import main as cli
from clients import sources, terminal
from clients.errors import ClientError
from clients.realtime import SETTINGS
from clients.screen import Screen
from streaming.dialogue.session import Session
from tests.clients.needs import missing
from tests.clients.sound_card import SoundCard, sound_card
from tests.clients.test_realtime import SHORT, url
from tests.streaming.fakes import Echo, pcm, session
from tests.streaming.server.test_app import fake, run, serving

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
AGAIN = [{"turn_detection": {"type": "server_vad"}}]


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


class FakePortAudio(types.ModuleType):
    """A microphone that has one rate and one number of channels; the last one is the loudest."""

    class PortAudioError(Exception):
        """Of PortAudio."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels

    def check_input_settings(self, samplerate: int, channels: int, **_: Any) -> None:
        if samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        if channels != self.channels:
            raise self.PortAudioError("Invalid number of channels [PaErrorCode -9998]")

    def query_devices(self, device: int | None, kind: str) -> Json:
        return {"default_samplerate": float(self.rate), "max_input_channels": self.channels}

    def RawInputStream(
        self, samplerate: int, channels: int, callback: Any, blocksize: int, **more: Any
    ) -> Any:
        self.check_input_settings(samplerate, channels)
        tone = np.sin(2 * np.pi * 500 * np.arange(100 * blocksize) / samplerate)
        shares = np.arange(1, channels + 1) / channels
        played = (16_000 * tone[:, None] * shares).astype("<i2").reshape(100, -1)
        for block in played:
            callback(block.tobytes(), blocksize, None, None)
        return open(os.devnull)


@pytest.mark.parametrize("rate", [16_000, 48_000, 44_100])
@pytest.mark.parametrize(("channels", "level"), [(1, 16_000), (2, 12_000), (4, 10_000)])
def test_a_microphone_of_any_rate_and_channels_is_heard_at_16_khz(
    rate: int, channels: int, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(rate, channels))

    @run
    async def listen() -> None:
        heard = b""
        async for piece in sources.microphone(None):
            heard += piece
            if len(heard) > 2 * 16_000:
                break
        samples = np.frombuffer(heard, "<i2")[1600:-1600].astype(float)
        crossings = int((np.diff(np.signbit(samples)) != 0).sum())
        assert abs(crossings - 1000 * len(samples) / 16_000) < 3
        assert abs(np.abs(samples).max() - level) < 300

    listen()


def test_a_microphone_that_cannot_be_opened_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakePortAudio):
        def check_input_settings(self, samplerate: int, channels: int, **_: Any) -> None:
            raise self.PortAudioError("Device unavailable")

    monkeypatch.setitem(sys.modules, "sounddevice", Broken(48_000, 2))

    @run
    async def listen() -> None:
        with pytest.raises(ClientError, match="the microphone cannot be used: Device unavailable"):
            await anext(sources.microphone(None))

    listen()


# --- a real device and a real terminal


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, keyboard: int, running: asyncio.subprocess.Process) -> None:
        self._keyboard, self._running = keyboard, running
        self.shown = ""

    async def until(self, text: str) -> None:
        """Read until it shows a text."""
        loop = asyncio.get_running_loop()
        while text not in self.shown:
            try:
                more = await loop.run_in_executor(None, os.read, self._keyboard, 4096)
            except OSError as over:
                raise AssertionError(f"it ended without {text!r}: {self.shown}") from over
            self.shown += more.decode(errors="replace")

    def press(self, key: str) -> None:
        os.write(self._keyboard, key.encode())

    async def end(self) -> int:
        return await self._running.wait()


async def in_terminal(environment: dict[str, str], *arguments: str) -> Terminal:
    keyboard, screen = pty.openpty()
    command = [sys.executable, "-m", "cli.main", *arguments]
    running = await asyncio.create_subprocess_exec(
        *command, stdin=screen, stdout=screen, stderr=screen,
        env={**environment, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(screen)
    return Terminal(keyboard, running)


def with_card(test: Callable[[SoundCard, Path], Awaitable[None]]) -> Callable[[Path], None]:
    def call(tmp_path: Path) -> None:
        try:
            import sounddevice  # noqa: F401
        except OSError:
            missing("PortAudio is missing: apt-get install libportaudio2 libasound2-plugins")
        with sound_card(tmp_path) as card:
            asyncio.run(asyncio.wait_for(test(card, tmp_path), 240))

    call.__name__ = test.__name__
    return call


def say(folder: Path, seconds: float) -> Path:
    """A recording that the scripted model takes for speech."""
    time = np.arange(round((seconds + 0.6) * 48_000)) / 48_000
    tone = 0.8 * np.sin(2 * np.pi * 300 * time) * ((time > 0.3) & (time < 0.3 + seconds))
    soundfile.write(folder / "said.wav", tone, 48_000, subtype="PCM_16")
    return folder / "said.wav"


def knocking() -> Session:
    listener = Echo()
    listener.knocks = True
    return session(listener, pace=None)


@with_card
async def test_talking_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host):
        talk = await in_terminal(card.environment, "talk", "--server", url(host))
        await talk.until("listening")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        await talk.until("I heard")
        await talk.until("all”")
        await talk.until("of silence")
        assert "♪ knock" in talk.shown
        assert "▮▮▮▮▮▮" in talk.shown  # the level
        talk.press("\nWhat?\n")
        await talk.until("? What?")
        talk.press("q")
        assert await talk.end() == 0


@with_card
async def test_push_to_talk_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake()) as (_, host):
        arguments = ["talk", "--server", url(host), "--push-to-talk", "--device", "default"]
        talk = await in_terminal(card.environment, *arguments)
        await talk.until("muted")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        assert "I heard" not in talk.shown
        talk.press(" ")
        await talk.until("Space sends")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        talk.press(" ")
        await talk.until("I heard")
        talk.press("q")
        assert await talk.end() == 0


@with_card
async def test_reading_along_through_a_sound_card(card: SoundCard, folder: Path) -> None:
    async with serving(fake(knocking)) as (_, host):
        listen = await in_terminal(card.environment, "listen", "--server", url(host))
        await listen.until("listening")
        await asyncio.to_thread(card.play, say(folder, 0.5))
        await listen.until("all”")
        listen.press("q")
        assert await listen.end() == 0
        assert "♪ knock" in listen.shown
        assert "I heard" not in listen.shown


@with_card
async def test_microphones_are_listed(card: SoundCard, folder: Path) -> None:
    listed = await in_terminal(card.environment, "talk", "--devices")
    await listed.until("default")
    assert await listed.end() == 0
    async with serving() as (_, host):
        arguments = ["talk", "--server", url(host), "--device", "no such"]
        wrong = await in_terminal(card.environment, *arguments)
        await wrong.until("the microphone cannot be used")
        assert await wrong.end() == 1


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


# --- files that are no recordings


def bad_recordings(folder: Path) -> dict[str, tuple[str, str]]:
    """What is wrong -> the file, and what is told."""
    os.mkfifo(folder / "fifo.wav")
    (folder / "folder.wav").mkdir()
    (folder / "a\nb\x1b[31m.wav").mkdir()
    soundfile.write(folder / "slow.wav", np.zeros(200), 999)
    soundfile.write(folder / "nan.wav", np.array([0, np.nan]), 16_000, subtype="FLOAT")
    (folder / "raw.wav").write_bytes(SPOKEN)
    (folder / "raw.raw").write_bytes(SPOKEN)
    return {
        "fifo": ("fifo.wav", "fifo.wav: not a regular file"),
        "folder": ("folder.wav", "folder.wav: not a regular file"),
        "input": ("-", "-: not a regular file"),
        "device": ("/dev/null", "/dev/null: not a regular file"),
        "name": ("a\nb\x1b[31m.wav", "a\\nb\\x1b[31m.wav: not a regular file"),
        "bidi": ("\u202egpj.wav", "\\u202egpj.wav: no such file"),
        "rate": ("slow.wav", "slow.wav: sample rate 999 Hz is outside"),
        "nan": ("nan.wav", "nan.wav: sample 1 is not a finite number"),
        "raw in wav": ("raw.wav", "raw.wav: not readable as audio (it has no WAV header"),
        "raw": ("raw.raw", "raw.raw: not readable as audio (raw samples have no header)"),
    }


@pytest.mark.parametrize("command", ["ask", "replay", "record", "send"])
def test_what_is_no_recording_is_one_line_and_never_waited_for(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"record": ["tape.jsonl"], "send": ["--server", "ws://127.0.0.1:9/v1/realtime"]}
    for name, (file, expected) in bad_recordings(tmp_path).items():
        words = [command, *more.get(command, []), "--preset", "tiny", "--", file]
        if command == "record":
            words = [command, "--preset", "tiny", "--", file, "tape.jsonl"]
        monkeypatch.setattr(sys, "argv", ["salmonn-live", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert caught.value.code == 1, name
        assert out == "", name
        assert err.count("\n") == 1, (name, err)
        assert err.startswith(f"salmonn-live: {expected}"), (name, err)


def test_send_sends_what_replay_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).uniform(-1.2, 1.2, (9600, 2))
    soundfile.write(tmp_path / "a.wav", sound, 48_000, subtype="FLOAT")
    given: list[bytes] = []

    async def converse(
        url: str, token: str | None, settings: Json, source: Any, out: Console
    ) -> None:
        given.extend([piece async for piece in source])

    monkeypatch.setattr(terminal, "converse", converse)
    monkeypatch.setattr(
        sys, "argv", ["x", "send", str(tmp_path / "a.wav"), "--server", "ws://h", "--speed", "999"]
    )
    with pytest.raises(SystemExit):
        cli.main()
    heard = recording.to_pcm16(recording.load(tmp_path / "a.wav"))
    assert b"".join(given) == heard + bytes(2 * 2 * 16_000)


@pytest.mark.parametrize("server", ["127.0.0.1:8765/v1/realtime", "ftp://h", "ws:///x"])
def test_a_server_that_is_no_address_is_one_line(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(160), 16_000)
    monkeypatch.setattr(sys, "argv", ["x", "send", str(tmp_path / "a.wav"), "--server", server])
    with pytest.raises(SystemExit):
        cli.main()
    err = capsys.readouterr().err
    assert err.startswith("salmonn-live: ")
    assert "ws://HOST:PORT/v1/realtime" in err
    assert err.count("\n") == 1
