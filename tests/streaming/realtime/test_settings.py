"""The wire: the session's settings, as they are told and changed."""

import itertools

from streaming.realtime.protocol import Realtime
from streaming.realtime.wire import SessionConfig
from tests.streaming.realtime.client import DEFAULTS, MANUAL, Client


def test_the_first_event_tells_all_settings() -> None:
    counts = itertools.count()
    config = SessionConfig(id="sess_1", model="tiny", instructions="Reply.")
    protocol = Realtime(
        config, DEFAULTS, lambda kind: f"{kind}_{next(counts)}", longest=50, longest_text=9000,
        audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=False,
    )  # fmt: skip
    (created,) = protocol.begin().events
    told = created["session"]
    assert (created["type"], told["type"], told["object"]) == (
        "session.created", "realtime", "realtime.session",
    )  # fmt: skip
    assert told["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert told["audio"]["input"]["turn_detection"]["interrupt_response"] is True
    assert told["output_modalities"] == ["text"]


def test_only_what_is_there_changes() -> None:
    client = Client()
    (told,) = client.update({"instructions": "Be brief.", "tracing": "auto"})
    assert told["type"] == "session.updated"
    assert told["session"]["instructions"] == "Be brief."
    assert told["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 160
    (told,) = client.update({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert told["session"]["audio"]["input"]["turn_detection"]["eagerness"] == "auto"
    assert told["session"]["audio"]["input"]["format"]["rate"] == 16000
    (told,) = client.update(MANUAL)
    assert told["session"]["audio"]["input"]["turn_detection"] is None
    assert "configured Be brief." in client.listener.diary


def test_push_to_talk_gives_back_the_configured_endpointing() -> None:
    client = Client()
    client.update(MANUAL)
    (told,) = client.update({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    silence_ms = told["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"]
    assert silence_ms == 20 * DEFAULTS.endpointing.min_silence_frames != 500


def test_how_tokens_are_drawn_is_a_setting() -> None:
    client = Client()
    client.update({"salmonn": {"temperature": 0.7, "top_p": 0.8}})
    assert client.listener.sampling == (0.7, 0.8)


def test_whoever_wants_audio_is_told_that_there_is_text() -> None:
    (told,) = Client().update({"output_modalities": ["audio"]})
    assert told["session"]["output_modalities"] == ["text"]


def test_what_cannot_be_had_is_told_as_off() -> None:
    (told,) = Client().update({"salmonn": {"sound_events": True, "latency": True}})
    assert told["session"]["salmonn"]["sound_events"] is False
    assert told["session"]["salmonn"]["latency"] is True
