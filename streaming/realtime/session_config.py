"""A client's session settings, and what they are here."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from assistant.config import VoiceConfig
from assistant.rates import SAMPLE_RATE
from assistant.voice.voice import NONE
from streaming.audio.frames import FRAME_SAMPLES
from streaming.audio.wire_audio import InputFormat
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.realtime import beta
from streaming.realtime.mistakes import mistake
from streaming.realtime.wire import (
    Audio,
    AudioInput,
    AudioOutput,
    Extensions,
    Format,
    Pcm,
    Pcma,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    TurnDetection,
    WireError,
)

VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
)  # fmt: skip
"""OpenAI's, which clients ask for without being told to."""

FRAME_MS = 1000 * FRAME_SAMPLES // SAMPLE_RATE

SILENCE_MS = {"low": 1000, "medium": 500, "high": 300}
"""Silence that ends a turn under `semantic_vad` where nothing judges the pause; auto: what is
configured."""

DETECTIONS: dict[str, type[ServerVad | SemanticVad]] = {
    "server_vad": ServerVad,
    "semantic_vad": SemanticVad,
}
"""Turn detection, by its type."""

MODES = 4
"""Of webrtcvad's aggressiveness."""

SETTINGS_BYTES = 64 * 2**10
"""Size of a session's settings as JSON, tools and all: each update is answered with all of them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The core's settings that a client may change."""

    turns: TurnsConfig
    endpointing: EndpointingConfig


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


def update(current: SessionConfig, changes: dict[str, Any], configured: Settings) -> SessionConfig:
    """The settings in effect after `session.update`.

    Args:
        current: before it.
        changes: as GA has them, or as the beta had them.
        configured: what turn detection begins with when it is switched on, or becomes of another
            type: a client that only names the type gets the configured silence.

    Raises:
        WireError: a field is unknown, a value is wrong or cannot be followed; `param` names it.
    """
    _check_type(current, changes)
    fixed = {name: getattr(current, name) for name in ("id", "object", "model", "expires_at")}
    changes = beta.session(changes)
    wanted = merge(_before(current, changes, configured), changes) | fixed
    try:
        config = in_effect(SessionConfig.model_validate(wanted), current.audio.output.voice)
    except ValidationError as error:
        wrong = mistake(error, "session")
        raise WireError(wrong.code, wrong.message, wrong.param) from error
    if len(config.model_dump_json()) > SETTINGS_BYTES:
        why = f"all settings together are more than {SETTINGS_BYTES} bytes of JSON"
        raise WireError("settings_too_large", why, "session")
    return config


def _check_type(current: SessionConfig, changes: dict[str, Any]) -> None:
    """Raises WireError where a session cannot be of the type that is wished, or have a field."""
    if changes.get("type", current.type) != current.type:
        why = f"session type {changes['type']!r:.60}: this is a session of type {current.type}"
        raise WireError("invalid_session_type", why, "session.type")
    if current.type == "transcription":
        given = beta.session(changes)
        audio = given.get("audio")
        names = [name for name in given if name not in OF_TRANSCRIPTION]
        if isinstance(audio, dict):
            names += [f"audio.{name}" for name in audio if name != "input"]
        for name in names:
            where = f"session.{name:.60}"
            why = f"unknown parameter of a transcription session: {where}"
            raise WireError("unknown_parameter", why, where)


OF_ANSWERS = {"create_response", "interrupt_response", "idle_timeout_ms"}
"""Fields of turn detection that a transcription session does not have."""

OF_TRANSCRIPTION = ("type", "object", "id", "expires_at", "audio", "include")
"""Fields of a transcription session; of `audio` it has `input`."""


def transcribing(config: SessionConfig) -> SessionConfig:
    """The settings of a transcription session that begins, or that a session becomes."""
    heard = config.audio.input
    if heard.transcription is None:
        heard = heard.model_copy(update={"transcription": Transcription(model="whisper-1")})
    audio = config.audio.model_copy(update={"input": heard})
    kind = {"type": "transcription", "object": "realtime.transcription_session"}
    return config.model_copy(update={**kind, "audio": audio, "salmonn": Extensions(), "tools": []})


def shown(config: SessionConfig) -> dict[str, Any]:
    """Settings as clients are told of them."""
    told = config.model_dump()
    if config.type == "realtime":
        return told
    heard = told["audio"]["input"]
    for name in OF_ANSWERS & (heard["turn_detection"] or {}).keys():
        del heard["turn_detection"][name]
    told["audio"] = {"input": heard}
    return {name: told[name] for name in OF_TRANSCRIPTION}


