"""Home Assistant's requests over real sockets, with a scripted model."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from wyoming.asr import TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event, Eventable
from wyoming.handle import HandledChunk
from wyoming.info import SelectProgram
from wyoming.ping import Ping

from assistant.voice.voice import VOICE_RATE
from streaming.controls import Key, Role
from streaming.dialogue.aloud import AHEAD_S
from streaming.dialogue.narrator import Narrator
from streaming.server.places import Places
from streaming.wyoming import memory
from streaming.wyoming.place import Place
from streaming.wyoming.speech import Speech
from tests.streaming.fakes import CHARACTER, Echo, Speaker, pcm
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import run
from tests.streaming.wyoming.home_assistant import (
    FORMAT,
    ServiceError,
    ask,
    client,
    describe,
    hear,
    say,
    say_pieces,
)
from tests.streaming.wyoming.services import scripted, serving

QUESTION = "..." + "S" * 8
"""A third of a second of speech, which nothing but its client ends."""

ENDED = QUESTION + "." * 40
"""The same with enough silence after it."""


def pieces(script: str, size: int = 700) -> list[bytes]:
    audio = pcm(script)
    return [audio[at : at + size] for at in range(0, len(audio), size)]


class Diarist(Echo):
    """Remembers everything that was written, for all sessions together."""

    notes: list[str]

    def write(self, ref: str, role: Role, text: str, after: Key | None = None) -> None:
        self.notes.append(f"{role}: {text}")
        super().write(ref, role, text, after)


@run
async def test_describe_tells_what_home_assistant_makes_entities_of() -> None:
    async with serving() as (_, port):
        told = await describe(port)
    (asr,), (handle,), (tts,) = told.asr, told.handle, told.tts
    assert asr.installed
    assert asr.supports_transcript_streaming
    assert not asr.requires_external_vad
    assert not asr.prefers_noise_reduction_enabled
    assert asr.models[0].languages == ["en"]
    assert handle.models[0].languages == ["en"]
    assert not handle.supports_home_control
    assert tts.supports_synthesize_streaming
    assert [voice.name for voice in tts.voices] == ["speaker"]
    assert {asr.name, handle.name, tts.name} == {"salmonn-live"}
    assert not any((told.wake, told.intent, told.mic, told.snd, told.satellite))
    assert all(program.version for program in (asr, handle, tts))


@run
async def test_what_a_preset_cannot_do_is_not_offered() -> None:
    async with serving(scripted(voice=False, reads=False)) as (_, port):
        told = await describe(port)
        assert (told.asr, told.tts) == ([], [])
        assert len(told.handle) == 1
        with pytest.raises(ServiceError, match="nothing to read speech with"):
            await hear(port, pieces(QUESTION))
        with pytest.raises(ServiceError, match="there is no voice"):
            await say(port, "Hello.")


@run
async def test_a_stream_is_read_while_it_comes_and_whole_at_its_end() -> None:
    async with serving() as (_, port):
        result = await hear(port, pieces(QUESTION))
    assert result.kinds[0] == "transcript-start"
    assert result.kinds[-1] == "transcript"
    chunks = [TranscriptChunk.from_event(e).text for e in result.events if "chunk" in e.type]
    assert len(chunks) > 1
    assert "".join(chunks) == result.text
    assert result.text.endswith("all")


@run
async def test_silence_ends_a_stream_before_its_client_does() -> None:
    async with serving() as (_, port):
        endless = (piece for _ in range(1000) for piece in pieces("."))
        result = await hear(port, [*pieces(ENDED), *endless], pause_s=0.0005)
        assert result.text.endswith("all")


@run
async def test_a_stream_without_speech_has_no_text() -> None:
    async with serving() as (places, port):
        assert (await hear(port, pieces("." * 40))).text == ""
        endless = (piece for _ in range(1000) for piece in pieces("." * 20, 12_800))
        assert (await hear(port, endless)).text == "", "it is given up after 15 s"
        await eventually(lambda: not places.worker.sessions)


@run
async def test_older_clients_end_their_streams_themselves() -> None:
    """Those that know nothing of `requires_external_vad`: what they still say is read, too."""
    async with serving() as (_, port), client(port) as service:
        await raw(service, "transcribe", {}, version="1.7.1")
        await raw(service, "audio-start", FORMAT, version="1.7.1")
        for audio in (ENDED, QUESTION):
            chunk = AudioChunk(**FORMAT, audio=pcm(audio)).event()
            await raw(service, "audio-chunk", chunk.data, chunk.payload or b"", "1.7.1")
        await raw(service, "audio-stop", {}, version="1.7.1")
        told = await until(service, "transcript-stop")
        assert [event.type for event in told[-2:]] == ["transcript", "transcript-stop"]
        assert told[-2].data["text"].count("all") == 2, "at either end"


async def raw(
    service: AsyncTcpClient, kind: str, data: object, payload: bytes = b"", version: str = ""
) -> None:
    """Send a frame as another version of the library would."""
    assert service._writer is not None
    head = {"type": kind, "version": version, "data": data}
    if payload:
        head["payload_length"] = len(payload)
    service._writer.write(json.dumps(head).encode() + b"\n" + payload)
    await service._writer.drain()


async def until(service: AsyncTcpClient, kind: str) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1].type != kind:
        event = await service.read_event()
        assert event is not None, [e.type for e in events]
        events.append(event)
    return events


@run
async def test_a_question_is_answered_from_what_was_heard_with_it() -> None:
    async with serving() as (_, port):
        short = await hear(port, pieces(QUESTION))
        answer = await ask(port, short.text)
        assert answer.text == "I heard 3 windows"
        long = await hear(port, pieces("." * 24 + QUESTION))
        assert (await ask(port, long.text)).text == "I heard 9 windows", "what came before it, too"
        assert (await ask(port, long.text)).text == "I heard 0 windows", "once"
        chunks = [HandledChunk.from_event(e).text for e in answer.events if "chunk" in e.type]
    assert answer.kinds[0] == "handled-start"
    assert "".join(chunks) == answer.text


@run
async def test_what_comes_after_the_end_of_a_stream_is_not_heard() -> None:
    """However fast it comes, and in however long a piece."""
    async with serving() as (_, port):
        found = []
        for more in ("", "." * 20 + "S" * 400):
            heard = await hear(port, [pcm(ENDED + more)])
            found.append((heard.text, (await ask(port, heard.text)).text))
        assert found[0] == found[1]


@run
async def test_another_text_is_a_question_of_its_own() -> None:
    async with serving() as (_, port):
        heard = await hear(port, pieces(QUESTION))
        assert (await ask(port, "Something else")).text == "I heard 0 windows"
        spaced = f" {heard.text.upper()}  "
        assert (await ask(port, spaced)).text == "I heard 3 windows", "however it is written"


@run
async def test_what_was_heard_is_forgotten_after_a_while() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "HEARD_S", 0.05)
        async with serving() as (places, port):
            heard = await hear(port, pieces(QUESTION))
            await eventually(lambda: not places.worker.sessions)
            assert (await ask(port, heard.text)).text == "I heard 0 windows"


@run
async def test_ids_tell_whose_words_they_were() -> None:
    async with serving() as (_, port):
        for satellite, script in (("kitchen", QUESTION), ("hall", "." * 24 + QUESTION)):
            heard = await hear(port, pieces(script), {"satellite_id": satellite})
        kitchen = await hear(port, pieces(QUESTION), {"satellite_id": "kitchen"})
        assert kitchen.text != heard.text
        other = await ask(port, kitchen.text, satellite_id="garden")
        assert other.text == "I heard 0 windows", "somebody else's words"
        assert (await ask(port, heard.text, satellite_id="hall")).text == "I heard 9 windows"


@run
async def test_a_conversation_goes_on() -> None:
    notes: list[str] = []

    def listener() -> Echo:
        made = Diarist()
        made.notes = notes
        return made

    async with serving(scripted(listener)) as (_, port):
        heard = await hear(port, pieces(QUESTION))
        first = await ask(port, heard.text, conversation_id="talk")
        assert notes == []
        again = await hear(port, pieces(QUESTION))
        await ask(port, again.text, conversation_id="talk")
        assert notes == [f"user: {heard.text}", f"assistant: {first.text}"]
        notes.clear()
        await ask(port, "And you?", conversation_id="another")
        assert notes == []


@run
async def test_who_reads_no_words_is_told_none() -> None:
    notes: list[str] = []

    def listener() -> Echo:
        made = Diarist()
        made.notes = notes
        return made

    async with serving(scripted(listener, words=False)) as (_, port):
        for _ in range(2):
            await ask(port, "And you?", conversation_id="talk")
    assert notes == []


@run
async def test_a_text_is_spoken() -> None:
    async with serving() as (_, port):
        sound = await say(port, "Hello there. How are you?", "speaker")
        assert sound.kinds[0] == "audio-start"
        assert sound.kinds[-1] == "audio-stop"
        assert sound.rate == VOICE_RATE
        assert len(sound.pcm) == 2 * CHARACTER * len("Hello there. How are you?")
        assert (await say(port, "  \n")).pcm == b""
        with pytest.raises(ServiceError, match="only speaker is here"):
            await say(port, "Hello.", "emma")


@run
async def test_a_text_is_spoken_while_it_comes() -> None:
    first_said = asyncio.Event()

    async def told() -> AsyncIterator[str]:
        yield "Hel"
        yield "lo. Th"
        await asyncio.wait_for(first_said.wait(), 10)
        yield "ere."

    async def heard() -> None:
        sound = await say_pieces(port, told())
        assert sound.kinds[0] == "audio-start"
        assert sound.kinds[-2:] == ["audio-stop", "synthesize-stopped"]
        assert len(sound.pcm) == 2 * CHARACTER * len("Hello. There."), "once, not twice"

    async with serving() as (_, port):
        first_said.set()
        await heard()


@run
async def test_no_more_is_spoken_than_a_client_takes() -> None:
    taken = asyncio.Event()

    async def send(said: Eventable) -> None:
        if AudioChunk.is_type(said.event().type):
            await taken.wait()

    voice = Speaker()
    places = Places(1)
    try:
        speech = Speech(await Place.take(places, lambda: Narrator(voice)), send)
        speech.say("This is a sentence that is of some length, as they are. " * 100)
        await eventually(lambda: len(voice.spoken) > 5)
        await asyncio.sleep(0.05)
        assert len("".join(voice.spoken)) < 100 * AHEAD_S + 280, "some seconds, and a clause"
        taken.set()
        await speech.finish()
        assert len("".join(voice.spoken)) == 5600
    finally:
        places.stop()


@run
async def test_a_connection_may_ask_for_one_thing_after_another() -> None:
    async with serving() as (_, port), client(port) as service:
        for _ in range(2):
            await service.write_event(Ping("there?").event())
            assert (await until(service, "pong"))[-1].data == {"text": "there?"}
            await service.write_event(SelectProgram("salmonn-live").event())
            await service.write_event(Event("of-another-version", {"x": 1}, b"12345"))
            await service.write_event(AudioStart(**FORMAT).event())
            for piece in pieces(QUESTION):
                await service.write_event(AudioChunk(**FORMAT, audio=piece).event())
            await service.write_event(AudioStop().event())
            text = (await until(service, "transcript"))[-1].data["text"]
            await until(service, "transcript-stop")
            await service.write_event(Event("transcript", {"text": text}))
            assert (await until(service, "handled"))[-1].data["text"] == "I heard 3 windows"
            await until(service, "handled-stop")
