"""A client's session settings, and what they are here."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from streaming.config import EndpointingConfig, TurnsConfig
from streaming.frames import FRAME_SAMPLES, SAMPLE_RATE
from streaming.realtime.wire import (
    Pcm,
    Pcma,
    SemanticVad,
    ServerVad,
    SessionConfig,
    WireError,
)
from streaming.wire_audio import InputFormat

FRAME_MS = 1000 * FRAME_SAMPLES // SAMPLE_RATE

SILENCE_MS = {"low": 1000, "medium": 500, "auto": 500, "high": 300}
"""Silence that ends a turn under `semantic_vad`: there is no model of meaning here."""

NEVER = 10**9
"""Frames of speech that interrupt a reply where nothing shall."""


def merge(current: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `current`, section by section; null and what has a type replaces whole."""
    merged = dict(current)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = value
        if isinstance(old, dict) and isinstance(value, dict):
            same_kind = value.get("type", old.get("type")) == old.get("type")
            merged[key] = merge(old, value) if same_kind else value
    return merged


def update(current: SessionConfig, changes: dict[str, Any]) -> SessionConfig:
    """Settings after `session.update`.

    Raises:
        WireError: a value is wrong; `param` names it.
    """
    if changes.get("type", "realtime") != "realtime":
        kind = changes["type"]
        raise WireError(
            "invalid_session_type", f"session type {kind!r}: only realtime", "session.type"
        )
    fixed = {name: getattr(current, name) for name in ("id", "object", "model", "expires_at")}
    wanted = merge(current.model_dump(), changes) | fixed
    wanted["output_modalities"] = ["text"]  # nothing is spoken here, whatever is asked for
    try:
        return SessionConfig.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        # a union's alternative stands in the path by its name: it is no field
        path = [str(part) for part in first["loc"] if part not in ALTERNATIVES]
        raise WireError("invalid_value", first["msg"], ".".join(["session", *path])) from error


ALTERNATIVES = {
    "server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma",
    "constrained-int", "literal['inf']", "Item", "ItemReference",
}  # fmt: skip
"""Names of unions' alternatives in the paths of errors."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core is told."""

    turns: TurnsConfig
    endpointing: EndpointingConfig


def settings_for(config: SessionConfig, defaults: Settings) -> Settings:
    """The core's settings for a client's."""
    detection = config.audio.input.turn_detection
    turns: dict[str, Any] = {
        "captions": config.audio.input.transcription is not None,
        "sound_events": config.salmonn.sound_events,
        "auto_reply": detection is not None and detection.create_response,
    }
    if detection is None:
        manual = defaults.endpointing.model_copy(update={"detector": "manual"})
        return Settings(defaults.turns.model_copy(update=turns), manual)
    if not detection.interrupt_response:
        turns["barge_in_frames"] = NEVER
    silence_ms = (
        SILENCE_MS[detection.eagerness]
        if isinstance(detection, SemanticVad)
        else detection.silence_duration_ms
    )
    frames = max(1, round(silence_ms / FRAME_MS))
    endpointing: dict[str, Any] = {
        "min_silence_frames": frames,
        "pause_frames": min(defaults.endpointing.pause_frames, frames),
    }
    if isinstance(detection, ServerVad):
        endpointing["threshold"] = min(0.99, max(0.01, detection.threshold))
        endpointing["aggressiveness"] = min(3, int(4 * detection.threshold))
    return Settings(
        defaults.turns.model_copy(update=turns),
        defaults.endpointing.model_copy(update=endpointing),
    )


def input_format(config: SessionConfig) -> InputFormat:
    """Of the audio that clients append."""
    chosen = config.audio.input.format
    if isinstance(chosen, Pcm):
        return InputFormat("pcm16", chosen.rate)
    return InputFormat("alaw" if isinstance(chosen, Pcma) else "mulaw", 8_000)