def _before(
    current: SessionConfig, changes: dict[str, Any], configured: Settings
) -> dict[str, Any]:
    """Current settings; turn detection that is switched on is in them already, as configured."""
    before, now = current.model_dump(), current.audio.input.turn_detection
    match changes:
        case {"audio": {"input": {"turn_detection": {"type": str(kind)}}}} if kind in DETECTIONS:
            if now is None or now.type != kind:
                fields = set(DETECTIONS[kind].model_fields)
                begins = _detection(configured, kind).model_dump(include=fields)
                before["audio"]["input"]["turn_detection"] = begins | {"type": kind}
    return before


def in_effect(wanted: SessionConfig, voice: str) -> SessionConfig:
    """Settings with those that have no effect here as they are: off.

    So clients are told what is, not what they wished. The name of the model that transcribes is
    told back: see docs/protocol.md.

    Args:
        wanted: by the client.
        voice: the one there is.

    Raises:
        WireError: there is no such voice.
    """
    heard = wanted.audio.input.transcription
    named = None if heard is None else Transcription(model=heard.model)
    muted = {"noise_reduction": None, "transcription": named}
    modalities, output = _spoken(wanted, voice)
    audio = Audio(input=wanted.audio.input.model_copy(update=muted), output=output)
    off = {"parallel_tool_calls": None, "include": None, "reasoning": None, "tracing": None}
    kept = {"output_modalities": modalities, "truncation": "auto", "audio": audio}
    return wanted.model_copy(update={**off, **kept})


def possible(config: SessionConfig, *, transcribes: bool, names: bool) -> SessionConfig:
    """Settings without what this preset lacks: it is told back as off.

    Args:
        config: as it is wished.
        transcribes: there is a decoder for captions.
        names: there is a tagger for sound events.
    """
    audio, ours = config.audio, config.salmonn
    if not transcribes:
        deaf = audio.input.model_copy(update={"transcription": None})
        audio = audio.model_copy(update={"input": deaf})
    if not names:
        ours = ours.model_copy(update={"sound_events": False})
    return config.model_copy(update={"audio": audio, "salmonn": ours})


def over_tracks(config: SessionConfig) -> SessionConfig:
    """Settings of a session whose audio comes and goes by tracks: their formats are the tracks'."""
    output = config.audio.output.model_copy(update={"format": Pcm(type="audio/pcm")})
    audio = config.audio.model_copy(update={"output": output})
    ours = config.salmonn.model_copy(update={"binary_audio": False})
    return config.model_copy(update={"audio": audio, "salmonn": ours})


def _spoken(wanted: SessionConfig, voice: str) -> tuple[list[str], AudioOutput]:
    """How answers are given, and by whom: by the one voice there is, whichever of OpenAI's is
    wished, or in text."""
    if voice == NONE:
        return ["text"], AudioOutput()
    asked = wanted.audio.output.voice
    name = asked.get("id") if isinstance(asked, dict) else asked
    if name not in (voice, *VOICES):
        why = f"no voice {name!r:.60} here; there is {voice}, which all of OpenAI's names mean, too"
        raise WireError("invalid_value", why, "session.audio.output.voice")
    modalities = ["audio" if "audio" in wanted.output_modalities else "text"]
    return modalities, wanted.audio.output.model_copy(update={"voice": voice})


def initial(settings: Settings, voice: VoiceConfig | None = None, **about: Any) -> SessionConfig:
    """What a session begins with, so that the core is told `settings` and nothing else.

    Args:
        settings: of the configuration.
        voice: speaks the answers; None: they are text.
        about: the other fields of `SessionConfig`: id, model, instructions.
    """
    turns, manual = settings.turns, settings.endpointing.detector == "manual"
    heard = AudioInput(
        transcription=Transcription(model="whisper-1") if turns.captions else None,
        turn_detection=None if manual else _detection(settings),
    )
    spoken = AudioOutput() if voice is None else AudioOutput(voice=voice.name, speed=voice.speed)
    return SessionConfig(
        **about,
        output_modalities=["text" if voice is None else "audio"],
        audio=Audio(input=heard, output=spoken),
        salmonn=Extensions(sound_events=turns.sound_events),
    )


