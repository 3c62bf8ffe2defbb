"""`POST /v1/audio/transcriptions`, asked by OpenAI's own client."""

import io
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from openai import APIStatusError

from assistant.files.presets import shipped_config
from assistant.model import Salmonn
from assistant.sound.recording import load_pcm16
from streaming.build import make_reader, session_spec
from streaming.config_file import load_config
from streaming.controls import Hold
from streaming.events import Caption
from streaming.server.api import sound
from streaming.server.api.subtitles import srt, vtt
from streaming.server.assistant import Assistant
from tests.streaming.fakes import drain
from tests.streaming.server.api.asked import KITCHEN, asking, tiny_assistant
from tests.streaming.server.test_app import run

SECONDS = 12.42
"""Length of the recording."""


@pytest.fixture(scope="module")
def assistant(tiny: Salmonn) -> Assistant:
    return tiny_assistant(tiny)


def read(tiny: Salmonn) -> str:
    """What a session reads in the recording, without a server."""
    spec = session_spec(tiny, load_config(shipped_config(), "tiny"), "")
    session = make_reader(tiny, spec)
    session.receive(load_pcm16(KITCHEN))
    session.control(Hold())
    captions = [event for event in drain(session) if isinstance(event, Caption)]
    return "".join(caption.settled for caption in captions)


def test_every_form_of_a_transcript_is_what_a_session_reads(
    tiny: Salmonn, assistant: Assistant
) -> None:
    expected = read(tiny).split()

    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            ask: Any = client.audio.transcriptions.create
            about: Any = {"file": KITCHEN, "model": "whisper-1"}
            plain = await ask(**about)
            assert plain.text.split() == expected
            assert plain.usage.seconds == SECONDS
            assert (await ask(**about, response_format="text")).split() == expected
            events = [event async for event in await ask(**about, stream=True)]
            pieces = [event.delta for event in events if event.type == "transcript.text.delta"]
            assert len(pieces) > 2
            assert "".join(pieces) == events[-1].text == plain.text
            verbose = await ask(**about, response_format="verbose_json", language="en")
            assert verbose.duration == SECONDS
            words = [word for one in verbose.segments for word in one.text.split()]
            assert words == expected
            times = [at for one in verbose.segments for at in (one.start, one.end)]
            assert times == sorted(times)
            assert times[0] > 0
            assert times[-1] < SECONDS
            count = len(verbose.segments)
            titles = await ask(**about, response_format="srt")
            assert len(re.findall(r"^00:00:\d\d,\d{3} --> 00", titles, re.MULTILINE)) == count
            titles = await ask(**about, response_format="vtt")
            assert titles.startswith("WEBVTT\n\n")
            assert len(re.findall(r"^00:00:\d\d\.\d{3} --> 00", titles, re.MULTILINE)) == count

    test()


def encoded(suffix: str) -> bytes:
    """Three seconds of the recording in another format."""
    samples, rate = soundfile.read(KITCHEN, frames=3 * 16_000, dtype="int16")
    file = io.BytesIO()
    kinds = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"),
             "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}  # fmt: skip
    if suffix in kinds:
        format_, subtype = kinds[suffix]
        soundfile.write(file, samples, rate, subtype, format=format_)
        return file.getvalue()
    container, codec = {"webm": ("webm", "libopus"), "m4a": ("mp4", "aac")}[suffix]
    with av.open(file, "w", container) as out:
        stream: Any = out.add_stream(codec, rate=48_000 if codec == "libopus" else rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "webm", "m4a"])
def test_recordings_of_these_formats_are_read(assistant: Assistant, suffix: str) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            file = (f"talk.{suffix}", encoded(suffix))
            told = await client.audio.transcriptions.create(file=file, model="x")
            assert told.text
            assert told.usage is not None
            assert told.usage.type == "duration"
            assert told.usage.seconds == pytest.approx(3, abs=0.1)

    test()


def test_silence_has_no_text(assistant: Assistant) -> None:
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(16_000), 16_000, format="WAV")

    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            ask: Any = client.audio.transcriptions.create
            about: Any = {"file": ("a.wav", silence.getvalue()), "model": "x"}
            assert (await ask(**about)).text == ""
            assert await ask(**about, response_format="srt") == ""
            events = [event async for event in await ask(**about, stream=True)]
            assert [event.type for event in events] == ["transcript.text.done"]

    test()


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"language": "de"}, "language"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"response_format": "sing"}, "response_format"),
        ({"response_format": "srt", "stream": True}, "response_format"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"include": ["logprobs"]}, "include"),
        ({"extra_body": {"mood": "x"}}, "mood"),
        ({"file": ("a.wav", b"")}, "file"),
        ({"file": ("a.wav", b"RIFF")}, "file"),
        ({"file": ("a.mp4", b"\0\0\0\x20ftypmp42" + bytes(99))}, "file"),
    ],
)
def test_what_cannot_be_followed_is_an_error_that_names_the_field(
    assistant: Assistant, wanted: dict[str, Any], param: str
) -> None:
    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            ask: Any = client.audio.transcriptions.create
            with pytest.raises(APIStatusError) as raised:
                await ask(**{"file": KITCHEN, "model": "x", **wanted})
            error = raised.value.body
            assert raised.value.status_code == 400
            assert isinstance(error, dict)
            assert error["param"] == param
            assert error["message"].startswith((f"{param}", f"unknown parameter: {param}"))
            assert str(Path.home()) not in error["message"]

    test()


def test_a_recording_may_not_be_too_long(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "LONGEST_S", 5)

    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            with pytest.raises(APIStatusError, match="file: longer than 5 seconds"):
                await client.audio.transcriptions.create(file=KITCHEN, model="x")

    test()


def test_a_small_file_cannot_hold_hours_of_many_channels(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "MOST_VALUES", 2 * 16_000)
    file = io.BytesIO()
    soundfile.write(file, np.zeros((16_000, 8)), 16_000, format="FLAC")

    @run
    async def test() -> None:
        async with asking(assistant) as (_, _, client):
            with pytest.raises(APIStatusError, match="file: longer than 0 seconds"):
                await client.audio.transcriptions.create(file=file.getvalue(), model="x")

    test()


class Cue:
    def __init__(self, start: float, end: float, text: str) -> None:
        self.start, self.end, self.text = start, end, text


def test_subtitles_are_as_their_formats_have_them() -> None:
    cues = [Cue(0.5, 61.25, "One <two>."), Cue(3599.9996, 3723.004, "Three.")]
    assert srt(cues) == (
        "1\n00:00:00,500 --> 00:01:01,250\nOne <two>.\n\n2\n01:00:00,000 --> 01:02:03,004\nThree.\n"
    )
    assert vtt(cues) == (
        "WEBVTT\n\n00:00:00.500 --> 00:01:01.250\nOne &lt;two&gt;.\n\n"
        "01:00:00.000 --> 01:02:03.004\nThree.\n"
    )
