"""What a client's settings are here, and what is told back of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.config import Eagerness, EndpointingConfig, TurnsConfig
from streaming.realtime.session_config import (
    SETTINGS_BYTES,
    Settings,
    initial,
    settings_for,
    update,
)
from streaming.realtime.wire import (
    Pcm,
    Pcma,
    Pcmu,
    SemanticVad,
    ServerVad,
    SessionConfig,
    WireError,
)

Json = dict[str, Any]
CONFIG = SessionConfig(id="sess_1", model="tiny", instructions="Reply.")
SHIPPED = Settings(TurnsConfig(), EndpointingConfig(eagerness=None))

turns = st.builds(
    TurnsConfig,
    context_s=st.floats(0, 60),
    rejoin_s=st.floats(0, 5),
    captions=st.booleans(),
    sound_events=st.booleans(),
    auto_reply=st.booleans(),
    speculate=st.booleans(),
    turns_kept=st.integers(0, 9),
    barge_in_frames=st.none() | st.integers(1, 1500),
    idle_timeout_s=st.none() | st.integers(5_000, 30_000).map(lambda ms: ms / 1000),
)
endpointing = st.integers(1, 1500).flatmap(
    lambda silence: st.builds(
        EndpointingConfig,
        detector=st.sampled_from(["silero", "webrtc"]),
        aggressiveness=st.integers(0, 3),
        threshold=st.floats(0, 1, exclude_min=True, exclude_max=True),
        min_speech_frames=st.integers(1, 50),
        pause_frames=st.integers(1, silence),
        min_silence_frames=st.just(silence),
        eagerness=st.sampled_from([None, "low", "medium", "high", "auto"]),
        max_utterance_s=st.floats(1, 60),
    )
)


@given(turns, endpointing)
def test_a_session_begins_with_exactly_the_configuration(
    turns: TurnsConfig, endpointing: EndpointingConfig
) -> None:
    settings = Settings(turns, endpointing)
    told = initial(settings, id="s", model="m", instructions="")
    assert settings_for(told, settings) == settings
    again = SessionConfig.model_validate_json(told.model_dump_json())
    assert settings_for(again, settings) == settings


@given(turns, endpointing)
def test_a_session_by_hand_begins_by_hand(
    turns: TurnsConfig, endpointing: EndpointingConfig
) -> None:
    manual = endpointing.model_copy(update={"detector": "manual"})
    told = initial(Settings(turns, manual), id="s", model="m", instructions="")
    assert told.audio.input.turn_detection is None
    begun = settings_for(told, Settings(turns, manual))
    assert begun.endpointing == manual
    assert begun.turns == turns.model_copy(update={"auto_reply": False})
    wished = update(told, VOICE, Settings(turns, manual))
    assert settings_for(wished, Settings(turns, manual)).endpointing.detector == "silero"


def test_who_may_interrupt_where_nobody_could_by_default() -> None:
    settings = Settings(TurnsConfig(barge_in_frames=None), EndpointingConfig(eagerness=None))
    told = initial(settings, id="s", model="m", instructions="")
    detection = {"type": "server_vad", "interrupt_response": True}
    wished = update(told, {"audio": {"input": {"turn_detection": detection}}}, settings)
    assert settings_for(wished, settings).turns.barge_in_frames == TurnsConfig().barge_in_frames


VOICE: Json = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
BY_MEANING: Json = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
BY_HAND: Json = {"audio": {"input": {"turn_detection": None}}}


@pytest.mark.parametrize("other", [BY_HAND, BY_MEANING])
@given(turns=turns, endpointing=endpointing)
def test_server_vad_is_as_configured_when_it_is_switched_on_again(
    other: Json, turns: TurnsConfig, endpointing: EndpointingConfig
) -> None:
    settings = Settings(turns, endpointing)
    begun = initial(settings, id="s", model="m", instructions="")
    again = update(update(begun, other, settings), VOICE, settings)
    by_silence = Settings(turns, endpointing.model_copy(update={"eagerness": None}))
    assert again == initial(by_silence, id="s", model="m", instructions="")
    assert settings_for(again, settings) == by_silence


@given(turns, endpointing, st.sampled_from([None, "low", "medium", "high", "auto"]))
def test_semantic_vad_judges_as_eagerly_as_is_wished_or_configured(
    turns: TurnsConfig, endpointing: EndpointingConfig, wished: Eagerness | None
) -> None:
    settings = Settings(turns, endpointing)
    begun = initial(settings, id="s", model="m", instructions="")
    detection = {"type": "semantic_vad"} | ({} if wished is None else {"eagerness": wished})
    said = {"audio": {"input": {"turn_detection": detection}}}
    found = settings_for(update(update(begun, BY_HAND, settings), said, settings), settings)
    assert found.endpointing.eagerness == (wished or endpointing.eagerness or "auto")
    assert found.turns == turns
    if endpointing.eagerness is not None:
        assert found.endpointing.min_silence_frames == endpointing.min_silence_frames


@pytest.mark.parametrize(
    ("eagerness", "frames"), [("low", 50), ("medium", 25), ("auto", 16), ("high", 15)]
)
def test_where_nothing_judges_eagerness_stands_for_silence(eagerness: str, frames: int) -> None:
    begun = initial(SHIPPED, id="s", model="m", instructions="")
    detection = {"type": "semantic_vad", "eagerness": eagerness}
    said = {"audio": {"input": {"turn_detection": detection}}}
    found = settings_for(update(begun, said, SHIPPED), SHIPPED)
    assert found.endpointing.min_silence_frames == frames


def test_server_vad_is_silence_alone() -> None:
    settings = Settings(TurnsConfig(), EndpointingConfig(eagerness="high"))
    begun = initial(settings, id="s", model="m", instructions="")
    assert isinstance(begun.audio.input.turn_detection, SemanticVad)
    assert begun.audio.input.turn_detection.eagerness == "high"
    detection = {"type": "server_vad", "silence_duration_ms": 700}
    said = {"audio": {"input": {"turn_detection": detection}}}
    found = settings_for(update(begun, said, settings), settings).endpointing
    assert (found.eagerness, found.min_silence_frames) == (None, 35)


def test_what_a_client_says_when_it_switches_it_on_holds() -> None:
    settings = Settings(TurnsConfig(), EndpointingConfig(min_silence_frames=40, eagerness=None))
    begun = initial(settings, id="s", model="m", instructions="")
    detection = {"type": "server_vad", "threshold": 0.7, "create_response": False}
    said = {"audio": {"input": {"turn_detection": detection}}}
    found = update(update(begun, BY_HAND, settings), said, settings).audio.input.turn_detection
    assert isinstance(found, ServerVad)
    assert (found.threshold, found.create_response) == (0.7, False)
    assert found.silence_duration_ms == 800


def test_semantic_vad_answers_and_is_interrupted_as_configured() -> None:
    settings = Settings(
        TurnsConfig(auto_reply=False, barge_in_frames=None), EndpointingConfig(eagerness=None)
    )
    begun = initial(settings, id="s", model="m", instructions="")
    found = update(begun, BY_MEANING, settings).audio.input.turn_detection
    assert isinstance(found, SemanticVad)
    assert (found.create_response, found.interrupt_response) == (False, False)


@given(turns, endpointing)
def test_endpointing_that_is_configured_by_hand_is_as_configured_when_switched_on(
    turns: TurnsConfig, endpointing: EndpointingConfig
) -> None:
    manual = Settings(turns, endpointing.model_copy(update={"detector": "manual"}))
    begun = initial(manual, id="s", model="m", instructions="")
    found = settings_for(update(begun, VOICE, manual), manual)
    silero = endpointing.model_copy(update={"detector": "silero", "eagerness": None})
    assert found == Settings(turns, silero)


# --- what is told back


def told(changes: Json) -> Json:
    return json.loads(update(CONFIG, changes, SHIPPED).model_dump_json())  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("changes", "path", "shown"),
    [
        ({"tracing": "auto"}, "tracing", None),
        ({"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}}, "truncation", "auto"),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "include", None),
        ({"reasoning": {"effort": "low"}}, "reasoning", None),
        ({"parallel_tool_calls": True}, "parallel_tool_calls", None),
        ({"output_modalities": ["audio"]}, "output_modalities", ["text"]),
        ({"audio": {"output": {"voice": "marin", "speed": 1.2}}}, "audio.output.voice", "none"),
        ({"audio": {"output": {"voice": "marin", "speed": 1.2}}}, "audio.output.speed", 1.0),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
         "audio.input.noise_reduction", None),
        ({"audio": {"input": {"transcription": {"model": "x", "language": "de"}}}},
         "audio.input.transcription.language", None),
        ({"model": "another", "id": "mine", "expires_at": 1}, "model", "tiny"),
        ({"tools": [{"type": "function", "name": "f", "meta": {"a": 1}}]}, "tools",
         [{"type": "function", "name": "f", "meta": {"a": 1}}]),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_told_as_it_is(changes: Json, path: str, shown: object) -> None:
    found: Any = told(changes)
    for name in path.split("."):
        found = found[name]
    assert found == shown


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"colour": "red"}, "unknown_parameter", "session.colour"),
        ({"audio": {"input": {"gain": 2}}}, "unknown_parameter", "session.audio.input.gain"),
        ({"audio": {"input": {"transcription": {"model": "x", "enabled": True}}}},
         "unknown_parameter", "session.audio.input.transcription.enabled"),
        ({"salmonn": {"loud": True}}, "unknown_parameter", "session.salmonn.loud"),
        ({"audio": "loud"}, "invalid_value", "session.audio"),
        ({"output_modalities": "text"}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"prompt": {"id": "pmpt_1"}}, "invalid_value", "session.prompt"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://x"}]},
         "invalid_value", "session.tools.0.type"),
        ({"tools": ["light"]}, "invalid_value", "session.tools.0"),
        ({"type": "transcription"}, "invalid_session_type", "session.type"),
        ({"audio": {"output": {"speed": 2.0}}, "instructions": "X"}, "invalid_value",
         "session.audio.output.speed"),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4999}}}},
         "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"),
        ({"input_audio_format": "opus"}, "invalid_value", "session.audio.input.format"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_an_error_that_names_the_field(
    changes: Json, code: str, param: str
) -> None:
    with pytest.raises(WireError) as caught:
        update(CONFIG, changes, SHIPPED)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_settings_never_grow_beyond_their_limit() -> None:
    def tool(length: int) -> Json:
        return {"tools": [{"type": "function", "name": "f", "description": "x" * length}]}

    config = CONFIG
    for n in range(20):  # what is free in form is not kept
        config = update(config, {"tracing": {f"{n}-{k}": k for k in range(2000)}}, SHIPPED)
    assert len(config.model_dump_json()) < 2000
    room = SETTINGS_BYTES - len(update(CONFIG, tool(0), SHIPPED).model_dump_json())
    update(CONFIG, tool(room), SHIPPED)
    with pytest.raises(WireError) as caught:
        update(CONFIG, tool(room + 1), SHIPPED)
    assert (caught.value.code, caught.value.param) == ("settings_too_large", "session")
    with pytest.raises(WireError):
        update(CONFIG, {"tools": [{"type": "function", "name": "f"}] * 129}, SHIPPED)


# --- the beta's shapes


def test_the_betas_settings_are_those_of_today() -> None:
    beta = {
        "modalities": ["text"],
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"},
        "input_audio_noise_reduction": None,
        "turn_detection": None,
        "voice": "alloy",
        "speed": 1.1,
        "max_response_output_tokens": 77,
        "temperature": 0.8,
        "instructions": "Be brief.",
    }
    config = update(CONFIG, beta, SHIPPED)
    assert isinstance(config.audio.input.format, Pcmu)
    assert config.audio.input.transcription is not None
    assert config.audio.input.turn_detection is None
    assert config.max_output_tokens == 77
    assert config.salmonn.temperature == 0.8
    assert config.instructions == "Be brief."
    for name, kind in (("pcm16", Pcm), ("g711_alaw", Pcma)):
        changed = update(CONFIG, {"input_audio_format": name}, SHIPPED)
        assert isinstance(changed.audio.input.format, kind)


def test_where_both_shapes_are_there_todays_wins() -> None:
    changes = {
        "max_response_output_tokens": 7,
        "max_output_tokens": 9,
        "turn_detection": None,
        "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}},
    }
    for ordered in (changes, dict(reversed(changes.items()))):
        config = update(CONFIG, ordered, SHIPPED)
        assert config.max_output_tokens == 9
        assert config.audio.input.turn_detection is not None
    assert changes["audio"] == {"input": {"turn_detection": {"type": "semantic_vad"}}}