def _detection(settings: Settings, kind: str | None = None) -> TurnDetection:
    """Endpointing as configured, in the wire's words; `kind`: of the type that is wished."""
    turns, endpointing = settings.turns, settings.endpointing
    by_meaning = endpointing.eagerness is not None if kind is None else kind == "semantic_vad"
    create, interrupt = turns.auto_reply, turns.barge_in_frames is not None
    if by_meaning:
        return SemanticVad(
            type="semantic_vad",
            eagerness=endpointing.eagerness or "auto",
            create_response=create,
            interrupt_response=interrupt,
        )
    idle = turns.idle_timeout_s
    return ServerVad(
        type="server_vad",
        threshold=_threshold(endpointing),
        silence_duration_ms=FRAME_MS * endpointing.min_silence_frames,
        create_response=create,
        interrupt_response=interrupt,
        idle_timeout_ms=None if idle is None else round(1000 * idle),
    )


def _threshold(endpointing: EndpointingConfig) -> float:
    """The detector's strictness as the wire has it, 0 to 1."""
    if endpointing.detector == "webrtc":
        return (endpointing.aggressiveness + 0.5) / MODES
    return endpointing.threshold


def settings_for(config: SessionConfig, defaults: Settings) -> Settings:
    """The core's settings for a client's; `defaults` where the wire has no word for one."""
    detection, answers = config.audio.input.turn_detection, config.type == "realtime"
    turns: dict[str, Any] = {
        "captions": config.audio.input.transcription is not None,
        "sound_events": config.salmonn.sound_events,
        "auto_reply": answers and detection is not None and detection.create_response,
    }
    if detection is None:
        manual = defaults.endpointing.model_copy(update={"detector": "manual"})
        return Settings(defaults.turns.model_copy(update=turns), manual)
    turns["barge_in_frames"] = _barge_in(detection.interrupt_response, defaults.turns)
    if not answers:
        turns["idle_timeout_s"] = None
    elif isinstance(detection, ServerVad):  # the other kind has no word for it
        idle_ms = detection.idle_timeout_ms
        turns["idle_timeout_s"] = None if idle_ms is None else idle_ms / 1000
    return Settings(
        defaults.turns.model_copy(update=turns),
        defaults.endpointing.model_copy(update=_endpointing(detection, defaults.endpointing)),
    )


def _barge_in(interrupts: bool, turns: TurnsConfig) -> int | None:
    """Frames of speech that interrupt; where nothing did by default, as many as usually."""
    usual: int | None = TurnsConfig().barge_in_frames
    return (turns.barge_in_frames or usual) if interrupts else None


def _endpointing(detection: TurnDetection, defaults: EndpointingConfig) -> dict[str, Any]:
    changed: dict[str, Any] = {"eagerness": None}
    if isinstance(detection, SemanticVad):
        changed["eagerness"] = detection.eagerness
        if defaults.eagerness is None and detection.eagerness != "auto":  # maybe nothing judges
            changed |= _silence(SILENCE_MS[detection.eagerness], defaults)
    else:
        changed |= _silence(detection.silence_duration_ms, defaults)
    if defaults.detector == "manual":
        changed["detector"] = EndpointingConfig().detector
    if isinstance(detection, ServerVad) and defaults.detector == "webrtc":
        changed["aggressiveness"] = min(MODES - 1, int(MODES * detection.threshold))
    elif isinstance(detection, ServerVad):
        inside = 0 < detection.threshold < 1
        changed["threshold"] = detection.threshold if inside else 0.01 + 0.98 * detection.threshold
    return changed


def _silence(milliseconds: int, defaults: EndpointingConfig) -> dict[str, int]:
    frames = max(1, round(milliseconds / FRAME_MS))
    return {"min_silence_frames": frames, "pause_frames": min(defaults.pause_frames, frames)}


def speaks(config: SessionConfig) -> bool:
    """Whether answers are spoken."""
    return config.output_modalities == ["audio"]


def aloud(config: SessionConfig, wanted: list[Literal["text", "audio"]] | None) -> bool | None:
    """Whether an answer with these modalities is spoken; None: as the session has it."""
    if wanted is None or config.audio.output.voice == NONE:
        return None
    return "audio" in wanted


def voice_settings(config: SessionConfig) -> tuple[bool | None, float | None]:
    """Whether answers are spoken, and how fast; None where there is no voice."""
    output = config.audio.output
    return (None, None) if output.voice == NONE else (speaks(config), output.speed)


def input_format(config: SessionConfig) -> InputFormat:
    """Of the audio that clients append."""
    return _format(config.audio.input.format)


def output_format(config: SessionConfig) -> InputFormat:
    """Of the audio that clients get."""
    return _format(config.audio.output.format)


def _format(chosen: Format) -> InputFormat:
    if isinstance(chosen, Pcm):
        return InputFormat("pcm16", chosen.rate)
    return InputFormat("alaw" if isinstance(chosen, Pcma) else "mulaw", 8_000)
