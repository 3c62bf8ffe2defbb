"""Sessions whose LLM reads words: the toy's keep the laws, the real one answers what it hears."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load
from assistant.parts.components import GGUFS, locate_parts
from assistant.prompt.prompt import tasks
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.tools.tool import Tool
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE
from streaming.build import build_session, make_session, session_spec
from streaming.config_file import load_config
from streaming.controls import Ask, Commit, Configure, Control, Returned, Write
from streaming.dialogue.session import Session, one_each
from streaming.dialogue.work import NEED_DATA
from streaming.events import Event, SpeechEnded, ToolCalled
from streaming.instruments.ledger import Latency
from streaming.instruments.replay import replay
from streaming.server.build import build_assistant
from tests.assistant.prompt.test_words import words_model
from tests.test_nano import replies

DEMO = Path(__file__).parents[1] / "demo"


def converse(model: Salmonn, pcm: bytes, chunk_bytes: int, instruction: str) -> list[Event]:
    config = load_config(shipped_config(), "tiny")
    session = build_session(model, config, instruction, pace=one_each)
    events = replay(session, pcm, chunk_bytes=chunk_bytes)
    return [event for event in events if not isinstance(event, Latency)]


def asked(model: Salmonn, pcm: bytes, question: str) -> str:
    """The answer to a typed question about a recording."""
    config = load_config(shipped_config(), "tiny")
    session = build_session(model, config, tasks()["talk"], pace=one_each)
    (reply,) = replies(scripted(session, [pcm, Ask(question), bytes(8 * SAMPLE_RATE)]))
    return reply


def scripted(session: Session, script: list[bytes | Control]) -> list[Event]:
    """What a session tells of what it is sent."""
    for piece in script:
        if isinstance(piece, bytes):
            session.receive(piece)
        else:
            session.control(piece)
    session.receive_eof()
    events: list[Event] = []
    while (new := session.step()) is not NEED_DATA:
        assert isinstance(new, list)
        events += new
    return events


@pytest.mark.parametrize("chunk_bytes", [1_001, 64_000])
def test_the_same_events_however_the_input_is_cut(chunk_bytes: int) -> None:
    model = words_model()
    pcm = recording.to_pcm16(recording.load(DEMO / "kitchen.flac"))
    events = converse(model, pcm, 640, "Hi.")
    assert len(replies(events)) == 3
    assert converse(model, pcm, chunk_bytes, "Hi.") == events


def test_usage_has_no_audio_tokens() -> None:
    model, config = words_model(), load_config(shipped_config(), "tiny")
    assistant = build_assistant(model, config, "Hi.")
    numbers = itertools.count()
    protocol = assistant.new_protocol("sess", lambda kind: f"{kind}_{next(numbers)}", 0)
    protocol.begin()
    pcm = recording.to_pcm16(recording.load(DEMO / "kitchen.flac"))
    told = [sent for e in converse(model, pcm, 640, "Hi.") for sent in protocol.translate(e)]
    used = [sent["response"]["usage"] for sent in told if sent["type"] == "response.done"]
    assert len(used) == 3
    for usage in used:
        assert usage["input_token_details"]["audio_tokens"] == 0
        assert usage["input_token_details"]["text_tokens"] > 20


# --- the real ones, where their parts are installed -----------------------------------------------


@pytest.fixture(scope="module", params=["small", "mini"])
def real(request: pytest.FixtureRequest) -> Salmonn:
    config = load_preset(shipped_config(), request.param)[1]
    name = config.llm.weights[0].removeprefix("package:")
    if locate_parts(GGUFS[name]) is None:
        pytest.skip(f"requirements/{request.param}.txt is not installed")
    return load(config)


@pytest.mark.small
def test_a_command_is_heard_and_not_claimed_to_be_done(real: Salmonn) -> None:
    pcm = recording.to_pcm16(recording.load(DEMO / "kitchen.flac"))
    events = converse(real, pcm, 640, tasks()["talk"])
    first, *rest = replies(events)
    assert "can't" in first
    assert len(rest) == 2
    assert converse(real, pcm, 1_001, tasks()["talk"]) == events


def with_a_pause(text: str, after: str, seconds: float) -> bytes:
    """A sentence, spoken in one go and cut after some of its words, in a quiet room."""
    voice = load_voice("heart")
    assert voice is not None
    speech = voice.speak(text)
    at = next(word.begin for word in speech.words if word.end > len(after) + 1)
    whole = np.frombuffer(speech.pcm, "<i2").astype(np.float32) / np.float32(2**15)
    parts = [recording.resample(part, VOICE_RATE) for part in (whole[:at], whole[at:])]
    room = np.random.default_rng(1).normal(0, 5e-4, 6 * SAMPLE_RATE).astype(np.float32)
    quiet = [room[: int(s * SAMPLE_RATE)] for s in (1.0, seconds, 3.0)]
    pieces = [quiet[0], parts[0], quiet[1], parts[1], quiet[2]]
    return recording.to_pcm16(np.concatenate(pieces))


@pytest.mark.small
@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("Set a timer for ten minutes.", "Set a timer for"),
        ("Turn off the lights in the kitchen.", "Turn off the lights in"),
        ("What is the capital of France?", "What is the"),
    ],
)
def test_whoever_stops_to_think_is_not_interrupted(real: Salmonn, text: str, after: str) -> None:
    config = load_config(shipped_config(), "small")
    session = build_session(real, config, tasks()["talk"], pace=one_each)
    ends = [
        event
        for event in scripted(session, [with_a_pause(text, after, 0.8)])
        if isinstance(event, SpeechEnded)
    ]
    assert len(ends) == 1
    assert ends[0].decided_at - ends[0].at < SAMPLE_RATE


@pytest.mark.small
def test_a_sound_is_named(real: Salmonn) -> None:
    waves = recording.to_pcm16(recording.load(DEMO / "waves.flac"))
    assert "wave" in asked(real, waves, "What was that sound?")


@pytest.mark.small
@pytest.mark.parametrize("real", ["small"], indirect=True)
def test_what_was_typed_and_said_is_one_conversation(real: Salmonn) -> None:
    """The last four answers come of what stands in the context alone."""
    spec = session_spec(real, load_config(shipped_config(), "tiny"), tasks()["talk"])
    turns = spec.turns.model_copy(update={"turns_kept": 12})
    talk = make_session(real, spec.model_copy(update={"turns": turns}), pace=one_each)
    pcm = recording.to_pcm16(recording.load(DEMO / "kitchen.flac"))[: 2 * 16_000 * 5]
    answer_now = Commit(or_ring=True)
    script: list[bytes | Control] = [
        Write("My cat is called Mitzi.", ref="cat"), answer_now, bytes(10 * 32_000),
        pcm, bytes(10 * 32_000),
        Write("What is my cat called?", ref="q1"), answer_now, bytes(10 * 32_000),
        Write("Which light did I speak of?", ref="q2"), answer_now, bytes(10 * 32_000),
        Write("The user is in Graz.", "system", "note"),
        Write("In which city am I?", ref="q3"), answer_now, bytes(10 * 32_000),
    ]  # fmt: skip
    first, spoken, cat, light, city = replies(scripted(talk, script))
    assert first
    assert spoken
    assert "Mitzi" in cat
    assert "kitchen" in light.lower()
    assert "Graz" in city


@pytest.mark.small
@pytest.mark.parametrize("real", ["small"], indirect=True)
def test_a_function_is_called_and_what_came_of_it_is_told(real: Salmonn) -> None:
    spec = session_spec(real, load_config(shipped_config(), "tiny"), tasks()["talk"])
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = Tool("get_weather", "Get the weather in a city.", city)
    turns = spec.turns.model_copy(update={"turns_kept": 12})
    talk = make_session(real, spec.model_copy(update={"turns": turns}), pace=one_each)
    answer_now = Commit(or_ring=True)
    events = scripted(talk, [
        Configure(tools=(weather,)), Write("What is the weather in Graz?", ref="q"), answer_now,
        bytes(10 * 32_000), Returned("call_0_0", '{"sky": "thunderstorm", "celsius": 17}'),
        answer_now, bytes(10 * 32_000),
        Write("Order a pizza for me.", ref="p"), answer_now, bytes(10 * 32_000),
    ])  # fmt: skip
    (call,) = [event for event in events if isinstance(event, ToolCalled)]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Graz"})
    *_, told, refused = replies(events)
    assert "thunder" in told
    assert "17" in told
    assert "can't" in refused


@pytest.mark.small
def test_no_sound_is_invented(real: Salmonn) -> None:
    quiet = recording.to_pcm16(np.zeros(4 * SAMPLE_RATE, np.float32))
    assert "n't" in asked(real, quiet, "What was that sound?")


def test_an_llm_that_reads_words_remembers_and_one_that_hears_does_not(tiny: Salmonn) -> None:
    config = load_config(shipped_config(), "tiny")
    assert session_spec(tiny, config, "Hi.").turns.turns_kept == 0
    reading = replace(config, model=config.model.model_copy(update={"reads": "words"}))
    assert session_spec(tiny, reading, "Hi.").turns.turns_kept == 12
    two = replace(reading, turns=config.turns.model_copy(update={"turns_kept": 2}))
    assert session_spec(tiny, two, "Hi.").turns.turns_kept == 2
